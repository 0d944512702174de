/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk - exports all documents of a tenant, and imports them (REST spec 3.9). An import checks
 * everything first, and then replaces all or nothing in one transaction. With ?report it returns
 * the result for each document; with ?dry_run it only reports what it would do.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/keys/sealing.h"
#include "services/api/catalog/hostfields.h"
#include "services/api/catalog/import_report.h"
#include "services/api/catalog/sealed_export.h"
#include "services/api/catalog/secrets.h"
#include "services/api/catalog/validate.h"
#include "services/api/request/audit.h"
#include "services/api/request/legacy.h"
#include "services/api/request/list_query.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"

struct bulk_call {
	struct api *a;
	struct identity who;
	struct json *all;
	int kinds;           /* how many of the tenant's kinds are replaced */
	bool dry, reported;  /* dry: only report what would be done; reported: also send the
	                      * report */
	struct json *places; /* the valid documents: {"providers": {"NAME": index}} */
	struct json *faults; /* errors found before the transaction, and in it */
	size_t checked;      /* how many of the faults were found before it */
	int status;          /* of the first fault in the transaction; 0: none */
	struct json *report;
	const char *passphrase;
	struct loom_err err; /* about the secrets beside an export */
};

/* Kinds with secrets. */
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
	if (legacy_is(req) && !rc)
		json_del(b.all, entity_collection(ENTITY_PARTIALTEMPLATE));
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_json(req, 200, b.all);
	json_free(b.all);
}

static int export_sealed(struct db *db, void *arg)
{
	struct bulk_call *b = arg;
	int rc = export_read(db, b);
	if (!rc)
		rc = sealed_export_add(b->a, db, b->who.tenant_id, b->all, b->passphrase, &b->err);
	return rc;
}

/* The audit log records that somebody has exported the secrets. */
void bulk_export_sealed(struct http_req *req, void *ctx)
{
	struct bulk_call b = { .a = ctx,
		               .who = *request_who(req),
		               .passphrase = json_get_str(request_body(req), "passphrase") };
	int rc = audit_tx(req, export_sealed, &b);
	secrets_mask(b.all);
	if (rc == 500 || rc == 503)
		http_reply_problem(req, rc, "%s", b.err.msg);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_json(req, 200, b.all);
	json_free(b.all);
}

/* ---- before the transaction ------------------------------------------------------------------ */

/* Checks one collection; pushes its valid documents to `to`. */
static void check_list(struct bulk_call *b, enum entity_kind k, const struct json *from,
                       struct json *to)
{
	struct json *places = json_new_obj();
	json_set(b->places, entity_collection(k), places);
	for (size_t i = 0; i < json_len(from); i++) {
		const char *name = json_get_str(json_at(from, i), "name");
		struct json *doc = NULL;
		struct loom_err err = { 0 };
		if (validate_entity(k, json_at(from, i), &doc, &err)) {
			import_fault(b->faults, k, i, name, err.msg);
		} else if (json_get(places, name)) {
			import_fault(b->faults, k, i, name, "name is given twice");
			json_free(doc);
		} else {
			json_push(to, doc);
			json_set_int(places, name, (int64_t)i);
		}
	}
}

static void check_all(struct bulk_call *b, const struct json *in)
{
	for (int k = 0; k < b->kinds; k++) {
		const char *collection = entity_collection((enum entity_kind)k);
		struct json *to = json_new_arr();
		json_set(b->all, collection, to);
		check_list(b, (enum entity_kind)k, json_get(in, collection), to);
	}
	b->checked = json_len(b->faults);
}

/* ---- in the transaction ---------------------------------------------------------------------- */

static int seal_one(struct db *db, const struct bulk_call *b, enum entity_kind k,
                    const struct json *doc, struct sealed_document *ret, struct loom_err *err)
{
	const struct secret_of of = secrets_of(b->a, db, b->who.tenant_id, k);
	int rc = k == ENTITY_PROVIDER
	                 ? hostfields_check_stored(db, b->a->cfg.host_values, of.tenant, doc, err)
	                 : 0;
	return rc ? rc : secrets_of_document(b->a, db, &of, doc, ret, err);
}

/* Seals the secrets of a list in place. A masked secret is taken from the tenant's document of that
 * name. Refused documents are left out. */
static int seal_list(struct db *db, struct bulk_call *b, enum entity_kind k, struct json *all,
                     int64_t *generation)
{
	const char *kind = entity_collection(k);
	const struct json *list = json_get(all, kind);
	LOOM_CLEANUP(json_free) struct json *to = json_new_arr();
	for (size_t i = 0; i < json_len(list); i++) {
		const char *name = json_get_str(json_at(list, i), "name");
		struct loom_err err = { 0 };
		struct sealed_document one = { NULL, *generation };
		int rc = seal_one(db, b, k, json_at(list, i), &one, &err);
		*generation = one.generation;
		if (rc < 0 || rc > ERR_LAST_STATUS) /* it is not about this document */
			return rc;
		if (!rc) {
			json_push(to, one.doc);
			continue;
		}
		b->status = b->status ? b->status : rc;
		import_fault(b->faults, k, (size_t)json_get_int(json_get(b->places, kind), name, 0),
		             name, err.msg);
	}
	json_set(all, kind, loom_take(to));
	return 0;
}

