/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox of callbacks: written with the change they tell of, sent in order. */
#include "common/model/callback/callback.h"

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/callback/callback_target.h"
#include "common/model/row.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

#define KEY_BYTES 16
#define UNREAD_MS 60000 /* before an unreadable row is looked at again */

static const char *const names[CALLBACK_KINDS_] = {
	[CALLBACK_START] = "start",
	[CALLBACK_SUCCESS] = "success",
	[CALLBACK_FAILURE] = "failure",
	[CALLBACK_LEASE_WARNING] = "lease_warning",
	[CALLBACK_LEASE_EXPIRED] = "lease_expired",
};

const char *callback_kind_name(enum callback_kind k)
{
	return names[k];
}

bool callback_kind_parse(const char *name, enum callback_kind *ret)
{
	for (int k = 0; k < CALLBACK_KINDS_; k++) {
		if (str_ieq(names[k], name)) {
			*ret = (enum callback_kind)k;
			return true;
		}
	}
	return false;
}

void callback_fini(struct callback *c)
{
	loom_free(c->tenant_id);
	loom_free(c->url);
	loom_free(c->secret);
	json_free(c->snapshot);
	*c = (struct callback){ 0 };
}

void callbacks_fini(struct callbacks *l)
{
	for (size_t i = 0; i < l->n; i++)
		callback_fini(&l->v[i]);
	*l = (struct callbacks){ 0 };
}

/* The key of a target: its callbacks are delivered in order, and wait together if it does not
 * answer. */
static void target_key(const struct callback *c, char out[2 * KEY_BYTES + 1])
{
	unsigned char hash[KEY_BYTES];
	LOOM_CLEANUP_STR char *text = loom_asprintf("%s\n%s\n%s", c->tenant_id, c->secret, c->url);
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)text, strlen(text), NULL, 0);
	sodium_bin2hex(out, 2 * KEY_BYTES + 1, hash, sizeof(hash));
}

int callback_of_cluster(struct db *db, int64_t cluster, const char *tenant, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	LOOM_CLEANUP(json_free) struct json *own = NULL;
	int rc = db_select(db, &r,
	                   "SELECT JSON_EXTRACT(template, '$.administration.callbacks')"
	                   " FROM cluster WHERE id=?",
	                   "i", cluster);
	if (!rc)
		rc = callback_target_list(
			db, tenant, &(struct list_part){ .limit = CALLBACK_TARGETS_MAX }, &own);
	if (rc)
		return rc;
	struct json *list = db_rows(r) ? row_json_at(r, 0, 0) : NULL;
	if (!json_is(list, JSON_ARRAY)) {
		json_free(list);
		list = json_new_arr();
	}
	for (size_t i = 0; i < json_len(own); i++)
		json_push(list, json_copy(json_at(own, i)));
	*ret = list;
	return 0;
}

int callback_insert(struct db *db, const struct callback *c)
{
	char key[2 * KEY_BYTES + 1];
	target_key(c, key);
	LOOM_CLEANUP_STR char *snapshot = json_text(c->snapshot);
	return db_exec(db,
	               "INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind,"
	               " target, url, secret, as_then, state, not_before, create_time)"
	               " VALUES (?,?,?,?,?,?,?,?,?,'waiting',?,?)",
	               "ssiisssssii", c->delivery, c->tenant_id, c->cluster_id, c->job_num,
	               names[c->kind], key, c->url, c->secret, snapshot, c->create_time,
	               c->create_time);
}

struct claim {
	int64_t lease_ms, share;
	size_t most;
	struct callbacks *l; /* not empty after a run whose commit may have succeeded */
	/* the cluster and target with a due callback */
	int64_t cluster;
	char target[2 * KEY_BYTES + 1];
	bool any;
};

/* The target that has waited longest among those with a due callback, and the cluster concerned. A
 * loose index scan reads one entry of by_target per target, however many callbacks wait for it. The
 * rest of the join order is forced: after many inserts the server may assume an empty table. */
