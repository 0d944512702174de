/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roles - a tenant's own roles, for its administrators. No such role lets its holder gain more: a
 * permission to change users would let him make himself an administrator, and one to write
 * documents would let him redefine a template of an allowed name.
 */
#include "services/api/resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/identity/own_role.h"
#include "common/model/identity/tenant.h"
#include "services/api/request/audit.h"
#include "services/api/request/request.h"
#include "services/api/watch/listing.h"

#include <string.h>

struct role_call {
	struct http_req *req;
	const struct identity *who;
	const char *name;
	struct json *doc; /* the stored form; NULL: delete the role */
	const struct precondition *when;
	bool tried; /* by an earlier run of the transaction, whose commit may be unconfirmed */
	struct json *list;
};

static int list_read(struct db *db, void *arg)
{
	struct role_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return own_role_list(db, k->who->tenant_id, LIST_ONE(k->name), &k->list);
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	return own_role_list(db, request_who(req)->tenant_id, part, ret);
}

void roles_list(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", "description", NULL };
	static const struct listing_kind roles = { .rules = { .key = "name", .searched = searched },
		                                   .read = read_part,
		                                   .first = OWN_ROLES_MAX,
		                                   .most = OWN_ROLES_MAX };
	const struct tally_of of = tally_of_rows(TALLY_ROLES, request_who(req)->tenant_id, NULL);
	listing_answer(req, ctx, &roles, &of);
}

void roles_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct role_call k = { .who = request_who(req), .name = http_param(req, "name") };
	int rc = db_read(a->db, list_read, &k);
	request_reply_one(req, rc, k.list, k.name, "role");
	json_free(k.list);
}

/* ---- what a role may say --------------------------------------------------------------------- */

static bool has(const struct json *doc, const char *permission)
{
	return json_arr_has_str(json_get(doc, "permissions"), permission);
}

static bool check_permissions(struct http_req *req, const struct json *doc)
{
	const struct api *a = http_ctx(req);
	const struct json *all = json_get(doc, "permissions");
	for (size_t i = 0; i < json_len(all); i++) {
		const char *one = json_str(json_at(all, i));
		if (routes_have_permission(a->routes, one))
			continue;
		LOOM_CLEANUP_STR char *known = routes_permissions(a->routes);
		http_reply_text(req, 400, "permissions: '%.64s' is none; there are %s", one, known);
		return false;
	}
	return true;
}

static bool check_name(struct http_req *req, const char *name)
{
	static const char *const taken[] = { "user",       "auditor",     "admin",
		                             "superadmin", "provisioner", "anybody" };
	bool free = str_is_name(name) && strlen(name) <= OWN_ROLE_NAME;
	for (size_t i = 0; i < LOOM_COUNT(taken); i++)
		free = free && !str_eq(name, taken[i]);
	if (!free)
		http_reply_text(req, 400,
		                "the name of a role has 1 to %d characters of A-Z a-z 0-9 _ . - "
		                "and is none that each tenant has",
		                OWN_ROLE_NAME);
	return free;
}

static bool check_role(struct http_req *req, const char *name, const struct json *doc)
{
	bool bounded = json_len(json_get(doc, "templates")) || json_len(json_get(doc, "providers"));
	if (!check_name(req, name) || !check_permissions(req, doc))
		return false;
	if (!has(doc, "users:write") && !(bounded && has(doc, "catalog:write")))
		return true;
	http_reply_text(req, 400, "permissions: %s",
	                has(doc, "users:write")
	                        ? "users:write is for the role admin alone: with it one could "
	                          "give oneself any role"
	                        : "catalog:write goes not with templates or providers: with it "
	                          "one could change what is behind their names");
	return false;
}

static struct json *stored(const char *name, const struct json *body)
{
	static const char *const fields[] = { "description", "base", "permissions", "templates",
		                              "providers" };
	struct json *doc = json_set_str(json_new_obj(), "name", name);
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		if (json_get(body, fields[i]))
			json_set(doc, fields[i], json_copy(json_get(body, fields[i])));
	}
	return doc;
}

/* ---- writing ---------------------------------------------------------------------------------
 */

/* Does the role have the state that an earlier run of this call leaves? */
static bool is_done(const struct role_call *k, const struct json *shown)
{
	if (!k->tried || !k->doc || !shown)
		return k->tried && !k->doc && !shown;
	LOOM_CLEANUP(json_free) struct json *there = json_copy(shown);
	json_del(there, "changed");
	return json_equal(there, k->doc);
}

static int write_tx(struct db *db, void *arg)
{
	struct role_call *k = arg;
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	char tag[TAG_MAX];
	int rc = tenant_lock(db, k->who->tenant_id);
	if (!rc)
		rc = own_role_list(db, k->who->tenant_id, LIST_ONE(k->name), &before);
	if (rc)
		return rc;
	const struct json *shown = json_len(before) ? json_at(before, 0) : NULL;
	if (is_done(k, shown))
		return 0;
	if (shown)
		request_tag_of(shown, tag);
	audit_before(k->req, shown);
	if (!precondition_met(k->when, shown ? tag : NULL))
		return PRECONDITION_E_FAILED;
	k->tried = true;
	return k->doc ? own_role_put(db, k->who->tenant_id, k->doc)
	              : own_role_delete(db, k->who->tenant_id, k->name);
}

static void reply(struct http_req *req, const struct role_call *k, int rc)
{
	struct api *a = http_ctx(req);
	token_cache_clear(a->tokens);
	if (!rc) {
		peers_catalog(a, k->who->tenant_id, "roles");
		log_info("role changed", LOG_S("tenant", k->who->tenant_id), LOG_S("role", k->name),
		         LOG_S("by", k->who->user), LOG_S("req", http_id(req)));
		http_reply_empty(req, 200);
	} else if (rc == PRECONDITION_E_FAILED) {
		request_refuse_precondition(req);
	} else if (rc == OWN_ROLE_E_NONE) {
		http_reply_text(req, 404, "role %s does not exist", k->name);
	} else if (rc == OWN_ROLE_E_USED) {
		http_reply_text(req, 409,
		                "users or tokens have the role %s; take it from them first",
		                k->name);
	} else if (rc == OWN_ROLE_E_MANY) {
		http_reply_text(req, 409, "a tenant has at most %d roles of its own",
		                OWN_ROLES_MAX);
	} else {
		api_reply_db(req, rc);
	}
}

static void change(struct http_req *req, struct json *doc)
{
	struct role_call k = { .req = req,
		               .who = request_who(req),
		               .name = http_param(req, "name"),
		               .doc = doc,
		               .when = request_precondition(req) };
	reply(req, &k, audit_tx(req, write_tx, &k));
}

void roles_put(struct http_req *req, void *ctx LOOM_UNUSED)
{
	const struct json *body = request_body(req);
	const char *name = http_param(req, "name");
	if (!check_role(req, name, body))
		return;
	LOOM_CLEANUP(json_free) struct json *doc = stored(name, body);
	change(req, doc);
}

void roles_delete(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, NULL);
}
