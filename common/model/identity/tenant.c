/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants and their quotas. */
#include "common/model/identity/tenant.h"

#include "common/base/str.h"
#include "common/model/catalog/plugin_resource.h"

int tenant_id_by_name(struct db *db, const char *name, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	*ret = NULL;
	if (str_padded(name))
		return 0;
	int rc = db_select(db, &r, "SELECT id FROM tenant WHERE name=?", "s", name);
	if (!rc)
		*ret = db_rows(r) ? loom_strdup(db_str(r, 0, 0)) : NULL;
	return rc;
}

int tenant_name_of(struct db *db, const char *id, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT name FROM tenant WHERE id=?", "s", id);
	if (!rc)
		*ret = loom_strdup(db_rows(r) ? db_str(r, 0, 0) : id);
	return rc;
}

static int there(struct db *db, const char *id, const char *lock)
{
	LOOM_CLEANUP_STR char *sql = loom_asprintf("SELECT 1 FROM tenant WHERE id=? %s", lock);
	int64_t one;
	bool found = false;
	int rc = db_select_int(db, &one, &found, sql, "s", id);
	return rc ? rc : found ? 0 : TENANT_E_NONE;
}

int tenant_lock(struct db *db, const char *id)
{
	return there(db, id, "FOR UPDATE");
}

int tenant_hold(struct db *db, const char *id)
{
	return there(db, id, "LOCK IN SHARE MODE");
}

int tenant_ids(struct db *db, struct strs *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT id FROM tenant ORDER BY id", "");
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		strs_add(ret, db_str(r, i, 0));
	return rc;
}

int tenants_list(struct db *db, const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = LIST_PARTS(
		"SELECT name, description, workers, max_clusters, max_nodes FROM tenant WHERE TRUE",
		"name");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, parts[part->down], LIST_PART_TYPES, LIST_PART_VALUES(part));
	if (rc)
		return rc;
	*ret = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++) {
		struct json *t = json_set_str(json_new_obj(), "name", db_str(r, i, 0));
		json_set_str(t, "description", db_str(r, i, 1));
		json_set_int(t, "workers", db_int(r, i, 2));
		json_set_int(t, "maxClusters", db_int(r, i, 3));
		json_push(*ret, json_set_int(t, "maxNodes", db_int(r, i, 4)));
	}
	return 0;
}

int tenants_tally(struct db *db, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("name,workers,max_clusters,max_nodes,description") "tenant",
	                     "");
}

/* Who changes how many workers are wanted waits here for others, so that what is counted stands. */
static int lock_workers(struct db *db)
{
	int64_t found;
	return db_select_int(db, &found, NULL,
	                     "SELECT value FROM counter WHERE name='workers' FOR UPDATE", "");
}

static int check_workers(struct db *db, const struct tenant *t, int64_t has, struct outcome *o)
{
	int64_t free = 0;
	int rc =
		t->workers <= has
			? 0
			: db_select_int(db, &free, NULL,
	                                "SELECT (SELECT COALESCE(SUM(capacity),0) FROM provisioner)"
	                                " - (SELECT COALESCE(SUM(workers),0) FROM tenant)",
	                                "");
	if (rc || t->workers <= has || t->workers - has <= free)
		return rc;
	return outcome_refuse(
		o, 409,
		"Not enough capacity to add tenant. The provisioners have %lld workers "
		"free; %lld more are asked for.",
		(long long)(free > 0 ? free : 0), (long long)(t->workers - has));
}

static int check_use(struct db *db, const char *id, const struct tenant *t, struct outcome *o)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT COUNT(*), COALESCE(SUM(IF(num_nodes>0, num_nodes, asked_nodes)), 0)"
		" FROM cluster WHERE tenant_id=? AND status<>'terminated'",
		"s", id);
	if (rc || (db_int(r, 0, 0) <= t->max_clusters && db_int(r, 0, 1) <= t->max_nodes))
		return rc;
	return outcome_refuse(
		o, 409,
		"Tenant %s has %lld clusters and %lld nodes already, which is more than "
		"the limits given.",
		t->name, (long long)db_int(r, 0, 0), (long long)db_int(r, 0, 1));
}