static const char due_sql[] =
	"SELECT o.cluster_id, d.target FROM (SELECT target, MIN(not_before) AS due"
	" FROM callback FORCE INDEX FOR GROUP BY (by_target) WHERE state='waiting'"
	" GROUP BY target) d"
	" STRAIGHT_JOIN callback o FORCE INDEX (PRIMARY) ON o.id="
	"(SELECT e.id FROM callback e FORCE INDEX (by_target) WHERE e.target=d.target"
	" AND e.state='waiting' ORDER BY e.not_before LIMIT 1)"
	" LEFT JOIN callback_silence s ON s.target=d.target AND s.until>" NOW
	" LEFT JOIN (SELECT DISTINCT target FROM callback FORCE INDEX (busy)"
	" WHERE busy_until>" NOW ") b ON b.target=d.target"
	" LEFT JOIN (SELECT tenant_id, COUNT(*) AS n FROM callback FORCE INDEX (busy)"
	" WHERE busy_until>" NOW " GROUP BY tenant_id) q ON q.tenant_id=o.tenant_id"
	" WHERE d.due<=" NOW " AND s.target IS NULL AND b.target IS NULL"
	" AND COALESCE(q.n, 0)<? ORDER BY d.due LIMIT 1";

static int find_due(struct db *db, void *arg)
{
	struct claim *cl = arg;
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	db_unprepare(db, due_sql);
	int rc = db_select(db, &r, due_sql, "i", cl->share);
	cl->any = !rc && db_rows(r);
	if (cl->any) {
		cl->cluster = db_int(r, 0, 0);
		snprintf(cl->target, sizeof(cl->target), "%s", db_str(r, 0, 1));
	}
	return rc;
}

static int row_to_callback(const struct db_result *r, size_t i, struct callback *c)
{
	*c = (struct callback){ .id = db_int(r, i, 0),
		                .cluster_id = db_int(r, i, 3),
		                .job_num = db_int(r, i, 4),
		                .create_time = db_int(r, i, 9),
		                .attempts = db_int(r, i, 10) };
	snprintf(c->delivery, sizeof(c->delivery), "%s", db_str(r, i, 1));
	c->tenant_id = loom_strdup(db_str(r, i, 2));
	c->url = loom_strdup(db_str(r, i, 6));
	c->secret = loom_strdup(db_str(r, i, 7));
	c->snapshot = row_json_at(r, i, 8);
	return callback_kind_parse(db_str(r, i, 5), &c->kind) ? 0 : DB_E_FATAL;
}

static int claimed_before(struct db *db, const struct claim *cl, bool *ret)
{
	int64_t one;
	*ret = false;
	if (!cl->l->n)
		return 0;
	return db_select_int(db, &one, ret,
	                     "SELECT 1 FROM callback WHERE id=? AND claim=? FOR UPDATE", "ii",
	                     cl->l->v[0].id, cl->l->claim);
}

int callbacks_rewind(struct db *db, int64_t not_before, int64_t busy_until)
{
	return db_exec(db,
	               "UPDATE callback SET not_before=LEAST(not_before, ?),"
	               " busy_until=LEAST(busy_until, ?) WHERE state='waiting' AND"
	               " (not_before>? OR busy_until>?)",
	               "iiii", not_before, busy_until, not_before, busy_until);
}

/* Serializes claims: concurrent ones would not see each other's rows. */
static int one_at_a_time(struct db *db)
{
	int64_t n;
	return db_select_int(db, &n, NULL,
	                     "SELECT value FROM counter WHERE name='callback claims' FOR UPDATE",
	                     "");
}

/* Rows of a claim: sql has `values`, then the ids of rows. */
#define IDS      "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)" /* CALLBACK_MAX_CLAIM */
#define OF_CLAIM " WHERE claim=? AND state='waiting' AND id IN " IDS
enum { MAX_VALUES = 8 };

