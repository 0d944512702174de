/* SPDX-License-Identifier: Apache-2.0 */
/* entities - handlers for the administrators' documents; the path gives the kind. */
#include "services/api/catalog/entities.h"

#include "common/base/str.h"
#include "common/json/merge_patch.h"
#include "common/model/keys/sealing.h"
#include "services/api/catalog/hostfields.h"
#include "services/api/catalog/references.h"
#include "services/api/catalog/secrets.h"
#include "services/api/catalog/validate.h"
#include "services/api/request/audit.h"
#include "services/api/request/legacy.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"

#include <string.h>

struct entity_call {
	struct api *a;
	struct http_req *req;
	const char *tenant, *name;
	enum entity_kind kind;
	int64_t version;
	const struct precondition *when; /* NULL: always */
	int64_t written;                 /* the new version */
	bool deleted;                    /* by an earlier run of the transaction */
	char tag[TAG_MAX];
	struct json *doc; /* to write, or as read */
	const struct json *patch;
	struct json *faults; /* of the patched document */
	struct answer answer;
	/* What the transaction found, for the answer. */
	struct strs missing; /* names in the document that do not exist: "service nope
	                      * (defaults...)" */
	struct strs over;    /* of a patch: unknown fields */
	struct loom_err err; /* why it is refused */
	struct db *db;       /* while the transaction runs */
	struct json *types;  /* likewise: automator types by name */
	bool more_secrets;   /* a plugin type declares more secrets than before */
	int rc;
};

/* A header is too short for more names. */
#define MAX_WARNED 5

enum entity_kind entities_kind(const struct http_req *req)
{
	const char *p = legacy_below(http_path(req)) + 1;
	if (str_starts(p, "plugins/"))
		p += strlen("plugins/");
	for (int k = 0; k < ENTITY_KINDS_; k++) {
		const char *c = entity_collection((enum entity_kind)k);
		if (str_starts(p, c) && (p[strlen(c)] == '/' || !p[strlen(c)]))
			return (enum entity_kind)k;
	}
	loom_assert(!"a route of entities without a kind");
	return ENTITY_KINDS_;
}

static bool is_plugin_type(enum entity_kind k)
{
	return k == ENTITY_PROVIDERTYPE || k == ENTITY_AUTOMATORTYPE;
}

static struct entity_ref ref_of(const struct entity_call *e, int64_t version)
{
	return (struct entity_ref){ e->tenant, e->kind, e->name, version };
}

static int get_read(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	json_free(e->doc);
	e->doc = NULL;
	const struct entity_ref ref = ref_of(e, e->version);
	return entity_read(db, &ref, &e->doc, e->tag);
}

const char *entities_home(enum entity_kind k, const char *tenant)
{
	return is_plugin_type(k) ? TENANT_SUPERADMIN : tenant;
}

/* An unknown name is not an error: the original's loader writes templates before the services they
 * name. But it may be a slip, so the answer warns. */
static void look_for(enum entity_kind to, const char *name, const char *path, void *arg)
{
	struct entity_call *e = arg;
	LOOM_CLEANUP(json_free) struct json *doc = NULL;
	if (e->rc || e->missing.n > MAX_WARNED)
		return;
	int rc = entity_get(e->db, entities_home(to, e->tenant), to, name, &doc);
	if (rc == ENTITY_E_NONE)
		strs_addf(&e->missing, "%s %.64s (%.128s)", entity_label(to), name, path);
	else
		e->rc = rc;
}

static void add_type(enum entity_kind to, const char *name, const char *path LOOM_UNUSED, void *arg)
{
	struct entity_call *e = arg;
	struct json *doc = NULL;
	if (e->rc || to != ENTITY_AUTOMATORTYPE || json_get(e->types, name))
		return;
	int rc = entity_get(e->db, TENANT_SUPERADMIN, to, name, &doc);
	if (!rc)
		json_set(e->types, name, doc);
	else if (rc != ENTITY_E_NONE)
		e->rc = rc;
}

/* Checks the fields of a service's actions against the types of its plugins. */
static int check_fields(struct entity_call *e)
{
	LOOM_CLEANUP(json_free) struct json *types = json_new_obj();
	e->types = types;
	references_each(e->kind, e->doc, add_type, e);
	int rc = e->rc ? e->rc : references_check_fields(e->doc, types, &e->err);
	e->types = NULL;
	return rc;
}

