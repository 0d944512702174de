/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/pool.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static struct loop *loop;
static struct pool *pool;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int entered, of_a;
static char order[64];
static size_t n_order;

static void setup(void)
{
	loop = loop_create();
}

static void teardown(void)
{
	ck_assert_int_eq(loop_destroy(loop), 0);
}

static void wait_at_gate(void *arg LOOM_UNUSED)
{
	entered++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void note(void *arg)
{
	order[n_order++] = *(const char *)arg;
}

/* In which order one thread does what came while it was at something else; '.' is nobody's. */
static const struct {
	const char *came, *want;
} turns[] = {
	{ "AAA", "AAA" },
	{ "AAAAB", "ABAAA" },
	{ "AAAABBCC", "ABCABCAA" },
	/* who comes when others have had their turn is not behind all they have */
	{ "AABBCAAA", "ABCABAAA" },
	{ "...", "..." },
	/* every other one is nobody's; the thread was at such a one */
	{ "AAAB...", "A.B.A.A" },
	{ "....ABC", "A.B.C.." },
};

START_TEST(shares_take_turns)
{
	pool = pool_create(loop, 1, 32);
	n_order = 0;
	pthread_mutex_lock(&gate);
	ck_assert_int_eq(pool_submit(pool, wait_at_gate, NULL, NULL), 0);
	while (!entered)
		sched_yield();
	for (const char *p = turns[_i].came; *p; p++) {
		static char names[] = "ABC.";
		char name[2] = { *p, '\0' }, *what = strchr(names, *p);
		const struct pool_share share = { *p == '.' ? NULL : name, 0 };
		ck_assert_ptr_nonnull(what);
		ck_assert_int_eq(pool_submit_share(pool, &share, note, NULL, what), 0);
	}
	pthread_mutex_unlock(&gate);
	pool_destroy(pool);
	order[n_order] = '\0';
	ck_assert_str_eq(order, turns[_i].want);
}
END_TEST

static void enter_as_a(void *arg)
{
	of_a++;
	wait_at_gate(arg);
}

/* Of so many threads, with this limit of a share, it gets as many at once. */
static const struct {
	unsigned threads, most;
	int want;
} limits[] = { { 8, 0, 6 }, { 8, 1, 1 }, { 8, 3, 3 }, { 8, 8, 6 }, { 4, 0, 2 }, { 2, 0, 1 } };

START_TEST(a_share_leaves_threads_to_others)
{
	const struct pool_share a = { "a", limits[_i].most }, b = { "b", 0 };
	int want = limits[_i].want;
	pool = pool_create(loop, limits[_i].threads, 64);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(pool_submit_share(pool, &a, enter_as_a, NULL, NULL), 0);
	while (entered < want)
		sched_yield();
	/* another's begins at once, and when it has entered nobody else's could have */
	ck_assert_int_eq(pool_submit_share(pool, &b, wait_at_gate, NULL, NULL), 0);
	while (entered < want + 1)
		sched_yield();
	ck_assert_int_eq(of_a, want);
	ck_assert_uint_eq(pool_backlog(pool), 10u - (unsigned)want);
	pthread_mutex_unlock(&gate);
	pool_destroy(pool);
	ck_assert_int_eq(of_a, 10);
}
END_TEST

START_TEST(a_share_leaves_room_to_others)
{
	const struct pool_share a = { "a", 0 }, b = { "b", 0 };
	pool = pool_create(loop, 1, 16);
	pthread_mutex_lock(&gate);
	ck_assert_int_eq(pool_submit(pool, wait_at_gate, NULL, NULL), 0);
	while (!entered)
		sched_yield();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pool_submit_share(pool, &a, wait_at_gate, NULL, NULL), 0);
	ck_assert_int_eq(pool_submit_share(pool, &a, wait_at_gate, NULL, NULL), -EAGAIN);
	ck_assert_int_eq(pool_submit_share(pool, &b, wait_at_gate, NULL, NULL), 0);
	ck_assert_int_eq(pool_submit(pool, wait_at_gate, NULL, NULL), 0);
	pthread_mutex_unlock(&gate);
	pool_destroy(pool);
	ck_assert_int_eq(entered, 7);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("pool");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, shares_take_turns, 0, LOOM_COUNT(turns));
	tcase_add_loop_test(t, a_share_leaves_threads_to_others, 0, LOOM_COUNT(limits));
	tcase_add_test(t, a_share_leaves_room_to_others);
	return UNIT_RUN("pool", t);
}
