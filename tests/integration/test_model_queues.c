/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in queues, on a real server with Loom's schema: jobs of tenants, callbacks of
 * targets. */
#include "common/base/str.h"
#include "common/model/callback/callback.h"
#include "common/model/cluster/job.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <inttypes.h>
#include <stdio.h>

static struct db_pool *pool;

static void setup(void)
{
	pool = loom_database("test_model_queues");
}

static void teardown(void)
{
	db_pool_destroy(pool);
}

static void in_tx(db_tx_fn fn)
{
	ck_assert_int_eq(db_tx(pool, fn, NULL), 0);
}

/* ---- whose job is planned next --------------------------------------------------------------- */

static const char *const waiting[] = { "a", "a", "a", "b", "c" };

static int insert_waiting(struct db *db, void *arg LOOM_UNUSED)
{
	int rc = db_exec(db, "DELETE FROM job", "");
	for (size_t i = 0; !rc && i < LOOM_COUNT(waiting); i++) {
		LOOM_CLEANUP_STR char *tenant = loom_strdup(waiting[i]);
		struct cluster c = { .id = 100 + (int64_t)i, .tenant_id = tenant, .next_job = 1 };
		struct job j;
		job_new(&c, "solve_layout", NULL, 1000 + (int64_t)i, &j);
		rc = job_insert(db, &c, &j);
		job_fini(&j);
		for (size_t k = 0; k < c.n_unsaved; k++)
			loom_free(c.unsaved[k].data);
		loom_free(c.unsaved);
	}
	/* b's is paused, and a's oldest is another's for the next minute */
	if (!rc)
		rc = db_exec(db, "UPDATE job SET status='paused' WHERE tenant_id='b'", "");
	return rc ? rc
	          : db_exec(db,
	                    "UPDATE job SET lease_until=CAST(UNIX_TIMESTAMP(NOW(3))*1000+60000 AS"
	                    " SIGNED) WHERE cluster_id=100",
	                    "");
}

/* After whose turn whose comes, and the job that is claimed then; 0: none. In order. */
static const struct {
	const char *after, *next;
	int64_t cluster;
} turns[] = {
	{ "", "a", 101 }, { "a", "c", 104 }, { "c", "a", 102 },
	{ "a", NULL, 0 }, { "", NULL, 0 },   { "zz", NULL, 0 },
};

START_TEST(tenants_take_turns)
{
	in_tx(insert_waiting);
	for (size_t i = 0; i < LOOM_COUNT(turns); i++) {
		char tenant[65];
		bool found;
		ck_assert_int_eq(job_turn(pool, turns[i].after, tenant, sizeof(tenant), &found), 0);
		ck_assert_int_eq(found, turns[i].next != NULL);
		if (!found)
			continue;
		ck_assert_str_eq(tenant, turns[i].next);
		struct job_claimant by = { "me", tenant, 60000 };
		struct job j;
		ck_assert_int_eq(job_claim(pool, &by, &j, &found), 0);
		ck_assert(found);
		ck_assert_int_eq(j.cluster_id, turns[i].cluster);
		job_fini(&j);
	}
	struct job_claimant by = { "me", "b", 60000 };
	struct job j;
	bool found;
	ck_assert_int_eq(job_claim(pool, &by, &j, &found), 0);
	ck_assert(!found);
}
END_TEST

/* ---- callbacks ------------------------------------------------------------------------------- */

enum { LEASE_MS = 60000, SHARE = 100, BACKLOG = 20000, FEW_READS = 300 };

/* One for /url about a cluster of tenant `t` or another; due since create_time. */
static int callback_add(struct db *db, void *arg)
{
	struct callback *c = arg;
	c->secret = (char[]){ "" };
	c->snapshot = json_new_obj();
	snprintf(c->delivery, sizeof(c->delivery), "%" PRId64, c->cluster_id);
	int rc = callback_insert(db, c);
	json_free(c->snapshot);
	return rc;
}

static void waits(const char *tenant, const char *url, int64_t cluster, int64_t since)
{
	LOOM_CLEANUP_STR char *t = loom_strdup(tenant), *u = loom_strdup(url);
	struct callback c = {
		.tenant_id = t, .url = u, .cluster_id = cluster, .create_time = since
	};
	ck_assert_int_eq(db_tx(pool, callback_add, &c), 0);
}

static int no_callbacks(struct db *db, void *arg LOOM_UNUSED)
{
	int rc = db_exec(db, "DELETE FROM callback", "");
	return rc ? rc : db_exec(db, "DELETE FROM callback_silence", "");
}

/* Many more for the target of the only one, about 4000 clusters. */
static int backlog(struct db *db, void *arg LOOM_UNUSED)
{
	return db_exec(db,
	               "INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind,"
	               " target, url, secret, as_then, state, not_before, create_time)"
	               " SELECT s.seq, c.tenant_id, 1000+s.seq%4000, 0, c.kind, c.target, c.url,"
	               " c.secret, c.as_then, c.state, s.seq, s.seq FROM callback c"
	               " JOIN seq_1_to_20000 s",
	               "");
}