/* Stored documents may hold the values of a field that has just become a secret. */
static int note_secrets(struct db *db, struct entity_call *e, const struct json *before)
{
	e->more_secrets = secrets_declares_more(e->doc, before);
	return e->more_secrets ? sealing_raise(db) : 0;
}

/* Masks the secrets of both. */
static void note(const struct entity_call *e, struct json *before, struct json *after)
{
	secrets_mask(before);
	secrets_mask(after);
	audit_change(e->req, before, after);
}

static int store(struct db *db, struct entity_call *e)
{
	const struct secret_of of = secrets_of(e->a, db, e->tenant, e->kind);
	struct sealed_document kept = { NULL, 0 };
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	int rc = entity_get(db, e->tenant, e->kind, e->name, &before);
	if (!rc || rc == ENTITY_E_NONE)
		rc = is_plugin_type(e->kind) ? note_secrets(db, e, before) : 0;
	if (!rc)
		rc = secrets_of_document(e->a, db, &of, e->doc, &kept, &e->err);
	if (!rc)
		rc = entity_put(db, e->tenant, e->kind, kept.doc, e->when, &e->written);
	if (!rc && kept.generation)
		rc = sealing_mark_document(db, &of, e->name, e->written, kept.generation);
	note(e, before, kept.doc);
	json_free(kept.doc);
	return rc;
}

static int put_tx(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	strs_fini(&e->missing);
	e->db = db;
	e->rc = 0;
	int rc = e->kind == ENTITY_SERVICE ? check_fields(e) : 0;
	if (e->kind == ENTITY_PROVIDER)
		rc = hostfields_check_stored(db, e->a->cfg.host_values, e->tenant, e->doc, &e->err);
	if (!rc) {
		references_each(e->kind, e->doc, look_for, e);
		rc = e->rc;
	}
	return rc ? rc : store(db, e);
}

static bool has_mask(const struct json *v)
{
	LOOM_CLEANUP_STR char *text = v ? json_text(v) : NULL;
	return text && strstr(text, "\"" SECRET_MASK "\"");
}

/* A missing secret is kept, an empty one is deleted. So where a patch removes a secret, or an
 * object that holds one, put an empty one. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, which is bounded */
static void empty_removed(struct json *patch, const struct json *doc)
{
	for (size_t i = 0; i < json_len(patch); i++) {
		const char *key = json_key_at(patch, i);
		const struct json *old = json_get(doc, key);
		bool removed = json_is(json_value_at(patch, i), JSON_NULL);
		if (removed && json_is(old, JSON_STRING) && has_mask(old)) {
			json_set_str(patch, key, "");
		} else if (removed && json_is(old, JSON_OBJECT) && has_mask(old)) {
			struct json *all = json_new_obj();
			for (size_t k = 0; k < json_len(old); k++)
				json_set(all, json_key_at(old, k), json_new_null());
			json_set(patch, key, all);
		}
		if (json_is(json_value_at(patch, i), JSON_OBJECT) && json_is(old, JSON_OBJECT))
			empty_removed(json_value_at(patch, i), old);
	}
}

/* Applies the patch, and checks the document like one that is put. */
static int patched(struct entity_call *e, struct json *base, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *patch = json_copy(e->patch);
	secrets_mask(base);
	empty_removed(patch, base);
	LOOM_CLEANUP(json_free) struct json *in = json_merge_patch(base, patch);
	strs_fini(&e->over);
	e->faults = schema_check_over(validate_schema(e->kind), in, &e->over);
	if (e->faults)
		return 400;
	if (!str_eq(json_get_str(in, "name"), e->name))
		return err_set(&e->err, 400, "name '%.64s' in the patch is not '%s' as in the path",
		               json_get_str(in, "name"), e->name);
	return validate_entity(e->kind, in, ret, &e->err);
}

/* Patches the version read, and writes only if that is still the newest: otherwise try again. */
static int patch_tx(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	LOOM_CLEANUP(json_free) struct json *base = NULL, *doc = NULL;
	const struct precondition *when = e->when;
	json_free(e->faults);
	e->faults = NULL;
	const struct entity_ref latest = ref_of(e, 0);
	int rc = entity_read(db, &latest, &base, e->tag);
	if (rc)
		return rc;
	bool own = e->written && json_get_int(base, "version", 0) == e->written;
	if (!own && !precondition_met(when, e->tag))
		return PRECONDITION_E_FAILED;
	rc = patched(e, base, &doc);
	if (rc)
		return rc;
	const struct precondition same = { .match = e->tag };
	e->doc = doc;
	e->when = &same;
	rc = put_tx(db, e);
	e->doc = NULL;
	e->when = when;
	return rc == PRECONDITION_E_FAILED ? DB_E_RETRY : rc;
}