static int exec_rows(struct db *db, const char *sql, const struct db_value *values, size_t n_values,
                     const struct callback *v, size_t n)
{
	struct db_value all[MAX_VALUES + CALLBACK_MAX_CLAIM];
	loom_assert(n_values <= MAX_VALUES && n <= CALLBACK_MAX_CLAIM);
	if (!n)
		return 0;
	memcpy(all, values, n_values * sizeof(*values));
	for (size_t i = 0; i < CALLBACK_MAX_CLAIM; i++)
		all[n_values + i] = db_i(v[i < n ? i : n - 1].id);
	return db_exec_values(db, sql, all, n_values + CALLBACK_MAX_CLAIM);
}

/* A target is busy while its first claimed row says so; that counts as one, however many rows were
 * claimed with it. not_before stays, so that an expired claim leaves all in order. */
static int mark(struct db *db, const struct claim *cl, int64_t until)
{
	struct callbacks *l = cl->l;
	randombytes_buf(&l->claim, sizeof(l->claim));
	const struct db_value v[] = { db_i(l->claim), db_i(l->v[0].id), db_i(until) };
	return exec_rows(db,
	                 "UPDATE callback SET claim=?, busy_until=IF(id=?, ?, 0)"
	                 " WHERE id IN " IDS,
	                 v, LOOM_COUNT(v), l->v, l->n);
}

/* Is the row's predecessor about the same cluster (0: none) in the list already? */
static bool in_order(const struct callbacks *l, int64_t after)
{
	for (size_t i = l->n; after && i-- > 0;) {
		if (l->v[i].id == after)
			return true;
	}
	return !after;
}

/* A row that this version cannot read is left for later, or for another version, together with
 * later rows about the same cluster, but no others. */
static int claim_row(struct db *db, const struct db_result *r, size_t i, struct callbacks *l)
{
	struct callback *c = &l->v[l->n];
	int rc = row_to_callback(r, i, c);
	if (rc != DB_E_FATAL) {
		l->n += !rc;
		return rc;
	}
	log_error("a callback cannot be read", LOG_I("callback", c->id),
	          LOG_S("kind", db_str(r, i, 5)));
	rc = db_exec(db, "UPDATE callback SET not_before=" NOW "+? WHERE id=?", "ii",
	             (int64_t)UNREAD_MS, c->id);
	callback_fini(c);
	return rc;
}

static int claim_rows(struct db *db, struct claim *cl, int64_t first)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT c.id, c.delivery, c.tenant_id, c.cluster_id, c.job_num, c.kind, c.url,"
		" c.secret, c.as_then, c.create_time, c.attempts, " NOW ","
		" (SELECT e.id FROM callback e FORCE INDEX (by_order)"
		" WHERE e.cluster_id=c.cluster_id AND e.target=c.target AND e.state='waiting'"
		" AND e.id<c.id ORDER BY e.id DESC LIMIT 1)"
		" FROM (SELECT ? AS id UNION ALL SELECT id FROM (SELECT id FROM callback"
		" FORCE INDEX (by_target) WHERE target=? AND state='waiting' AND not_before<=" NOW
		" AND id<>? ORDER BY not_before, id LIMIT ?) o) d"
		" STRAIGHT_JOIN callback c FORCE INDEX (PRIMARY) ON c.id=d.id"
		" ORDER BY c.id FOR UPDATE",
		"isii", first, cl->target, first, (int64_t)cl->most - 1);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		if (in_order(cl->l, db_int(r, i, 12)))
			rc = claim_row(db, r, i, cl->l);
	}
	return rc || !cl->l->n ? rc : mark(db, cl, db_int(r, 0, 11) + cl->lease_ms);
}

/* Callbacks after one that waits for a retry wait as long. Many are moved in small steps, because
 * nobody can claim meanwhile. */
static int line_up(struct db *db, const struct claim *cl, int64_t not_before)
{
	return db_exec(db,
	               "UPDATE callback FORCE INDEX (by_order) SET not_before=?"
	               " WHERE cluster_id=? AND target=? AND state='waiting' AND not_before<?"
	               " LIMIT 1000",
	               "iisi", not_before, cl->cluster, cl->target, not_before);
}

