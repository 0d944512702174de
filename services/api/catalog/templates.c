/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a template and everything that it extends or includes. */
#include "services/api/catalog/templates.h"

#include "services/api/catalog/resolve.h"
#include "services/api/catalog/validate.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"

struct stored {
	struct db *db;
	const char *tenant_id;
};

static int stored_get(void *arg, enum entity_kind k, const char *name, struct json **ret)
{
	const struct stored *s = arg;
	return entity_get(s->db, s->tenant_id, k, name, ret);
}

int templates_resolve(struct db *db, const char *tenant_id, const struct json *leaf,
                      struct json **ret, struct loom_err *err)
{
	struct stored s = { .db = db, .tenant_id = tenant_id };
	const struct resolve_source src = { .get = stored_get, .arg = &s };
	return resolve(leaf, &src, ret, err);
}

struct resolve_call {
	struct identity who;
	struct json *leaf, *out;
	struct loom_err err;
};

static int resolve_read(struct db *db, void *arg)
{
	struct resolve_call *k = arg;
	json_free(k->out);
	k->out = NULL;
	return templates_resolve(db, k->who.tenant_id, k->leaf, &k->out, &k->err);
}

void resolve_post(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct resolve_call k = { .who = *request_who(req) };
	int rc = validate_entity(ENTITY_CLUSTERTEMPLATE, request_body(req), &k.leaf, &k.err);
	if (!rc)
		rc = db_read(a->db, resolve_read, &k);
	if (!rc)
		rc = resolve_check(k.out, &k.err);
	if (!rc)
		http_reply_json(req, 200, json_set_int(k.out, "version", 1));
	else if (err_is_refusal(rc))
		http_reply_text(req, err_http_status(rc), "%s", k.err.msg);
	else
		api_reply_db(req, rc);
	json_free(k.leaf);
	json_free(k.out);
}