struct user_search {
	const struct entity_call *e;
	enum entity_kind kind; /* of the document that is checked */
	const char *name;      /* its name */
	char *found;           /* the document that uses it, and where; owned */
};

static void is_user(enum entity_kind to, const char *name, const char *path, void *arg)
{
	struct user_search *u = arg;
	bool itself = u->kind == u->e->kind && str_eq(u->name, u->e->name);
	if (!u->found && !itself && to == u->e->kind && str_eq(name, u->e->name))
		u->found = loom_asprintf("%s %.64s (%.128s)", entity_label(u->kind), u->name, path);
}

/* ENTITY_E_USED with err if a document of the tenant still names the deleted one. Plugin types are
 * shared by all tenants, and come back with the next provisioner: they are not checked. */
static int check_unused(struct db *db, struct entity_call *e)
{
	struct user_search u = { .e = e };
	for (int k = 0; k < ENTITY_TENANT_KINDS && !u.found; k++) {
		LOOM_CLEANUP(json_free) struct json *all = NULL;
		u.kind = (enum entity_kind)k;
		if (!references_kind(u.kind, e->kind))
			continue;
		int rc = entity_list(db, e->tenant, u.kind, &all);
		if (rc)
			return rc;
		for (size_t i = 0; i < json_len(all) && !u.found; i++) {
			u.name = json_get_str(json_at(all, i), "name");
			references_each(u.kind, json_at(all, i), is_user, &u);
		}
	}
	if (!u.found)
		return 0;
	LOOM_CLEANUP_STR char *found = u.found;
	return err_set(&e->err, ENTITY_E_USED, "%s %s is used by %s; change or delete that first",
	               entity_label(e->kind), e->name, found);
}

static int delete_tx(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	LOOM_CLEANUP(json_free) struct json *before = NULL, *after = NULL;
	const struct entity_ref ref = ref_of(e, e->version);
	int rc = entity_read(db, &ref, &before, e->tag);
	bool was = !rc;
	if (rc == ENTITY_E_NONE && e->deleted)
		return 0; /* deleted by this call, whose commit was not confirmed */
	if (!rc || rc == ENTITY_E_NONE)
		rc = entity_delete(db, &ref, e->when);
	e->deleted = !rc;
	note(e, before, NULL);
	if (rc || !was || is_plugin_type(e->kind))
		return rc;
	rc = entity_get(db, e->tenant, e->kind, e->name, &after);
	return rc == ENTITY_E_NONE ? check_unused(db, e) : rc;
}

/* Reads kind, name and version; false when answered. */
static bool begin(struct http_req *req, struct api *a, struct entity_call *e)
{
	*e = (struct entity_call){
		.a = a, .req = req, .kind = entities_kind(req), .name = http_param(req, "name")
	};
	e->tenant = entities_home(e->kind, request_who(req)->tenant_id);
	const char *part = http_param(req, "part"), *v = part ? part : http_param(req, "version");
	if (v && (str_to_int(v, &e->version) || e->version < 1)) {
		http_reply_text(req, 400, "version '%.32s' must be a whole number from 1", v);
		return false;
	}
	return true;
}

static void reply_read(struct http_req *req, int rc, struct entity_call *e)
{
	secrets_mask(e->doc);
	LOOM_CLEANUP_STR char *text = !rc && e->name && legacy_is(req) ? json_text(e->doc) : NULL;
	if (text)
		http_reply(req, 200, "text/plain; charset=utf-8", text, strlen(text));
	else if (!rc)
		http_reply_json(req, 200, e->doc);
	else if (rc == ENTITY_E_NONE)
		http_reply_text(req, 404, "%s %s does not exist", entity_label(e->kind), e->name);
	else
		api_reply_db(req, rc);
	json_free(e->doc);
}

void entities_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct entity_call e;
	if (!begin(req, a, &e))
		return;
	int rc = db_read(a->db, get_read, &e);
	if (rc || !request_tagged(req, e.tag))
		reply_read(req, rc, &e);
	else
		json_free(e.doc);
}

static void reply_written(struct http_req *req, const struct entity_call *e)
{
	request_warn(req, "does not exist", &e->missing);
	request_warn(req, REQUEST_PASSED_OVER, &e->over);
	repeat_reply(req, &e->answer);
}

static const struct precondition is_new = { .none_match = "*" };

