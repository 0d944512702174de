/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/fair_queue.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One word per task, in order of age: tenant, cluster (a digit). "A1 A1 B2" */
static const struct {
	const char *running; /* what runs already: "A1*5" is five of them */
	const char *served;  /* who was served before, in order: "A1 B2" */
	const char *ready, *want;
} cases[] = {
	{ "", "", "A1 A1 A1", "A1 A1 A1" },
	/* the oldest first, then in batch */
	{ "", "", "A1 A1 A1 B2 B2", "A1 B2 A1 B2 A1" },
	{ "", "", "A1 A1 A1 A1 B2 C3", "A1 B2 C3 A1 A1 A1" },
	/* who has less running goes first until it has as much */
	{ "A1*3", "", "A1 A1 B2 B2 B2 B2", "B2 B2 B2 A1 B2 A1" },
	{ "A1*64", "", "A1 A1 A1 B2 B2 B2", "B2 B2 B2 A1 A1 A1" },
	{ "B2*2", "", "A1 A1 A1 B2", "A1 A1 A1 B2" },
	/* within a tenant a small cluster is not behind a large one */
	{ "", "", "A1 A1 A1 A1 A2", "A1 A2 A1 A1 A1" },
	{ "A1*9", "", "A1 A1 A2 A2 A2", "A2 A2 A2 A1 A1" },
	/* a tenant does not get more for having more clusters */
	{ "", "", "A1 A2 A3 A4 B5 B5", "A1 B5 A2 B5 A3 A4" },
	{ "A1*4 A2*4 B5*4", "", "A1 A2 B5", "B5 A1 A2" },
	/* among equals who has waited longest for a batch */
	{ "", "A1 B2", "A1 B2", "A1 B2" },
	{ "", "B2 A1", "A1 B2", "B2 A1" },
	{ "", "A1", "A1 B2", "B2 A1" },
	{ "", "A1", "A1 A3", "A3 A1" },
	/* what was given counts as running until the next look */
	{ "B2*2", "A1 A1 A1", "A1 B2", "B2 A1" },
};

struct word {
	char tenant[2];
	int64_t cluster, times;
};

static size_t words(const char *text, struct word *out)
{
	size_t n = 0;
	for (const char *p = text; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		out[n] = (struct word){ { p[0], 0 }, p[1] - '0', 1 };
		if (p[2] == '*')
			out[n].times = strtol(p + 3, NULL, 10);
		n++;
	}
	return n;
}

static void serve(struct fair_queue *s, const char *text)
{
	struct word w[16];
	size_t n = words(text, w);
	for (size_t i = 0; i < n; i++)
		fair_queue_given(s, w[i].tenant, w[i].cluster);
}

static void use(struct fair_queue *s, const char *text)
{
	struct word w[16];
	struct queue_use u[16] = { 0 };
	size_t n = words(text, w);
	for (size_t i = 0; i < n; i++) {
		u[i].cluster = w[i].cluster;
		u[i].running = w[i].times;
		strcpy(u[i].tenant, w[i].tenant);
	}
	fair_queue_use(s, u, n, 0);
}

START_TEST(order)
{
	struct fair_queue *s = fair_queue_create();
	struct word w[16];
	struct fair_offer v[16];
	char got[64] = "";
	size_t n = words(cases[_i].ready, w), at = 0;
	/* Served first, and what runs read after that or before it. */
	bool given_later = strstr(cases[_i].running, "B2*2") && *cases[_i].served;
	if (!given_later)
		serve(s, cases[_i].served);
	use(s, cases[_i].running);
	if (given_later)
		serve(s, cases[_i].served);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct fair_offer){ w[i].tenant, w[i].cluster, (int64_t)(100 + i), i };
	fair_queue_order(s, v, n);
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%s%lld", i ? " " : "",
		                       v[i].tenant, (long long)v[i].cluster);
	ck_assert_str_eq(got, cases[_i].want);
	fair_queue_destroy(s);
}
END_TEST

/* One worker, tasks of no length: whatever is given, nobody waits for more than the others'
 * batches.
 */
START_TEST(nobody_starves)
{
	struct fair_queue *s = fair_queue_create();
	struct fair_offer v[101];
	size_t left = 3;
	for (int step = 0; step < 8; step++) {
		size_t n = 0;
		for (size_t i = 0; i < 100; i++)
			v[n++] = (struct fair_offer){ "A", 1, (int64_t)i, i };
		if (left)
			v[n++] = (struct fair_offer){ "B", 2, 1000, 100 };
		fair_queue_order(s, v, n);
		left -= v[0].index == 100;
		fair_queue_given(s, v[0].tenant, v[0].cluster);
		fair_queue_use(s, NULL, 0, step);
	}
	ck_assert_uint_eq(left, 0);
	fair_queue_destroy(s);
}
END_TEST

/* Three tenants, tasks of one length, so many workers. The clusters of two of them are held by
 * another batch so often when a worker is free; what runs is looked at every tenth time. */
static const struct {
	int workers, held_percent;
} crowds[] = { { 9, 0 }, { 9, 30 }, { 9, 50 }, { 3, 40 }, { 60, 40 } };

enum { TENANTS = 3, TURNS = 600, MOST_WORKERS = 60 };
static const char *const tenants[TENANTS] = { "A", "B", "C" };

static void look_at_running(struct fair_queue *s, const int *run, int workers, int now)
{
	struct queue_use u[TENANTS] = { 0 };
	for (int i = 0; i < workers; i++) {
		if (run[i] >= 0)
			u[run[i]].running++;
	}
	for (size_t i = 0; i < TENANTS; i++) {
		u[i].cluster = (int64_t)i + 1;
		strcpy(u[i].tenant, tenants[i]);
	}
	fair_queue_use(s, u, TENANTS, now);
}