/* Of the only connection that was made. */
static int rows_read(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL,
	                     "SELECT CAST(SUM(variable_value) AS SIGNED)"
	                     " FROM information_schema.session_status"
	                     " WHERE variable_name LIKE 'Handler\\_read%'",
	                     "");
}

static int64_t reads(void)
{
	int64_t n = 0;
	ck_assert_int_eq(db_read(pool, rows_read, &n), 0);
	return n;
}

/* The cluster of the one that is claimed; 0: none is due. */
static int64_t claim(struct callbacks *l)
{
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, 1, l), 0);
	return l->n ? l->v[0].cluster_id : 0;
}

static int tell_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_delivered(db, l, l->n);
}

static int fail_tx(struct db *db, void *arg)
{
	return callback_failed(db, arg, 0, 500, "no", LEASE_MS);
}

static int silent_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	int rc = callback_failed(db, l, 0, 0, "no answer", 0);
	return rc ? rc : callback_put_off(db, &l->v[0], LEASE_MS);
}

static int replay_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_replay(db, l->v[0].tenant_id, l->v[0].id);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_delete(db, l->v[0].tenant_id, l->v[0].id);
}

static void end(struct callbacks *l, db_tx_fn how)
{
	ck_assert_int_eq(db_tx(pool, how, l), 0);
	callbacks_fini(l);
}

START_TEST(a_backlog_costs_a_claim_nothing)
{
	struct callbacks busy, c;
	in_tx(no_callbacks);
	waits("a", "http://a/", 999, 0);
	in_tx(backlog);
	for (int64_t k = 1; k <= 5; k++)
		waits("b", "http://b/", k, BACKLOG + k);
	ck_assert_int_eq(claim(&busy), 999);
	for (int64_t k = 1; k <= 6; k++) {
		int64_t before = reads();
		int64_t cluster = claim(&c);
		int64_t cost = reads() - before;
		ck_assert_msg(cost < FEW_READS, "%" PRId64 " rows read", cost);
		ck_assert_int_eq(cluster, k % 6);
		end(&c, tell_tx);
	}
	end(&busy, tell_tx);
	int64_t before = reads();
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &busy), 0);
	ck_assert_int_lt(reads() - before, FEW_READS);
	ck_assert_uint_eq(busy.n, CALLBACK_MAX_CLAIM);
	end(&busy, silent_tx);
	before = reads();
	ck_assert_int_eq(claim(&c), 0);
	ck_assert_int_lt(reads() - before, FEW_READS);
}
END_TEST

/* Two callbacks about cluster 1 and between them one about 2, for one target. What becomes of the
 * first; the clusters that are told about then; what is done about it; and who is told then. */
static const struct {
	db_tx_fn first;
	int64_t told[3];
	db_tx_fn then;
	int64_t told_then[4];
} orders[] = {
	{ tell_tx, { 2, 1 }, NULL, { 0 } },        { fail_tx, { 2 }, replay_tx, { 1, 1 } },
	{ fail_tx, { 2 }, delete_tx, { 1 } },      { silent_tx, { 0 }, replay_tx, { 2, 1, 1 } },
	{ silent_tx, { 0 }, delete_tx, { 2, 1 } },
};

static void expect_told(const int64_t *clusters)
{
	int64_t last[3] = { 0 };
	do {
		struct callbacks c;
		int64_t cluster = claim(&c);
		ck_assert_int_eq(cluster, *clusters);
		if (!cluster)
			continue;
		ck_assert_int_gt(c.v[0].id, last[cluster]);
		last[cluster] = c.v[0].id;
		end(&c, tell_tx);
	} while (*clusters++);
}

START_TEST(what_follows_waits_for_what_failed)
{
	struct callbacks first;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 3; k++)
		waits("a", "http://a/", 1 + k % 2, 1000 + k);
	ck_assert_int_eq(claim(&first), 1);
	ck_assert_int_eq(db_tx(pool, orders[_i].first, &first), 0);
	expect_told(orders[_i].told);
	if (orders[_i].then)
		ck_assert_int_eq(db_tx(pool, orders[_i].then, &first), 0);
	expect_told(orders[_i].told_then);
	callbacks_fini(&first);
}
END_TEST

/* Of that connection, too. */
static int commits_made(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL,
	                     "SELECT CAST(variable_value AS SIGNED)"
	                     " FROM information_schema.session_status"
	                     " WHERE variable_name='Com_commit'",
	                     "");
}

static int64_t commits(void)
{
	int64_t n = 0;
	ck_assert_int_eq(db_read(pool, commits_made, &n), 0);
	return n;
}