static int add(struct db *db, const char *id, const struct tenant *t, bool *ret_made,
               struct outcome *o)
{
	int rc = check_workers(db, t, 0, o);
	if (!rc)
		rc = db_exec(db,
		             "INSERT INTO tenant (id, name, description, workers, max_clusters,"
		             " max_nodes) VALUES (?,?,?,?,?,?)",
		             "sssiii", id, t->name, t->description, t->workers, t->max_clusters,
		             t->max_nodes);
	*ret_made = !rc;
	return rc == DB_E_DUP ? DB_E_RETRY : rc ? rc : outcome_done(o, 0, 0);
}

static int change(struct db *db, const char *id, const struct tenant *t, int64_t workers,
                  struct outcome *o)
{
	int rc = check_workers(db, t, workers, o);
	if (!rc)
		rc = check_use(db, id, t, o);
	if (!rc)
		rc = db_exec(
			db,
			"UPDATE tenant SET description=?, workers=?, max_clusters=?, max_nodes=?"
			" WHERE id=?",
			"siiis", t->description, t->workers, t->max_clusters, t->max_nodes, id);
	return rc ? rc : outcome_done(o, 0, 0);
}

int tenant_put(struct db *db, const char *id, const struct tenant *t, bool only_new, bool *ret_made,
               struct outcome *o)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = lock_workers(db);
	if (!rc)
		rc = db_select(db, &r, "SELECT id, workers FROM tenant WHERE name=? FOR UPDATE",
		               "s", t->name);
	if (rc)
		return rc;
	if (!db_rows(r))
		return add(db, id, t, ret_made, o);
	*ret_made = str_eq(db_str(r, 0, 0), id); /* created by this call, whose commit was not
	                                          * confirmed */
	if (*ret_made)
		return outcome_done(o, 0, 0);
	return only_new ? outcome_refuse(o, 409, "Tenant %s already exists.", t->name)
	                : change(db, db_str(r, 0, 0), t, db_int(r, 0, 1), o);
}

static int drop_all(struct db *db, const char *id)
{
	static const char *const of_it[] = {
		"DELETE FROM entity WHERE tenant_id=?",
		"DELETE FROM provider_limit WHERE tenant_id=?",
		"DELETE FROM own_role WHERE tenant_id=?",
		"DELETE FROM account WHERE tenant_id=?",
		"DELETE FROM token WHERE tenant_id=?",
		"DELETE FROM callback_target WHERE tenant_id=?",
		"DELETE FROM node_record WHERE tenant_id=?",
		"DELETE FROM profile WHERE tenant_id=?",
		"DELETE FROM request_key WHERE tenant_id=?",
		"DELETE FROM data_key WHERE tenant_id=?", /* then its data in backups cannot be
		                                           * opened any more */
		"DELETE FROM tenant WHERE id=?",
	};
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(of_it); i++)
		rc = db_exec(db, of_it[i], "s", id);
	return rc;
}

int tenant_delete(struct db *db, const char *name, struct outcome *o)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t living = 0;
	int rc = lock_workers(db);
	if (!rc)
		rc = db_select(db, &r, "SELECT id, workers FROM tenant WHERE name=? FOR UPDATE",
		               "s", name);
	if (rc)
		return rc;
	if (!db_rows(r))
		return outcome_done(o, 0, 0);
	rc = db_select_int(
		db, &living, NULL,
		"SELECT COUNT(*) FROM cluster WHERE tenant_id=? AND status<>'terminated'", "s",
		db_str(r, 0, 0));
	if (rc)
		return rc;
	if (db_int(r, 0, 1))
		return outcome_refuse(o, 409, "Tenant %s has %lld workers; set them to 0 first.",
		                      name, (long long)db_int(r, 0, 1));
	if (living)
		return outcome_refuse(o, 409, "Tenant %s has %lld clusters; delete them first.",
		                      name, (long long)living);
	rc = plugin_resources_drop(db, db_str(r, 0, 0));
	if (!rc)
		rc = drop_all(db, db_str(r, 0, 0));
	return rc ? rc : outcome_done(o, 0, 0);
}
