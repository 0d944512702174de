/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what is not sealed yet, and seals it a few rows at a time. */
#include "common/model/keys/sealing.h"

#include "common/base/log.h"
#include "common/model/catalog/plugin_resource.h"
#include "common/model/keys/kept.h"
#include "common/model/keys/machine_secret.h"

enum { AT_ONCE = 20 }; /* rows per transaction, each up to 1 MiB; few, to keep locks short */
/* The mark of a terminated cluster: this and the generation. When a type declares more secrets the
 * cluster is examined again, and its secrets are erased instead of sealed. */
#define ERASED ((int64_t)1 << 62)

int sealing_generation(struct db *db, int64_t *ret)
{
	return db_select_int(db, ret, NULL, "SELECT value FROM counter WHERE name='secrets'", "");
}

int sealing_raise(struct db *db)
{
	return db_exec(db, "UPDATE counter SET value=value+1 WHERE name='secrets'", "");
}

/* ---- types ----------------------------------------------------------------------------------- */

static int add_type(struct db *db, enum entity_kind kind, const char *name, struct json *types)
{
	struct json *doc = NULL;
	if (!name || json_get(types, name))
		return 0;
	int rc = entity_get(db, TENANT_SUPERADMIN, kind, name, &doc);
	if (rc == ENTITY_E_NONE)
		return 0;
	if (!rc)
		json_set(types, name, doc);
	return rc;
}

static int add_types(struct db *db, enum entity_kind kind, const struct json *doc,
                     struct json *types)
{
	if (kind == ENTITY_PROVIDER)
		return add_type(db, ENTITY_PROVIDERTYPE, json_get_str(doc, "providertype"), types);
	const struct json *actions = json_path(doc, "provisioner/actions");
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(actions); i++)
		rc = add_type(db, ENTITY_AUTOMATORTYPE,
		              json_get_str(json_value_at(actions, i), "type"), types);
	return rc;
}

/* ---- documents ------------------------------------------------------------------------------- */

int sealing_of_document(struct db *db, const struct secret_of *of, const struct json *doc,
                        struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *types = json_new_obj(), *stored = NULL;
	LOOM_CLEANUP(json_free) struct json *copy = json_copy(doc);
	int rc = entity_lock(db, of->tenant, of->kind, json_get_str(doc, "name"), &stored);
	if (rc == ENTITY_E_NONE)
		rc = 0;
	if (!rc)
		rc = add_types(db, of->kind, doc, types);
	if (!rc)
		rc = secrets_seal(of, copy, stored, types, NULL, err);
	if (!rc)
		*ret = loom_take(copy);
	return rc;
}

int sealing_mark_document(struct db *db, const struct secret_of *of, const char *name,
                          int64_t version, int64_t generation)
{
	return db_exec(db,
	               "UPDATE entity SET sealed=? WHERE tenant_id=? AND kind=? AND name=? AND "
	               "version=?",
	               "isssi", generation, of->tenant, entity_collection(of->kind), name, version);
}

/* ---- what is left ---------------------------------------------------------------------------- */

/* A secret that cannot be opened stays as it is; its user will report it. */
static int look_past(int rc, const struct loom_err *err)
{
	if (*err->msg)
		log_warn("a secret was not sealed", LOG_S("reason", err->msg));
	return err_is_refusal(rc) ? 0 : rc;
}

static int seal_one(struct db *db, const struct secret_of *of, struct json *doc, struct json *types,
                    bool *changed)
{
	struct loom_err err = { 0 }, shut = { 0 };
	bool now = false, renewed = false;
	int rc = add_types(db, of->kind, doc, types);
	if (!rc)
		rc = look_past(secrets_seal(of, doc, NULL, types, &now, &err), &err);
	if (!rc)
		rc = look_past(secrets_renew(of, doc, &renewed, &shut), &shut);
	*changed = *changed || now || renewed;
	return rc;
}

static int seal_document(struct db *db, struct keyring *ring, const struct db_result *r, size_t i,
                         int64_t generation, bool *ret_service)
{
	enum entity_kind kind = str_eq(db_str(r, i, 1), entity_collection(ENTITY_PROVIDER))
	                                ? ENTITY_PROVIDER
	                                : ENTITY_SERVICE;
	const struct secret_of of = { ring, db, db_str(r, i, 0), kind, false };
	LOOM_CLEANUP(json_free) struct json *doc = row_json_at(r, i, 4), *types = json_new_obj();
	bool changed = false;
	int rc = doc ? seal_one(db, &of, doc, types, &changed) : 0;
	LOOM_CLEANUP_STR char *text = changed ? json_text(doc) : NULL;
	if (!rc)
		rc = db_exec(db,
		             "UPDATE entity SET doc=COALESCE(?,doc), sealed=?"
		             " WHERE tenant_id=? AND kind=? AND name=? AND version=?",
		             "sisssi", text, generation, of.tenant, db_str(r, i, 1),
		             db_str(r, i, 2), db_int(r, i, 3));
	*ret_service = *ret_service || (!rc && changed && kind == ENTITY_SERVICE);
	return rc;
}

/* A row that cannot be examined does not stop the others: it stays unmarked, and is left out for
 * the rest of this round. */
static int pass_over(int rc, const char *what, const char *which, int64_t *passed)
{
	if (rc != DB_E_FATAL)
		return rc;
	log_error("secrets cannot be looked for", LOG_S("of", what), LOG_S("name", which));
	++*passed;
	return 0;
}

