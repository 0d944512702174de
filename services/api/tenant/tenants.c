/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenants - superadmins create, change and delete tenants (REST spec 8). A new one may start with
 * copies of superadmin's documents, in the same transaction.
 */
#include "services/api/resources.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/catalog/plugin_resource.h"
#include "common/model/identity/tenant.h"
#include "common/model/keys/data_key.h"
#include "common/model/keys/sealing.h"
#include "common/model/worker/worker_share.h"
#include "services/api/catalog/secrets.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/watch/listing.h"
#include "services/api/worker/share_push.h"

struct tenant_call {
	struct http_req *req;
	struct api *a;
	const char *name; /* NULL: all, or the name in the body */
	struct tenant t;
	char id[37]; /* of a new tenant */
	bool only_new, bootstrap;
	struct json *list;
	struct outcome done;
};

static int list_read(struct db *db, void *arg)
{
	struct tenant_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return tenants_list(db, LIST_ONE(k->name), &k->list);
}

static int read_part(struct db *db, struct http_req *req LOOM_UNUSED, struct list_part *part,
                     struct json **ret)
{
	return tenants_list(db, part, ret);
}

void tenants_list_all(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", "description", NULL };
	static const struct listing_kind tenants = { .rules = { .key = "name",
		                                                .searched = searched },
		                                     .read = read_part,
		                                     .first = LIST_STEP,
		                                     .most = DB_MANY };
	const struct tally_of of = tally_of_rows(TALLY_TENANTS, TENANT_SUPERADMIN, NULL);
	listing_answer(req, ctx, &tenants, &of);
}

void tenants_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct tenant_call k = { .name = http_param(req, "name") };
	int rc = db_read(a->db, list_read, &k);
	if (rc)
		api_reply_db(req, rc);
	else if (json_len(k.list))
		http_reply_json(req, 200, json_at(k.list, 0));
	else
		http_reply_text(req, 404, "Tenant %s does not exist.", k.name);
	json_free(k.list);
}

/* ---- what a new one begins with -------------------------------------------------------------- */

/* Providers last: nothing here depends on them, but checks of limits look for them. */
static const enum entity_kind begins_with[] = { ENTITY_HARDWARETYPE, ENTITY_IMAGETYPE,
	                                        ENTITY_SERVICE, ENTITY_CLUSTERTEMPLATE,
	                                        ENTITY_PROVIDER };

/* Secrets are bound to their tenant: open them as the old one's, seal them as the new one's. */
static int copy_document(struct db *db, struct tenant_call *k, enum entity_kind kind,
                         struct json *doc)
{
	const struct secret_of from = secrets_of(k->a, db, TENANT_SUPERADMIN, kind);
	const struct secret_of to = secrets_of(k->a, db, k->id, kind);
	struct sealed_document kept = { NULL, 0 };
	const struct precondition any = { 0 };
	struct loom_err err = { 0 };
	int64_t written = 0;
	json_del(doc, "version");
	int rc = secrets_open(&from, doc, &err);
	if (!rc)
		rc = secrets_of_document(k->a, db, &to, doc, &kept, &err);
	if (err_is_refusal(rc))
		rc = outcome_refuse(&k->done, 409, "%s %s of superadmin cannot be copied: %s",
		                    entity_label(kind), json_get_str(doc, "name"), err.msg);
	if (!rc)
		rc = entity_put(db, k->id, kind, kept.doc, &any, &written);
	if (!rc && kept.generation)
		rc = sealing_mark_document(db, &to, json_get_str(doc, "name"), written,
		                           kept.generation);
	json_free(kept.doc);
	return rc;
}

static int bootstrap(struct db *db, struct tenant_call *k)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(begins_with); i++) {
		LOOM_CLEANUP(json_free) struct json *all = NULL;
		rc = entity_list(db, TENANT_SUPERADMIN, begins_with[i], &all);
		for (size_t n = 0; !rc && n < json_len(all); n++)
			rc = copy_document(db, k, begins_with[i], json_at(all, n));
	}
	return rc ? rc : plugin_resources_copy(db, TENANT_SUPERADMIN, k->id);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int has_documents(struct db *db, const char *id, bool *ret)
{
	LOOM_CLEANUP(json_free) struct json *all = NULL;
	int rc = entity_export(db, id, &all);
	*ret = false;
	for (size_t i = 0; !rc && i < json_len(all); i++)
		*ret = *ret || json_len(json_value_at(all, i));
	return rc;
}

static int put_tx(struct db *db, void *arg)
{
	struct tenant_call *k = arg;
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	bool made = false, filled = false;
	int rc = tenants_list(db, LIST_ONE(k->t.name), &before);
	audit_before(k->req, json_at(before, 0));
	if (!rc)
		rc = tenant_put(db, k->id, &k->t, k->only_new, &made, &k->done);
	if (!rc && made)
		rc = data_key_add_own(db, k->a->ring, k->id);
	if (!rc && made && k->bootstrap)
		rc = has_documents(db, k->id, &filled); /* copied by an earlier run, whose commit
		                                         * was not confirmed */
	if (!rc && made && k->bootstrap && !filled)
		rc = bootstrap(db, k);
	return rc ? rc : shares_balance(db);
}

static void write(struct http_req *req, struct api *a, bool only_new)
{
	const struct json *body = request_body(req), *in = json_get(body, "tenant");
	struct tenant_call k = { .req = req, .a = a, .only_new = only_new };
	k.name = http_param(req, "name");
	k.t = (struct tenant){ .name = json_get_str(in, "name"),
		               .description = json_get_str(in, "description"),
		               .workers = json_get_int(in, "workers", 0),
		               .max_clusters = json_get_int(in, "maxClusters", TENANT_NO_LIMIT),
		               .max_nodes = json_get_int(in, "maxNodes", TENANT_NO_LIMIT) };
	k.bootstrap = only_new && json_get_bool(body, "bootstrap", false);
	if (k.name && !str_eq(k.name, k.t.name)) {
		http_reply_text(req, 400, "name '%s' in the body is not '%s' as in the path",
		                k.t.name, k.name);
		return;
	}
	id_uuid(k.id);
	audit_object(req, "tenants/%s", k.t.name);
	LOOM_CLEANUP_STR char *place = loom_asprintf("/v2/tenants/%s", k.t.name);
	const struct answer made = { .location = only_new ? place : NULL };
	int rc = repeat_outcome_tx(req, put_tx, &k, &k.done, &made);
	if (!rc && k.done.status == 200)
		repeat_reply(req, &made);
	else
		api_reply_outcome(req, rc, &k.done);
	share_push_soon(a);
	peers_catalog(a, TENANT_SUPERADMIN, "tenants");
}

void tenants_post(struct http_req *req, void *ctx)
{
	write(req, ctx, true);
}

void tenants_put(struct http_req *req, void *ctx)
{
	write(req, ctx, false);
}

static int delete_tx(struct db *db, void *arg)
{
	struct tenant_call *k = arg;
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	int rc = tenants_list(db, LIST_ONE(k->name), &before);
	audit_before(k->req, json_at(before, 0));
	return rc ? rc : tenant_delete(db, k->name, &k->done);
}

void tenants_delete(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct tenant_call k = { .req = req, .a = a, .name = http_param(req, "name") };
	if (str_eq(k.name, TENANT_SUPERADMIN)) {
		http_reply_text(req, 403, "Superadmin cannot be deleted.");
		return;
	}
	int rc = audit_outcome_tx(req, delete_tx, &k, &k.done);
	peers_catalog(a, TENANT_SUPERADMIN, "tenants");
	api_reply_outcome(req, rc, &k.done);
}