static int claim_tx(struct db *db, void *arg)
{
	struct claim *cl = arg;
	bool mine;
	int rc = claimed_before(db, cl, &mine);
	if (rc || mine)
		return rc;
	callbacks_fini(cl->l);
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	rc = one_at_a_time(db);
	if (!rc)
		rc = find_due(db, cl);
	if (rc || !cl->any)
		return rc;
	rc = db_select(db, &r,
	               "SELECT id, not_before, " NOW " FROM callback FORCE INDEX (by_order)"
	               " WHERE cluster_id=? AND target=? AND state='waiting'"
	               " ORDER BY id LIMIT 1 FOR UPDATE",
	               "is", cl->cluster, cl->target);
	if (rc || !db_rows(r))
		return rc;
	int64_t not_before = db_int(r, 0, 1);
	return not_before > db_int(r, 0, 2) ? line_up(db, cl, not_before)
	                                    : claim_rows(db, cl, db_int(r, 0, 0));
}

/* Tries once more after moving rows that are not due out of the way. */
int callback_claim(struct db_pool *p, int64_t lease_ms, int64_t share, size_t most,
                   struct callbacks *ret)
{
	struct claim cl = { .lease_ms = lease_ms, .share = share, .most = most, .l = ret };
	loom_assert(most && most <= CALLBACK_MAX_CLAIM);
	*ret = (struct callbacks){ 0 };
	int rc = db_read(p, find_due, &cl);
	while (!rc && cl.any && !ret->n)
		rc = db_tx(p, claim_tx, &cl);
	if (rc)
		callbacks_fini(ret);
	return rc;
}

int callback_delivered(struct db *db, const struct callbacks *l, size_t n_delivered)
{
	const struct db_value v[] = { db_i(l->claim) };
	loom_assert(n_delivered <= l->n);
	return exec_rows(db, "DELETE FROM callback" OF_CLAIM, v, LOOM_COUNT(v), l->v, n_delivered);
}

int callback_failed(struct db *db, const struct callbacks *l, size_t at, int64_t status,
                    const char *reason, int64_t retry_ms)
{
	const struct db_value v[] = { db_s(retry_ms < 0 ? "dead" : "waiting"),
		                      db_i(retry_ms < 0 ? 0 : retry_ms), db_i(status), db_s(reason),
		                      db_i(l->claim) };
	return exec_rows(db,
	                 "UPDATE callback SET claim=0, busy_until=0, attempts=attempts+1, state=?,"
	                 " not_before=" NOW "+?, last_time=" NOW
	                 ", last_status=?, last_error=?" OF_CLAIM,
	                 v, LOOM_COUNT(v), &l->v[at], 1);
}

int callback_not_begun(struct db *db, const struct callbacks *l)
{
	const struct db_value v[] = { db_i(l->claim) };
	return exec_rows(db, "UPDATE callback SET claim=0, busy_until=0" OF_CLAIM, v, LOOM_COUNT(v),
	                 l->v, l->n ? 1 : 0);
}

int callback_put_off(struct db *db, const struct callback *c, int64_t wait_ms)
{
	char key[2 * KEY_BYTES + 1];
	target_key(c, key);
	return db_exec(db,
	               "INSERT INTO callback_silence (target, until) VALUES (?, " NOW "+?)"
	               " ON DUPLICATE KEY UPDATE until=GREATEST(until, VALUES(until))",
	               "si", key, wait_ms);
}

int callback_silences_expire(struct db *db)
{
	return db_exec(db, "DELETE FROM callback_silence WHERE until<=" NOW " LIMIT 1000", "");
}