static int seal_documents(struct db *db, struct keyring *ring, int64_t generation, int64_t *passed,
                          int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT tenant_id, kind, name, version, doc FROM entity"
	                   " WHERE kind IN ('providers','services') AND sealed<?"
	                   " LIMIT ?, ? FOR UPDATE SKIP LOCKED",
	                   "iii", generation, *passed, (int64_t)AT_ONCE);
	bool services = false;
	*ret = rc ? 0 : (int64_t)db_rows(r);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = pass_over(seal_document(db, ring, r, i, generation, &services),
		               db_str(r, i, 1), db_str(r, i, 2), passed);
	/* Clusters may have copied the unsealed document. */
	return !rc && services ? sealing_raise(db) : rc;
}

/* Seals the definitions of a cluster's services, by name. */
static int seal_services(struct db *db, const struct secret_of *of, struct json *docs,
                         struct json *types, bool *changed)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(docs); i++)
		rc = seal_one(db, of, json_value_at(docs, i), types, changed);
	return rc;
}

static int erase(struct db *db, struct json *provider, struct json *docs, struct json *types,
                 bool *changed)
{
	int rc = add_types(db, ENTITY_PROVIDER, provider, types);
	for (size_t i = 0; !rc && i < json_len(docs); i++)
		rc = add_types(db, ENTITY_SERVICE, json_value_at(docs, i), types);
	if (rc)
		return rc;
	*changed = secrets_drop(ENTITY_PROVIDER, provider, types);
	for (size_t i = 0; i < json_len(docs); i++)
		*changed = secrets_drop(ENTITY_SERVICE, json_value_at(docs, i), types) || *changed;
	return 0;
}

static int seal_cluster(struct db *db, struct keyring *ring, const struct db_result *r, size_t i,
                        int64_t generation)
{
	const struct secret_of of = { ring, db, db_str(r, i, 1), ENTITY_PROVIDER, false };
	const struct secret_of services = { ring, db, db_str(r, i, 1), ENTITY_SERVICE, false };
	LOOM_CLEANUP(json_free) struct json *provider = row_json_at(r, i, 3);
	LOOM_CLEANUP(json_free) struct json *docs = row_json_at(r, i, 4);
	LOOM_CLEANUP(json_free) struct json *types = json_new_obj();
	bool changed = false, ended = str_eq(db_str(r, i, 2), "terminated");
	int rc;
	if (ended) {
		rc = erase(db, provider, docs, types, &changed);
	} else {
		rc = provider ? seal_one(db, &of, provider, types, &changed) : 0;
		if (!rc)
			rc = seal_services(db, &services, docs, types, &changed);
	}
	if (rc)
		return rc;
	LOOM_CLEANUP_STR char *text = changed && provider ? json_text(provider) : NULL;
	LOOM_CLEANUP_STR char *texts = changed && docs ? json_text(docs) : NULL;
	return db_exec(db,
	               "UPDATE cluster SET provider=COALESCE(?,provider),"
	               " service_docs=COALESCE(?,service_docs), sealed=?, terms_due=terms_due"
	               " WHERE id=?",
	               "ssii", text, texts, (ended ? ERASED : 0) + generation, db_int(r, i, 0));
}

static int seal_clusters(struct db *db, struct keyring *ring, int64_t generation, int64_t *passed,
                         int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT id, tenant_id, status, provider, service_docs FROM cluster"
		" WHERE (status IN ('pending','active','incomplete','inconsistent') AND sealed<?)"
		" OR (status='terminated' AND sealed<?)"
		" LIMIT ?, ? FOR UPDATE SKIP LOCKED",
		"iiii", generation, ERASED + generation, *passed, (int64_t)AT_ONCE);
	*ret = rc ? 0 : (int64_t)db_rows(r);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = pass_over(seal_cluster(db, ring, r, i, generation), "cluster", db_str(r, i, 0),
		               passed);
	return rc;
}

/* Seals data without marks: whole texts, files, and login passwords of nodes. */
static int seal_unmarked(struct db *db, struct keyring *ring, int64_t generation,
                         struct sealing_seen *seen, int64_t *ret)
{
	if (seen->generation == generation)
		return 0;
	int rc = kept_renew(db, ring, ret);
	if (!rc && !*ret)
		rc = plugin_pieces_renew(db, ring, ret);
	if (!rc && !*ret)
		rc = machine_secrets_renew(db, ring, &seen->cluster, ret);
	if (!rc && !*ret)
		*seen = (struct sealing_seen){ .generation = generation };
	return rc;
}

int sealing_some(struct db *db, struct keyring *ring, struct sealing_seen *seen, int64_t *ret)
{
	int64_t generation = 0;
	*ret = 0;
	int rc = sealing_generation(db, &generation);
	if (!rc)
		rc = seal_documents(db, ring, generation, &seen->documents_passed, ret);
	if (!rc && !*ret)
		rc = seal_clusters(db, ring, generation, &seen->clusters_passed, ret);
	if (!rc && !*ret)
		rc = seal_unmarked(db, ring, generation, seen, ret);
	if (!rc && !*ret)
		seen->documents_passed = seen->clusters_passed = 0;
	return rc;
}

int sealing_left(struct db *db, int64_t *ret)
{
	int64_t generation = 0;
	int rc = sealing_generation(db, &generation);
	return rc ? rc
	          : db_select_int(
			    db, ret, NULL,
			    "SELECT (SELECT COUNT(*) FROM entity WHERE kind IN"
			    " ('providers','services') AND sealed<?)"
			    " + (SELECT COUNT(*) FROM cluster WHERE status IN"
			    " ('pending','active','incomplete','inconsistent') AND sealed<?)"
			    " + (SELECT COUNT(*) FROM cluster WHERE status='terminated' AND sealed<?)",
			    "iii", generation, generation, ERASED + generation);
}
