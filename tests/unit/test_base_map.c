/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/map.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int freed;

static void count_free(void *p)
{
	freed++;
	loom_free(p);
}

static char *keys_of(const struct map *m)
{
	LOOM_CLEANUP(strs_fini) struct strs l = { 0 };
	const char *key;

	for (size_t it = 0; map_next(m, &it, &key, NULL);)
		strs_add(&l, key);
	return strs_join(&l, " ");
}

START_TEST(sets_gets_deletes)
{
	LOOM_CLEANUP(map_destroy) struct map *m = map_create(NULL);
	int a, b;

	ck_assert_ptr_null(map_get(m, "a"));
	ck_assert(!map_del(m, "a"));
	map_set(m, "a", &a);
	map_set(m, "", &b);
	ck_assert_ptr_eq(map_get(m, "a"), &a);
	ck_assert_ptr_eq(map_get(m, ""), &b);
	ck_assert_uint_eq(map_count(m), 2);
	map_set(m, "a", &b);
	ck_assert_ptr_eq(map_get(m, "a"), &b);
	ck_assert_uint_eq(map_count(m), 2);
	ck_assert(map_del(m, "a") && !map_del(m, "a"));
	ck_assert_uint_eq(map_count(m), 1);
	map_destroy(NULL);
}
END_TEST

START_TEST(keeps_insertion_order)
{
	LOOM_CLEANUP(map_destroy) struct map *m = map_create(NULL);
	static const char *const in[] = { "z", "m", "a", "q", "b", "y", "c", "x", "d", "w" };
	char *keys;

	for (size_t i = 0; i < LOOM_COUNT(in); i++)
		map_set(m, in[i], &freed);
	map_set(m, "a", &freed); /* replacing keeps the place */
	map_del(m, "q");
	map_set(m, "q", &freed); /* coming back is last */
	keys = keys_of(m);
	ck_assert_str_eq(keys, "z m a b y c x d w q");
	loom_free(keys);
}
END_TEST

START_TEST(frees_values)
{
	struct map *m = map_create(count_free);
	const char *key;
	char *value = loom_strdup("1");

	map_set(m, "a", value);
	map_set(m, "a", value); /* the same one is not freed */
	ck_assert_int_eq(freed, 0);
	map_set(m, "a", loom_strdup("2"));
	ck_assert_int_eq(freed, 1);
	map_set(m, "b", loom_strdup("3"));
	map_set(m, "c", loom_strdup("4"));
	for (size_t it = 0; map_next(m, &it, &key, NULL);) {
		if (!str_eq(key, "c"))
			ck_assert(map_del(m, key)); /* the walk's own key */
	}
	ck_assert_int_eq(freed, 3);
	ck_assert_uint_eq(map_count(m), 1);
	map_destroy(m);
	ck_assert_int_eq(freed, 4);
}
END_TEST

/* Against a plain array, with growth, holes and reuse. */
START_TEST(agrees_with_a_model)
{
	enum { KEYS = 500, STEPS = 60000 };
	LOOM_CLEANUP(map_destroy) struct map *m = map_create(NULL);
	static int model[KEYS], cells[KEYS];
	uint32_t random = 12345;
	size_t count = 0;

	for (int step = 0; step < STEPS; step++) {
		char key[32];
		unsigned k;

		random = random * 1664525 + 1013904223;
		k = (random >> 8) % KEYS;
		(void)snprintf(key, sizeof(key), "key-number-%u", k);
		if ((random >> 28) < 8) {
			count += !model[k];
			model[k] = 1;
			map_set(m, key, &cells[k]);
		} else {
			ck_assert_int_eq(map_del(m, key), model[k]);
			count -= (size_t)model[k];
			model[k] = 0;
		}
		ck_assert_ptr_eq(map_get(m, key), model[k] ? &cells[k] : NULL);
		ck_assert_uint_eq(map_count(m), count);
	}
	for (unsigned k = 0; k < KEYS; k++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "key-number-%u", k);
		ck_assert_ptr_eq(map_get(m, key), model[k] ? &cells[k] : NULL);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, sets_gets_deletes);
	tcase_add_test(tc, keeps_insertion_order);
	tcase_add_test(tc, frees_values);
	tcase_add_test(tc, agrees_with_a_model);
	return UNIT_RUN("base_map", tc);
}
