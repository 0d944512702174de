/* SPDX-License-Identifier: Apache-2.0 */
/* Spreads the workers that tenants want over the provisioners that are told how many to run. */
#include "common/model/worker/worker_share.h"

#include "common/base/str.h"

#include <string.h>

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

/* ---- who runs how many ----------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t used(const int64_t *shares, size_t m, size_t provisioner)
{
	int64_t sum = 0;
	for (size_t t = 0; t < m; t++)
		sum += shares[provisioner * m + t];
	return sum;
}

void shares_spread(const int64_t *capacity, size_t n, const int64_t *wanted, size_t m,
                   int64_t *shares)
{
	for (size_t t = 0; t < m; t++) {
		int64_t more = wanted[t];
		for (size_t p = 0; p < n; p++)
			more -= shares[p * m + t];
		for (size_t p = 0; p < n && more < 0; p++) {
			int64_t drop = least(-more, shares[p * m + t]);
			shares[p * m + t] -= drop;
			more += drop;
		}
	}
	for (size_t t = 0; t < m; t++) {
		int64_t more = wanted[t];
		for (size_t p = 0; p < n; p++)
			more -= shares[p * m + t];
		for (size_t p = 0; p < n && more > 0; p++) {
			int64_t room = capacity[p] - used(shares, m, p);
			int64_t add = room > 0 ? least(more, room) : 0;
			shares[p * m + t] += add;
			more -= add;
		}
	}
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct world {
	struct db_result *provisioners, *tenants, *had;
	size_t n, m;
	int64_t *capacity, *wanted, *before, *shares;
};

static void world_fini(struct world *w)
{
	db_result_free(w->provisioners);
	db_result_free(w->tenants);
	db_result_free(w->had);
	loom_free(w->capacity);
	loom_free(w->wanted);
	loom_free(w->before);
	loom_free(w->shares);
}

/* Searches rows sorted by their first column; n: not found. */
static size_t index_of(const struct db_result *r, const char *id)
{
	size_t i = 0;
	while (i < db_rows(r) && !str_eq(db_str(r, i, 0), id))
		i++;
	return i;
}

static int world_read(struct db *db, struct world *w)
{
	int64_t one;
	int rc = db_select_int(db, &one, NULL,
	                       "SELECT value FROM counter WHERE name='workers' FOR UPDATE", "");
	if (!rc)
		rc = db_select(db, &w->provisioners,
		               "SELECT id, capacity FROM provisioner WHERE told<>0 ORDER BY id",
		               "");
	if (!rc) /* includes tenants that want none any more */
		rc = db_select(db, &w->tenants,
		               "SELECT id, workers FROM tenant WHERE workers>0 OR id IN"
		               " (SELECT tenant_id FROM worker_share) ORDER BY id",
		               "");
	if (!rc)
		rc = db_select(db, &w->had,
		               "SELECT provisioner_id, tenant_id, workers FROM worker_share", "");
	if (rc)
		return rc;
	w->n = db_rows(w->provisioners);
	w->m = db_rows(w->tenants);
	w->capacity = loom_calloc(w->n + 1, sizeof(*w->capacity));
	w->wanted = loom_calloc(w->m + 1, sizeof(*w->wanted));
	w->before = loom_calloc(w->n * w->m + 1, sizeof(*w->before));
	w->shares = loom_calloc(w->n * w->m + 1, sizeof(*w->shares));
	for (size_t p = 0; p < w->n; p++)
		w->capacity[p] = db_int(w->provisioners, p, 1);
	for (size_t t = 0; t < w->m; t++)
		w->wanted[t] = db_int(w->tenants, t, 1);
	for (size_t i = 0; i < db_rows(w->had); i++) {
		size_t p = index_of(w->provisioners, db_str(w->had, i, 0));
		size_t t = index_of(w->tenants, db_str(w->had, i, 1));
		if (p < w->n && t < w->m)
			w->before[p * w->m + t] = db_int(w->had, i, 2);
	}
	memcpy(w->shares, w->before, w->n * w->m * sizeof(*w->shares));
	return 0;
}

/* The number of a change must not repeat one of an earlier row, whose call may return late. */
static int save_one(struct db *db, const char *provisioner, const char *tenant, int64_t workers)
{
	return db_exec(db,
	               "INSERT INTO worker_share (provisioner_id, tenant_id, workers, changes)"
	               " VALUES (?,?,?," NOW ") ON DUPLICATE KEY UPDATE not_before=0, tries=0,"
	               " changes=changes+1, workers=VALUES(workers)",
	               "ssi", provisioner, tenant, workers);
}

