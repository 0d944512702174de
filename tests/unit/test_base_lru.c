/* SPDX-License-Identifier: Apache-2.0 */
/* What an lru keeps, and what it drops for it. */
#include "common/base/lru.h"

#include "common/base/mem.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static int dropped;

static void drop(void *value)
{
	dropped++;
	loom_free(value);
}

static void *number(int64_t n)
{
	int64_t *v = loom_malloc(sizeof(*v));
	*v = n;
	return v;
}

static bool has(struct lru *l, int64_t a, int64_t b)
{
	const int64_t *v = lru_get(l, a, b);
	return v && *v == 1000 * a + b;
}

static void put(struct lru *l, int64_t a, int64_t b, size_t cost)
{
	lru_put(l, a, b, number(1000 * a + b), cost);
}

START_TEST(what_was_not_used_for_longest_goes)
{
	struct lru *l = lru_create(3, 100, drop);
	for (int64_t i = 1; i <= 3; i++)
		put(l, i, 0, 1);
	ck_assert(has(l, 1, 0)); /* now 2 is the oldest */
	put(l, 4, 0, 1);
	ck_assert(has(l, 1, 0) && !has(l, 2, 0) && has(l, 3, 0) && has(l, 4, 0));
	ck_assert_uint_eq(lru_count(l), 3);
	lru_destroy(l);
}
END_TEST

START_TEST(both_numbers_are_the_key)
{
	struct lru *l = lru_create(8, 100, drop);
	put(l, 1, 2, 1);
	put(l, 2, 1, 1);
	ck_assert(has(l, 1, 2) && has(l, 2, 1) && !has(l, 1, 1));
	lru_destroy(l);
}
END_TEST

START_TEST(costs_make_room_but_the_last_one_stays)
{
	struct lru *l = lru_create(8, 10, drop);
	put(l, 1, 0, 4);
	put(l, 2, 0, 4);
	put(l, 3, 0, 4);
	ck_assert(!has(l, 1, 0) && has(l, 2, 0) && has(l, 3, 0));
	ck_assert_uint_eq(lru_cost(l), 8);
	put(l, 4, 0, 1000);
	ck_assert(has(l, 4, 0));
	ck_assert_uint_eq(lru_count(l), 1);
	put(l, 5, 0, 1);
	ck_assert(!has(l, 4, 0) && has(l, 5, 0));
	lru_destroy(l);
}
END_TEST

START_TEST(a_value_takes_the_place_of_another_and_is_taken_out)
{
	struct lru *l = lru_create(8, 100, drop);
	dropped = 0;
	put(l, 1, 0, 5);
	put(l, 1, 0, 7);
	ck_assert_int_eq(dropped, 1);
	ck_assert_uint_eq(lru_cost(l), 7);
	int64_t *v = lru_take(l, 1, 0);
	ck_assert_ptr_nonnull(v);
	loom_free(v);
	ck_assert_ptr_null(lru_take(l, 1, 0));
	ck_assert_uint_eq(lru_cost(l), 0);
	lru_destroy(l);
	ck_assert_int_eq(dropped, 1);
}
END_TEST

/* Beside a list that is searched from its end. */
START_TEST(it_keeps_what_a_plain_list_keeps)
{
	enum { ROOM = 16 };
	struct lru *l = lru_create(ROOM, 1000, drop);
	int64_t list[ROOM], n = 0;
	unsigned seed = 1;
	for (int i = 0; i < 20000; i++) {
		int64_t key = rand_r(&seed) % 40, at = 0;
		while (at < n && list[at] != key)
			at++;
		ck_assert_int_eq(has(l, key, 3), at < n);
		if (at == n)
			put(l, key, 3, 1);
		at = at == ROOM ? ROOM - 1 : at;
		n = at == n ? n + 1 : n;
		for (; at > 0; at--)
			list[at] = list[at - 1];
		list[0] = key;
	}
	lru_destroy(l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("lru");
	tcase_add_test(t, what_was_not_used_for_longest_goes);
	tcase_add_test(t, both_numbers_are_the_key);
	tcase_add_test(t, costs_make_room_but_the_last_one_stays);
	tcase_add_test(t, a_value_takes_the_place_of_another_and_is_taken_out);
	tcase_add_test(t, it_keeps_what_a_plain_list_keeps);
	return UNIT_RUN("lru", t);
}
