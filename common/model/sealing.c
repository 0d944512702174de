/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what is not sealed yet, and seals it a few rows at a time. */
#include "common/model/sealing.h"

#include "common/base/log.h"

enum { AT_ONCE = 20 }; /* rows of one transaction, each of up to 1 MiB: their locks are short */
/* What a cluster that has ended is marked with: this and the generation, since a type that comes to
 * know more secrets has it looked at again, and what it keeps is erased and not sealed. */
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
	int rc = entity_get(db, TENANT_SUPERADMIN, kind, name, 0, &doc);
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

/* A secret that another key sealed stays what it is; whoever needs it will hear of it. */
static int seal_one(struct db *db, const struct secret_of *of, struct json *doc, struct json *types,
                    bool *changed)
{
	struct loom_err err = { 0 };
	bool now = false;
	int rc = add_types(db, of->kind, doc, types);
	if (!rc && secrets_seal(of, doc, NULL, types, &now, &err))
		log_warn("a secret was not sealed", LOG_S("reason", err.msg));
	*changed = *changed || now;
	return rc;
}

static int seal_document(struct db *db, const struct seal_key *key, const struct db_result *r,
                         size_t i, int64_t generation)
{
	enum entity_kind kind = str_eq(db_str(r, i, 1), entity_collection(ENTITY_PROVIDER))
	                                ? ENTITY_PROVIDER
	                                : ENTITY_SERVICE;
	const struct secret_of of = { key, db_str(r, i, 0), kind, false };
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
	/* Clusters may have copied it as it was. */
	return !rc && changed && kind == ENTITY_SERVICE ? sealing_raise(db) : rc;
}

static int seal_documents(struct db *db, const struct seal_key *key, int64_t generation,
                          int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT tenant_id, kind, name, version, doc FROM entity"
	                   " WHERE kind IN ('providers','services') AND sealed<?"
	                   " LIMIT ? FOR UPDATE SKIP LOCKED",
	                   "ii", generation, (int64_t)AT_ONCE);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = seal_document(db, key, r, i, generation);
	*ret = rc ? 0 : (int64_t)db_rows(r);
	return rc;
}

/* The definitions of its services, by name. */
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

static int seal_cluster(struct db *db, const struct seal_key *key, const struct db_result *r,
                        size_t i, int64_t generation)
{
	const struct secret_of of = { key, db_str(r, i, 1), ENTITY_PROVIDER, false };
	const struct secret_of services = { key, db_str(r, i, 1), ENTITY_SERVICE, false };
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
	               " service_docs=COALESCE(?,service_docs), sealed=? WHERE id=?",
	               "ssii", text, texts, (ended ? ERASED : 0) + generation, db_int(r, i, 0));
}

static int seal_clusters(struct db *db, const struct seal_key *key, int64_t generation,
                         int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT id, tenant_id, status, provider, service_docs FROM cluster"
		" WHERE (status IN ('pending','active','incomplete','inconsistent') AND sealed<?)"
		" OR (status='terminated' AND sealed<?)"
		" LIMIT ? FOR UPDATE SKIP LOCKED",
		"iii", generation, ERASED + generation, (int64_t)AT_ONCE);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = seal_cluster(db, key, r, i, generation);
	*ret = rc ? 0 : (int64_t)db_rows(r);
	return rc;
}

int sealing_some(struct db *db, const struct seal_key *key, int64_t *ret)
{
	int64_t generation = 0;
	*ret = 0;
	int rc = sealing_generation(db, &generation);
	if (!rc)
		rc = seal_documents(db, key, generation, ret);
	return rc || *ret ? rc : seal_clusters(db, key, generation, ret);
}
