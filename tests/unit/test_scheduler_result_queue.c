/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/result_queue.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static bool is_even(const struct result *r, const void *arg)
{
	ck_assert_ptr_null(arg);
	return r->cluster % 2 == 0;
}

static void fill(struct result_queue *q, struct result *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		v[i].cluster = (int64_t)i;
		result_queue_push(q, &v[i]);
	}
}

START_TEST(first_in_first_out)
{
	struct result_queue q = { 0 };
	struct result v[3] = { 0 };
	ck_assert_ptr_null(result_queue_pop(&q));
	for (int round = 0; round < 2; round++) {
		fill(&q, v, 3);
		ck_assert_uint_eq(q.n, 3);
		for (int64_t i = 0; i < 3; i++)
			ck_assert_int_eq(result_queue_pop(&q)->cluster, i);
		ck_assert_ptr_null(result_queue_pop(&q));
		ck_assert_uint_eq(q.n, 0);
	}
}
END_TEST

/* how many may be taken; what is taken and what stays, in order */
static const struct {
	size_t most;
	int64_t taken[4], left[8];
	size_t n_taken, n_left;
} takes[] = {
	{ 0, { 0 }, { 0, 1, 2, 3, 4, 5, 6 }, 0, 7 },
	{ 2, { 0, 2 }, { 1, 3, 4, 5, 6 }, 2, 5 },
	{ 4, { 0, 2, 4, 6 }, { 1, 3, 5 }, 4, 3 },
	{ 64, { 0, 2, 4, 6 }, { 1, 3, 5 }, 4, 3 },
};

START_TEST(some_are_taken_out)
{
	struct result_queue q = { 0 };
	struct result v[7] = { 0 }, more = { .cluster = 9 }, *got[64];
	fill(&q, v, 7);
	ck_assert_uint_eq(result_queue_take(&q, is_even, NULL, got, takes[_i].most),
	                  takes[_i].n_taken);
	for (size_t i = 0; i < takes[_i].n_taken; i++)
		ck_assert_int_eq(got[i]->cluster, takes[_i].taken[i]);
	ck_assert_uint_eq(q.n, takes[_i].n_left);
	result_queue_push(&q, &more);
	for (size_t i = 0; i < takes[_i].n_left; i++)
		ck_assert_int_eq(result_queue_pop(&q)->cluster, takes[_i].left[i]);
	ck_assert_ptr_eq(result_queue_pop(&q), &more);
}
END_TEST

START_TEST(all_are_taken_out)
{
	struct result_queue q = { 0 };
	struct result v[1] = { 0 }, *got[1];
	fill(&q, v, 1);
	ck_assert_uint_eq(result_queue_take(&q, is_even, NULL, got, 1), 1);
	ck_assert_uint_eq(q.n, 0);
	fill(&q, v, 1);
	ck_assert_ptr_eq(result_queue_pop(&q), &v[0]);
}
END_TEST

START_TEST(what_their_workers_ask_for_is_counted)
{
	struct result_queue q = { 0 };
	struct result v[4] = { { .cluster = 0, .take = { .id = "a", .max = 3 } },
		               { .cluster = 1 },
		               { .cluster = 2, .take = { .id = "b", .max = 1 } },
		               { .cluster = 3, .take = { .id = "c", .max = 2 } } },
		      *got[64];
	result_queue_untake(&q, "a");
	fill(&q, v, 4);
	ck_assert_uint_eq(q.places, 6);
	result_queue_untake(&q, "c");
	result_queue_untake(&q, "nobody");
	ck_assert_uint_eq(q.places, 4);
	ck_assert_int_eq(v[3].take.max, 0);
	ck_assert_uint_eq(result_queue_take(&q, is_even, NULL, got, 1), 1);
	ck_assert_uint_eq(q.places, 1);
	while (result_queue_pop(&q))
		;
	ck_assert_uint_eq(q.places, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("result_queue");
	tcase_add_test(t, first_in_first_out);
	tcase_add_loop_test(t, some_are_taken_out, 0, (int)LOOM_COUNT(takes));
	tcase_add_test(t, all_are_taken_out);
	tcase_add_test(t, what_their_workers_ask_for_is_counted);
	return UNIT_RUN("result_queue", t);
}