/* Claims of several, each told whole: how many were told, each in its cluster's order. */
static int64_t tell_all(int64_t *claims)
{
	struct callbacks l;
	int64_t told = 0, last[8] = { 0 };
	for (*claims = 0;; (*claims)++) {
		ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
		if (!l.n)
			return told;
		for (size_t i = 0; i < l.n; i++, told++) {
			ck_assert_int_gt(l.v[i].id, last[l.v[i].cluster_id]);
			last[l.v[i].cluster_id] = l.v[i].id;
		}
		end(&l, tell_tx);
	}
}

START_TEST(what_waits_for_one_target_is_claimed_together)
{
	enum { WAITING = 3 * CALLBACK_MAX_CLAIM };
	int64_t claims, before;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < WAITING; k++)
		waits("a", "http://a/", 1 + k % 7, 1000 + k);
	before = commits();
	ck_assert_int_eq(tell_all(&claims), WAITING);
	ck_assert_int_eq(claims, 3);
	ck_assert_int_le(commits() - before, 2 * claims);
}
END_TEST

START_TEST(a_claim_of_several_is_one_target_under_way)
{
	struct callbacks first, other;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 4; k++)
		waits("a", "http://a/", 1 + k, 1000 + k);
	waits("a", "http://b/", 1, 2000);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 2, CALLBACK_MAX_CLAIM, &first), 0);
	ck_assert_uint_eq(first.n, 4);
	waits("a", "http://a/", 5, 500);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 1, CALLBACK_MAX_CLAIM, &other), 0);
	ck_assert_uint_eq(other.n, 0);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 2, CALLBACK_MAX_CLAIM, &other), 0);
	ck_assert_uint_eq(other.n, 1);
	ck_assert_str_eq(other.v[0].url, "http://b/");
	callbacks_fini(&first);
	callbacks_fini(&other);
}
END_TEST

/* The first was told, the second, about cluster 2, was not: those after it were not begun. */
static int stopped_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	int rc = callback_delivered(db, l, 1);
	return rc ? rc : callback_failed(db, l, 1, 500, "no", LEASE_MS);
}

START_TEST(what_follows_a_failure_goes_back_untold)
{
	struct callbacks l, late;
	int64_t claims, ids[6];
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 6; k++)
		waits("a", "http://a/", 1 + k % 3, 1000 + k);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
	ck_assert_uint_eq(l.n, 6);
	for (size_t i = 0; i < l.n; i++)
		ids[i] = l.v[i].id;
	ck_assert_int_eq(db_tx(pool, stopped_tx, &l), 0);
	/* those of the other clusters are due, in order; of cluster 2 none is before its time */
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &late), 0);
	ck_assert_uint_eq(late.n, 3);
	static const size_t due[] = { 2, 3, 5 };
	for (size_t i = 0; i < late.n; i++) {
		ck_assert_int_eq(late.v[i].id, ids[due[i]]);
		ck_assert_int_eq(late.v[i].attempts, 0);
	}
	/* what the first claim says once more changes nothing for the second */
	ck_assert_int_eq(db_tx(pool, stopped_tx, &l), 0);
	end(&late, tell_tx);
	ck_assert_int_eq(tell_all(&claims), 0);
	const struct callback *failed = &l.v[1];
	struct callbacks again = { .n = 1 };
	again.v[0] = (struct callback){ .id = failed->id, .tenant_id = loom_strdup("a") };
	end(&again, replay_tx);
	ck_assert_int_eq(tell_all(&claims), 2);
	callbacks_fini(&l);
}
END_TEST

/* Nobody says how it went, as when its scheduler was killed: due again when the lease is over. */
START_TEST(a_claim_that_runs_out_is_claimed_again_as_it_was)
{
	struct callbacks l, again;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 5; k++)
		waits("a", "http://a/", 1 + k % 2, 1000 + k);
	ck_assert_int_eq(callback_claim(pool, 1, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
	do {
		ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &again),
		                 0);
	} while (!again.n);
	ck_assert_uint_eq(again.n, l.n);
	for (size_t i = 0; i < l.n; i++) {
		ck_assert_int_eq(again.v[i].id, l.v[i].id);
		ck_assert_str_eq(again.v[i].delivery, l.v[i].delivery);
		ck_assert_int_eq(again.v[i].attempts, 0);
	}
	callbacks_fini(&l);
	callbacks_fini(&again);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("queues");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, tenants_take_turns);
	tcase_add_test(t, a_backlog_costs_a_claim_nothing);
	tcase_add_loop_test(t, what_follows_waits_for_what_failed, 0, LOOM_COUNT(orders));
	tcase_add_test(t, what_waits_for_one_target_is_claimed_together);
	tcase_add_test(t, a_claim_of_several_is_one_target_under_way);
	tcase_add_test(t, what_follows_a_failure_goes_back_untold);
	tcase_add_test(t, a_claim_that_runs_out_is_claimed_again_as_it_was);
	return UNIT_RUN("model queues", t);
}