START_TEST(who_is_passed_over_gets_it_back)
{
	struct fair_queue *s = fair_queue_create();
	int run[MOST_WORKERS], given[TENANTS] = { 0 }, workers = crowds[_i].workers;
	unsigned seed = 7;
	for (int i = 0; i < workers; i++)
		run[i] = i % TENANTS;
	for (int turn = 0; turn < TURNS; turn++) {
		struct fair_offer v[TENANTS] = { { tenants[0], 1, turn, 0 } };
		size_t n = 1;
		if (turn % 10 == 0)
			look_at_running(s, run, workers, turn);
		for (size_t i = 1; i < TENANTS; i++) {
			seed = seed * 1103515245 + 12345;
			if ((int)(seed >> 16) % 100 >= crowds[_i].held_percent)
				v[n++] = (struct fair_offer){ tenants[i], (int64_t)i + 1, turn, i };
		}
		fair_queue_order(s, v, n);
		fair_queue_given(s, v[0].tenant, v[0].cluster);
		run[turn % workers] = (int)v[0].index; /* who has worked longest is done */
		given[v[0].index]++;
	}
	for (size_t i = 0; i < TENANTS; i++)
		ck_assert_msg(given[i] >= 190 && given[i] <= 210, "%s: %d of %d", tenants[i],
		              given[i], TURNS);
	fair_queue_destroy(s);
}
END_TEST

/* A tenant whose tasks last is given few of them, and keeps nearly its half of the workers; the
 * other one's are over in a moment. */
START_TEST(short_tasks_do_not_give_way_to_long_ones)
{
	struct fair_queue *s = fair_queue_create();
	enum { WORKERS = 20, LONG = 200 };
	int ends[WORKERS] = { 0 }, run[WORKERS] = { 0 }, used[TENANTS] = { 0 };
	for (int turn = 0; turn < 20 * LONG; turn++) {
		for (int i = 0; i < WORKERS; i++) {
			used[run[i]] += turn > 2 * LONG;
			run[i] = ends[i] > turn ? run[i] : -1;
		}
		if (turn % 2 == 0)
			look_at_running(s, run, WORKERS, turn);
		for (int i = 0; i < WORKERS; i++) {
			struct fair_offer v[] = { { "A", 1, turn, 0 }, { "B", 2, turn, 1 } };
			if (run[i] >= 0)
				continue;
			fair_queue_order(s, v, 2);
			fair_queue_given(s, v[0].tenant, v[0].cluster);
			run[i] = (int)v[0].index;
			ends[i] = turn + (run[i] ? LONG : 5);
		}
	}
	int all = used[0] + used[1];
	ck_assert_msg(4 * used[0] > all && 4 * used[1] > all, "%d of %d", used[0], all);
	fair_queue_destroy(s);
}
END_TEST

START_TEST(staleness_and_places)
{
	struct fair_queue *s = fair_queue_create();
	struct queue_job l = { .tenant = "A", .provider = "x" }, o = { .tenant = "A" };
	ck_assert(fair_queue_stale(s, 5, 100));
	fair_queue_use(s, NULL, 0, 5);
	ck_assert(!fair_queue_stale(s, 104, 100));
	ck_assert(fair_queue_stale(s, 105, 100));
	fair_queue_set_cursor(s, &l, 77);
	ck_assert_int_eq(fair_queue_cursor(s, &l), 77);
	ck_assert_int_eq(fair_queue_cursor(s, &o), 0);
	fair_queue_set_cursor(s, &l, 0);
	ck_assert_int_eq(fair_queue_cursor(s, &l), 0);
	fair_queue_destroy(s);
}
END_TEST

/* What is remembered is bounded. */
START_TEST(forgets)
{
	struct fair_queue *s = fair_queue_create();
	for (int64_t i = 1; i < 20000; i++)
		fair_queue_given(s, "A", i);
	struct fair_offer v[2] = { { "A", 19999, 1, 0 }, { "A", 1, 2, 1 } };
	fair_queue_order(s, v, 2);
	ck_assert_uint_eq(v[0].index, 1);
	fair_queue_destroy(s);
}
END_TEST

/* And goes by what is given now, not by what ever was. */
START_TEST(clusters_that_have_ended_are_forgotten)
{
	enum { CLUSTERS = 5000, TASKS = 10 };
	struct fair_queue *s = fair_queue_create();
	for (int64_t i = 0; i < CLUSTERS * TASKS; i++)
		fair_queue_given(s, "A", 1 + i / TASKS);
	LOOM_CLEANUP(json_free) struct json *all = fair_queue_show(s, 10);
	ck_assert_int_lt(json_get_int(all, "clusters", -1), CLUSTERS / 4);
	ck_assert_int_gt(json_get_int(all, "clusters", -1), 0);
	struct fair_offer v[2] = { { "A", CLUSTERS, 1, 0 }, { "A", 1, 2, 1 } };
	fair_queue_use(s, NULL, 0, 0);
	fair_queue_order(s, v, 2);
	ck_assert_uint_eq(v[0].index, 1); /* who was given nothing for longest is first */
	fair_queue_destroy(s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("fair_queue");
	tcase_add_loop_test(t, order, 0, (int)LOOM_COUNT(cases));
	tcase_add_test(t, nobody_starves);
	tcase_add_test(t, short_tasks_do_not_give_way_to_long_ones);
	tcase_add_loop_test(t, who_is_passed_over_gets_it_back, 0, LOOM_COUNT(crowds));
	tcase_add_test(t, staleness_and_places);
	tcase_add_test(t, forgets);
	tcase_add_test(t, clusters_that_have_ended_are_forgotten);
	return UNIT_RUN("fair_queue", t);
}
