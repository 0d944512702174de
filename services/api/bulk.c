/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk - all documents of a tenant out, and in again (REST spec 3.9). An import replaces everything
 * in one transaction: checked whole before anything is touched, then all of it or nothing.
 */
#include "services/api/resources.h"

#include "common/model/sealing.h"
#include "services/api/audit.h"
#include "services/api/hostfields.h"
#include "services/api/repeat.h"
#include "services/api/request.h"
#include "services/api/secrets.h"
#include "services/api/validate.h"

struct bulk_call {
	struct api *a;
	struct identity who;
	struct json *all;
	struct loom_err err; /* why it is refused */
};

/* Those that hold secrets. */
static const enum entity_kind secret_kinds[] = { ENTITY_PROVIDER, ENTITY_SERVICE };

static int export_read(struct db *db, void *arg)
{
	struct bulk_call *b = arg;
	json_free(b->all);
	b->all = NULL;
	return entity_export(db, b->who.tenant_id, &b->all);
}

void bulk_export(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct bulk_call b = { .who = *request_who(req) };
	int rc = db_read(a->db, export_read, &b);
	secrets_mask(b.all);
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_json(req, 200, b.all);
	json_free(b.all);
}

/* One collection, checked: pushed to `to`. 0, or 400 naming collection, name and field. */
static int check_list(enum entity_kind k, const struct json *from, struct json *to,
                      struct loom_err *err)
{
	const char *collection = entity_collection(k);
	LOOM_CLEANUP(json_free) struct json *names = json_new_obj();
	for (size_t i = 0; i < json_len(from); i++) {
		const char *name = json_get_str(json_at(from, i), "name");
		struct json *doc;
		if (validate_entity(k, json_at(from, i), &doc, err))
			return err_set(err, 400, "%s[%zu] %.255s: %s", collection, i,
			               name ? name : "(no name)", err->msg);
		json_push(to, doc);
		if (json_get(names, name))
			return err_set(err, 400, "%s[%zu] %s: name is given twice", collection, i,
			               name);
		json_set_bool(names, name, true);
	}
	return 0;
}

static int check_all(const struct json *in, struct json *out, struct loom_err *err)
{
	for (int k = 0; k < ENTITY_TENANT_KINDS; k++) {
		const char *collection = entity_collection((enum entity_kind)k);
		struct json *to = json_new_arr();
		json_set(out, collection, to);
		int rc = check_list((enum entity_kind)k, json_get(in, collection), to, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* In place; what has only a mask gets what the tenant's document of that name has. */
static int seal_list(struct db *db, struct bulk_call *b, enum entity_kind k, struct json *all,
                     int64_t *generation)
{
	const struct secret_of of = secrets_of(b->a, b->who.tenant_id, k);
	const struct json *list = json_get(all, entity_collection(k));
	LOOM_CLEANUP(json_free) struct json *to = json_new_arr();
	for (size_t i = 0; i < json_len(list); i++) {
		struct loom_err err = { 0 };
		struct sealed_document one = { NULL, *generation };
		int rc = k == ENTITY_PROVIDER
		                 ? hostfields_check_stored(db, b->a->cfg.host_values, of.tenant,
		                                           json_at(list, i), &err)
		                 : 0;
		if (!rc)
			rc = secrets_of_document(b->a, db, &of, json_at(list, i), &one, &err);
		*generation = one.generation;
		if (err_is_refusal(rc))
			return err_set(&b->err, rc, "%s[%zu] %.255s: %s", entity_collection(k), i,
			               json_get_str(json_at(list, i), "name"), err.msg);
		if (rc)
			return rc;
		json_push(to, one.doc);
	}
	json_set(all, entity_collection(k), loom_take(to));
	return 0;
}

static int mark_list(struct db *db, struct bulk_call *b, enum entity_kind k, const struct json *all,
                     int64_t generation)
{
	const struct secret_of of = secrets_of(b->a, b->who.tenant_id, k);
	const struct json *list = json_get(all, entity_collection(k));
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(list); i++)
		rc = sealing_mark_document(db, &of, json_get_str(json_at(list, i), "name"), 1,
		                           generation);
	return rc;
}

static int import_tx(struct db *db, void *arg)
{
	struct bulk_call *b = arg;
	LOOM_CLEANUP(json_free) struct json *all = json_copy(b->all);
	int64_t generation = 0;
	int rc = 0;
	for (size_t k = 0; !rc && k < LOOM_COUNT(secret_kinds); k++)
		rc = seal_list(db, b, secret_kinds[k], all, &generation);
	if (!rc)
		rc = entity_import(db, b->who.tenant_id, all);
	for (size_t k = 0; !rc && generation && k < LOOM_COUNT(secret_kinds); k++)
		rc = mark_list(db, b, secret_kinds[k], all, generation);
	return rc;
}

void bulk_import(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct bulk_call b = { .who = *request_who(req) };
	struct loom_err err;
	LOOM_CLEANUP(json_free) struct json *all = json_new_obj();
	if (check_all(request_body(req), all, &err)) {
		http_reply_text(req, 400, "%s", err.msg);
		return;
	}
	b.a = a;
	b.all = all;
	int rc = repeat_tx(req, import_tx, &b, NULL);
	if (!rc)
		peers_ready(a); /* providers' limits may be others */
	if (err_is_refusal(rc) && *b.err.msg)
		http_reply_text(req, rc, "%s", b.err.msg);
	else if (rc)
		api_reply_db(req, rc);
	else
		repeat_reply(req, NULL);
}