/* Notifies the other processes that may depend on the document. */
static void notify_written(const struct entity_call *e)
{
	peers_catalog(e->a, e->tenant, entity_collection(e->kind));
	if (e->kind == ENTITY_PROVIDER)
		peers_ready(e->a); /* the provider's limits may have changed */
}

static void reply_write(struct http_req *req, struct api *a, struct entity_call *e, int rc)
{
	if (!rc)
		notify_written(e);
	if (!rc && e->more_secrets)
		secrets_soon(a);
	LOOM_CLEANUP_STR char *words = e->faults ? schema_words(e->faults) : NULL;
	if (!rc)
		reply_written(req, e);
	else if (rc == PRECONDITION_E_FAILED && e->when == &is_new)
		http_reply_text(req, legacy_is(req) ? 400 : 409,
		                "%s %s exists already; PUT writes a new version",
		                entity_label(e->kind), e->name);
	else if (rc == PRECONDITION_E_FAILED)
		request_refuse_precondition(req);
	else if (rc == ENTITY_E_NONE)
		http_reply_text(req, 404, "%s %s does not exist", entity_label(e->kind), e->name);
	else if (words)
		http_reply_faults(req, 400, e->faults, words);
	else if (err_is_refusal(rc) && *e->err.msg)
		http_reply_text(req, err_http_status(rc), "%s", e->err.msg);
	else
		api_reply_db(req, rc);
	strs_fini(&e->missing);
	strs_fini(&e->over);
	json_free(e->faults);
}

/* Converts a document of version 0.9.7, and checks it like today's; false when answered. */
static bool read_legacy(struct http_req *req, enum entity_kind k, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *sent = NULL;
	if (api_body_json(req, &sent))
		return false;
	*ret = legacy_document(k, sent);
	return request_check(req, validate_schema(k), *ret);
}

/* Reads and checks the body; name NULL: the body has it. */
static void write(struct http_req *req, struct api *a, struct entity_call *e)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL, *old = NULL;
	struct loom_err err;
	if (legacy_is(req) && !read_legacy(req, e->kind, &old))
		return;
	if (validate_entity(e->kind, old ? old : request_body(req), &doc, &err)) {
		http_reply_text(req, 400, "%s", err.msg);
		return;
	}
	const char *name = json_get_str(doc, "name");
	if (e->name && !str_eq(e->name, name)) {
		http_reply_text(req, 400, "name '%s' in the body is not '%s' as in the path", name,
		                e->name);
		return;
	}
	LOOM_CLEANUP_STR char *place = loom_asprintf("/v2/%s/%s", entity_collection(e->kind), name);
	e->name = name;
	e->doc = doc;
	e->answer.location = e->when == &is_new ? place : NULL;
	audit_object(req, "%s/%s", entity_collection(e->kind), name);
	reply_write(req, a, e, repeat_tx(req, put_tx, e, &e->answer));
}

void entities_post(struct http_req *req, void *ctx)
{
	struct entity_call e;
	if (!begin(req, ctx, &e))
		return;
	e.when = &is_new;
	write(req, ctx, &e);
}

void entities_put(struct http_req *req, void *ctx)
{
	struct entity_call e;
	if (!begin(req, ctx, &e))
		return;
	e.when = request_precondition(req);
	write(req, ctx, &e);
}

void entities_patch(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct entity_call e;
	if (!begin(req, ctx, &e))
		return;
	e.when = request_precondition(req);
	e.patch = request_body(req);
	reply_write(req, a, &e, audit_tx(req, patch_tx, &e));
}

/* Internal port: provisioners register the types of their plug-ins. */
void plugin_types_put(struct http_req *req, void *ctx)
{
	struct entity_call e = { .a = ctx,
		                 .req = req,
		                 .tenant = TENANT_SUPERADMIN,
		                 .kind = entities_kind(req),
		                 .name = http_param(req, "name") };
	if (*request_worker_tenant(req))
		http_reply_text(req, 403,
		                "types of plug-ins are everybody's; a tenant's provisioner "
		                "registers none");
	else
		write(req, ctx, &e);
}

void entities_delete(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct entity_call e;
	if (!begin(req, a, &e))
		return;
	e.when = request_precondition(req);
	int rc = audit_tx(req, delete_tx, &e);
	if (!rc)
		notify_written(&e);
	if (rc == ENTITY_E_USED)
		http_reply_text(req, 409, "%s", e.err.msg);
	else if (rc == PRECONDITION_E_FAILED)
		request_refuse_precondition(req);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}
