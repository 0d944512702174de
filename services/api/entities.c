/* SPDX-License-Identifier: Apache-2.0 */
/* entities - the administrators' documents: one set of handlers, the kind read from the path. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/auth.h"
#include "services/api/validate.h"

#include <string.h>

struct entity_call {
	const char *tenant, *name;
	enum entity_kind kind;
	int64_t version;
	bool only_new;
	int64_t written;  /* version */
	struct json *doc; /* to write, or as read */
};

/* "/v2/providers/x" and "/v2/plugins/providertypes/x". */
static enum entity_kind kind_of(const struct http_req *req)
{
	const char *p = http_path(req) + strlen("/v2/");
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

static int list_read(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	json_free(e->doc);
	e->doc = NULL;
	return entity_list(db, e->tenant, e->kind, &e->doc);
}

static int get_read(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	json_free(e->doc);
	e->doc = NULL;
	return entity_get(db, e->tenant, e->kind, e->name, e->version, &e->doc);
}

static int put_tx(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	return entity_put(db, e->tenant, e->kind, e->doc, e->only_new, &e->written);
}

static int delete_tx(struct db *db, void *arg)
{
	struct entity_call *e = arg;
	return entity_delete(db, e->tenant, e->kind, e->name, e->version);
}

/* Who, which kind, name and version; false when answered. */
static bool begin(struct http_req *req, struct api *a, enum role role, struct identity *who,
                  struct entity_call *e)
{
	if (!auth(a, req, role, who))
		return false;
	*e = (struct entity_call){ .kind = kind_of(req), .name = http_param(req, "name") };
	e->tenant = is_plugin_type(e->kind) ? TENANT_SUPERADMIN : who->tenant_id;
	const char *v = http_param(req, "version");
	if (v && (str_to_int(v, &e->version) || e->version < 1)) {
		http_reply_text(req, 400, "version '%.32s' must be a whole number from 1", v);
		return false;
	}
	return true;
}

static void reply_read(struct http_req *req, int rc, struct entity_call *e)
{
	if (!rc)
		http_reply_json(req, 200, e->doc);
	else if (rc == ENTITY_E_NONE)
		http_reply_text(req, 404, "%s %s does not exist", entity_label(e->kind), e->name);
	else
		api_reply_db(req, rc);
	json_free(e->doc);
}

void entities_list(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who;
	struct entity_call e;
	if (begin(req, a, ROLE_USER, &who, &e))
		reply_read(req, db_read(a->db, list_read, &e), &e);
}

void entities_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who;
	struct entity_call e;
	if (begin(req, a, ROLE_USER, &who, &e))
		reply_read(req, db_read(a->db, get_read, &e), &e);
}

/* Reads and checks the body; name NULL takes it from the body. */
static void write(struct http_req *req, struct api *a, struct entity_call *e)
{
	LOOM_CLEANUP(json_free) struct json *in = NULL, *doc = NULL;
	struct loom_err err;
	if (api_body_json(req, &in))
		return;
	if (validate_entity(e->kind, in, &doc, &err)) {
		http_reply_text(req, 400, "%s", err.msg);
		return;
	}
	const char *name = json_get_str(doc, "name");
	if (e->name && !str_eq(e->name, name)) {
		http_reply_text(req, 400, "name '%s' in the body is not '%s' as in the path", name,
		                e->name);
		return;
	}
	e->name = name;
	e->doc = doc;
	int rc = db_tx(a->db, put_tx, e);
	if (!rc && e->kind == ENTITY_PROVIDER)
		peers_ready(a); /* its limits may be others */
	if (!rc)
		http_reply_empty(req, 200);
	else if (rc == ENTITY_E_EXISTS)
		http_reply_text(req, 409, "%s %s exists already; PUT writes a new version",
		                entity_label(e->kind), name);
	else
		api_reply_db(req, rc);
}

void entities_post(struct http_req *req, void *ctx)
{
	struct identity who;
	struct entity_call e;
	if (!begin(req, ctx, ROLE_ADMIN, &who, &e))
		return;
	e.only_new = true;
	write(req, ctx, &e);
}

void entities_put(struct http_req *req, void *ctx)
{
	struct identity who;
	struct entity_call e;
	if (begin(req, ctx, ROLE_ADMIN, &who, &e))
		write(req, ctx, &e);
}

/* Internal port: provisioners register the types of their plug-ins. */
void plugin_types_put(struct http_req *req, void *ctx)
{
	struct entity_call e = { .tenant = TENANT_SUPERADMIN,
		                 .kind = kind_of(req),
		                 .name = http_param(req, "name") };
	write(req, ctx, &e);
}

void entities_delete(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who;
	struct entity_call e;
	enum role role = is_plugin_type(kind_of(req)) ? ROLE_SUPERADMIN : ROLE_ADMIN;
	if (!begin(req, a, role, &who, &e))
		return;
	int rc = db_tx(a->db, delete_tx, &e);
	if (!rc && e.kind == ENTITY_PROVIDER)
		peers_ready(a);
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}