static int save(struct db *db, const struct world *w)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < w->n * w->m; i++) {
		if (w->shares[i] != w->before[i])
			rc = save_one(db, db_str(w->provisioners, i / w->m, 0),
			              db_str(w->tenants, i % w->m, 0), w->shares[i]);
	}
	return rc;
}

int shares_balance(struct db *db)
{
	struct world w = { 0 };
	int rc = world_read(db, &w);
	if (!rc)
		rc = db_exec(db,
		             "DELETE FROM worker_share WHERE provisioner_id NOT IN"
		             " (SELECT id FROM provisioner WHERE told<>0)",
		             "");
	if (!rc) {
		shares_spread(w.capacity, w.n, w.wanted, w.m, w.shares);
		rc = save(db, &w);
	}
	world_fini(&w);
	return rc;
}

int shares_forget(struct db *db, const char *provisioner)
{
	return db_exec(db, "DELETE FROM worker_share WHERE provisioner_id=?", "s", provisioner);
}

int shares_touch(struct db *db, const char *tenant)
{
	return db_exec(db,
	               "UPDATE worker_share SET changes=changes+1, not_before=0 WHERE tenant_id=?"
	               " AND workers>0",
	               "s", tenant);
}

/* ---- pushing --------------------------------------------------------------------------------- */

void share_due_fini(struct share_due *d)
{
	loom_free(d->provisioner);
	loom_free(d->tenant);
	loom_free(d->host);
	*d = (struct share_due){ 0 };
}

#define DUE "s.told<s.changes AND s.not_before<=" NOW

int shares_due(struct db *db, bool *ret)
{
	int64_t one;
	return db_select_int(db, &one, ret, "SELECT 1 FROM worker_share s WHERE " DUE " LIMIT 1",
	                     "");
}

int share_claim(struct db *db, int64_t ms, struct share_due *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	*ret = (struct share_due){ 0 };
	int rc = db_select(db, &r,
	                   "SELECT s.provisioner_id, s.tenant_id, p.host, p.port, s.workers,"
	                   " s.changes, s.tries FROM worker_share s JOIN provisioner p ON"
	                   " p.id=s.provisioner_id WHERE " DUE " ORDER BY s.not_before,"
	                   " s.provisioner_id, s.tenant_id LIMIT 1 FOR UPDATE",
	                   "");
	if (rc || !db_rows(r))
		return rc;
	*ret = (struct share_due){ .provisioner = loom_strdup(db_str(r, 0, 0)),
		                   .tenant = loom_strdup(db_str(r, 0, 1)),
		                   .host = loom_strdup(db_str(r, 0, 2)),
		                   .port = db_int(r, 0, 3),
		                   .workers = db_int(r, 0, 4),
		                   .change = db_int(r, 0, 5),
		                   .tries = db_int(r, 0, 6) };
	return db_exec(db,
	               "UPDATE worker_share SET not_before=" NOW "+? WHERE provisioner_id=?"
	               " AND tenant_id=?",
	               "iss", ms, ret->provisioner, ret->tenant);
}

int share_pushed(struct db *db, const struct share_due *d)
{
	return db_exec(
		db,
		"UPDATE worker_share SET told=?, tries=0, not_before=0 WHERE provisioner_id=?"
		" AND tenant_id=? AND changes>=?",
		"issi", d->change, d->provisioner, d->tenant, d->change);
}

int share_failed(struct db *db, const struct share_due *d, int64_t ms)
{
	return db_exec(db,
	               "UPDATE worker_share SET tries=tries+1, not_before=" NOW
	               "+? WHERE provisioner_id=? AND tenant_id=?",
	               "iss", ms, d->provisioner, d->tenant);
}

int shares_list(struct db *db, const char *least, const char *greatest, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT provisioner_id, tenant_id, workers FROM worker_share"
	                   " WHERE provisioner_id>=? AND provisioner_id<=? AND workers>0",
	                   "ss", least, greatest);
	if (rc)
		return rc;
	*ret = json_new_obj();
	for (size_t i = 0; i < db_rows(r); i++) {
		struct json *o = json_get(*ret, db_str(r, i, 0));
		if (!o) {
			o = json_new_obj();
			json_set(*ret, db_str(r, i, 0), o);
		}
		json_set_int(o, db_str(r, i, 1), db_int(r, i, 2));
	}
	return 0;
}