static int mark_list(struct db *db, struct bulk_call *b, enum entity_kind k, const struct json *all,
                     int64_t generation)
{
	const struct secret_of of = secrets_of(b->a, db, b->who.tenant_id, k);
	const struct json *list = json_get(all, entity_collection(k));
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(list); i++)
		rc = sealing_mark_document(db, &of, json_get_str(json_at(list, i), "name"), 1,
		                           generation);
	return rc;
}

/* Compares the present documents with the new ones. */
static int report(struct db *db, struct bulk_call *b, const struct json *all)
{
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	int rc = entity_export(db, b->who.tenant_id, &before);
	if (rc)
		return rc;
	b->report = import_report(b->kinds, before, all, b->faults);
	json_set_bool(b->report, "dryRun", b->dry);
	return 0;
}

/* Discards what an earlier run of the transaction left. */
static void begin_again(struct bulk_call *b)
{
	struct json *faults = json_new_arr();
	for (size_t i = 0; i < b->checked; i++)
		json_push(faults, json_copy(json_at(b->faults, i)));
	json_free(b->faults);
	json_free(b->report);
	b->faults = faults;
	b->report = NULL;
	b->status = 0;
}

static int import_tx(struct db *db, void *arg)
{
	struct bulk_call *b = arg;
	LOOM_CLEANUP(json_free) struct json *all = json_copy(b->all);
	int64_t generation = 0;
	int rc = 0;
	begin_again(b);
	for (size_t k = 0; !rc && k < LOOM_COUNT(secret_kinds); k++)
		rc = seal_list(db, b, secret_kinds[k], all, &generation);
	if (!rc && (b->dry || b->reported))
		rc = report(db, b, all);
	if (rc || b->dry || b->status)
		return rc ? rc : b->dry ? IMPORT_E_DRY : b->status;
	rc = entity_import(db, b->who.tenant_id, b->kinds, all);
	for (size_t k = 0; !rc && generation && k < LOOM_COUNT(secret_kinds); k++)
		rc = mark_list(db, b, secret_kinds[k], all, generation);
	return rc;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void refuse(struct http_req *req, const struct bulk_call *b, int status)
{
	LOOM_CLEANUP_STR char *words = schema_words(b->faults);
	http_reply_faults(req, status, b->faults, words);
}

/* Without parameters, as the original's loader sends it, the answer has no content. */
static void import(struct http_req *req, struct bulk_call *b)
{
	const struct answer done = { .made = b->reported ? &b->report : NULL };
	int rc = b->dry ? db_tx(b->a->db, import_tx, b) : repeat_tx(req, import_tx, b, &done);
	if (!rc) {
		peers_catalog(b->a, b->who.tenant_id, NULL);
		peers_ready(b->a); /* the providers' limits may have changed */
	}
	if (rc == IMPORT_E_DRY)
		http_reply_json(req, 200, b->report);
	else if (b->status && rc == b->status)
		refuse(req, b, rc);
	else if (rc)
		api_reply_db(req, rc);
	else {
		/* OpenAPI can describe an empty answer beside a filled one only as a text. */
		if (!b->reported && !legacy_is(req))
			http_reply_header(req, "Content-Type", "text/plain; charset=utf-8");
		repeat_reply(req, &done);
	}
}

static bool asked(struct http_req *req, struct bulk_call *b)
{
	static const char *const own[] = { "dry_run", "report", NULL };
	if (legacy_is(req) || !list_query_has(req, own))
		return true;
	b->dry = list_query_flag(req, "dry_run");
	b->reported = list_query_flag(req, "report");
	return list_query_check(req);
}

/* Converts a catalog of version 0.9.7 to today's form; false when answered. */
static bool read_legacy(struct http_req *req, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *sent = NULL;
	if (api_body_json(req, &sent))
		return false;
	*ret = legacy_catalog(sent);
	return request_check(req, &schema_catalog, *ret);
}

void bulk_import(struct http_req *req, void *ctx)
{
	struct bulk_call b = { .a = ctx, .who = *request_who(req), .all = json_new_obj() };
	LOOM_CLEANUP(json_free) struct json *old = NULL, *in = NULL;
	/* That version did not have the last kind. */
	b.kinds = legacy_is(req) ? ENTITY_PARTIALTEMPLATE : ENTITY_TENANT_KINDS;
	b.places = json_new_obj();
	b.faults = json_new_arr();
	if (asked(req, &b) && (!legacy_is(req) || read_legacy(req, &old))) {
		in = json_copy(old ? old : request_body(req));
		b.status = sealed_export_take(in, json_get_str(in, "passphrase"), &b.err);
		check_all(&b, in);
		if (b.dry)
			audit_object(req, "import (dry run)");
		if (b.status)
			http_reply_text(req, b.status, "%s", b.err.msg);
		else if (b.checked && !b.dry)
			refuse(req, &b, 400);
		else
			import(req, &b);
	}
	json_free(b.all);
	json_free(b.places);
	json_free(b.faults);
	json_free(b.report);
}