static struct json *listed(const struct db_result *r, size_t i, bool all)
{
	char id[ID_MAX];
	struct json *o = json_set_int(json_new_obj(), "id", db_int(r, i, 0));
	json_set_str(o, "delivery", db_str(r, i, 1));
	json_set_str(o, "tenantId", db_str(r, i, 2));
	id_cluster(id, db_int(r, i, 3));
	json_set_str(o, "clusterId", id);
	id_job(id, db_int(r, i, 3), db_int(r, i, 4));
	json_set_str(o, "jobId", db_int(r, i, 4) ? id : NULL);
	json_set_str(o, "event", db_str(r, i, 5));
	bool global = str_eq(db_str(r, i, 7), "global");
	const char *tenants = str_starts(db_str(r, i, 7), "tenant:") ? db_str(r, i, 7) : NULL;
	json_set_str(o, "target", global ? "global" : tenants ? tenants : "template");
	json_set_str(o, "url", all || !global ? db_str(r, i, 6) : NULL);
	json_set_str(o, "state", db_str(r, i, 8));
	json_set_int(o, "attempts", db_int(r, i, 9));
	json_set_int(o, "createTime", db_int(r, i, 10));
	if (str_eq(db_str(r, i, 8), "waiting"))
		json_set_int(o, "nextTime", db_int(r, i, 11));
	if (db_int(r, i, 12))
		json_set_int(o, "lastTime", db_int(r, i, 12));
	if (db_int(r, i, 13))
		json_set_int(o, "lastStatus", db_int(r, i, 13));
	return json_set_str(o, "message", db_str(r, i, 14));
}

int callback_list(struct db *db, const char *tenant, const char *state,
                  const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = LIST_PARTS_AS(
		"SELECT id, delivery, tenant_id, cluster_id, job_num, kind, url, secret, state,"
		" attempts, create_time, not_before, last_time, last_status, last_error"
		" FROM callback WHERE (? IS NULL OR tenant_id=?) AND (? IS NULL OR state=?)",
		"id", "CAST(? AS SIGNED)");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, parts[part->down], "ssss" LIST_PART_TYPES, tenant, tenant, state,
	                   state, LIST_PART_VALUES(part));
	if (rc)
		return rc;
	*ret = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++)
		json_push(*ret, listed(r, i, !tenant));
	return 0;
}

#define TALLY LIST_TALLY("id, state, attempts, not_before, last_time")

int callback_tally(struct db *db, const char *tenant, int64_t *ret)
{
	return db_select_int(db, ret, NULL, TALLY "callback WHERE (? IS NULL OR tenant_id=?)", "ss",
	                     tenant, tenant);
}

/* Its successors no longer wait for its retry, nor for its target to answer. */
static int let_follow(struct db *db, const char *tenant, int64_t id)
{
	int rc = db_exec(db,
	                 "UPDATE callback o JOIN callback c FORCE INDEX (by_order)"
	                 " ON c.cluster_id=o.cluster_id AND c.target=o.target"
	                 " AND c.state='waiting' SET c.not_before=" NOW
	                 " WHERE o.id=? AND (? IS NULL OR o.tenant_id=?) AND c.id>o.id"
	                 " AND c.busy_until<=" NOW " AND c.not_before>" NOW,
	                 "iss", id, tenant, tenant);
	return rc ? rc
	          : db_exec(db,
	                    "DELETE s FROM callback o JOIN callback_silence s ON s.target=o.target"
	                    " WHERE o.id=? AND (? IS NULL OR o.tenant_id=?)",
	                    "iss", id, tenant, tenant);
}

int callback_replay(struct db *db, const char *tenant, int64_t id)
{
	int rc = let_follow(db, tenant, id);
	if (!rc)
		rc = db_exec(db,
		             "UPDATE callback SET attempts=IF(state='dead', 0, attempts),"
		             " state='waiting', not_before=" NOW
		             " WHERE id=? AND (? IS NULL OR tenant_id=?)",
		             "iss", id, tenant, tenant);
	return rc ? rc : db_affected(db) ? 0 : CALLBACK_E_NONE;
}

int callback_delete(struct db *db, const char *tenant, int64_t id)
{
	int rc = let_follow(db, tenant, id);
	if (!rc)
		rc = db_exec(db, "DELETE FROM callback WHERE id=? AND (? IS NULL OR tenant_id=?)",
		             "iss", id, tenant, tenant);
	return rc ? rc : db_affected(db) ? 0 : CALLBACK_E_NONE;
}
