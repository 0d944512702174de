/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/seal.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/loom-seal-XXXXXX");
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 32; i++)
		ck_assert_int_eq(write(fd, "5a", 2), 2);
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
}

START_TEST(opens_only_what_it_sealed_for_the_same_thing)
{
	struct seal_key k, other;
	struct loom_err err;
	ck_assert_int_eq(seal_key_init(path, "tests", &k, &err), 0);
	ck_assert_int_eq(seal_key_init(path, "others", &other, &err), 0);
	LOOM_CLEANUP_STR char *a = seal_text(&k, "mine", "s3cret");
	LOOM_CLEANUP_STR char *b = seal_text(&k, "mine", "s3cret");
	ck_assert_str_ne(a, b);
	ck_assert_ptr_null(strstr(a, "s3cret"));
	LOOM_CLEANUP_STR char *open = seal_open(&k, "mine", a);
	ck_assert_str_eq(open, "s3cret");
	ck_assert_ptr_null(seal_open(&k, "yours", a));
	ck_assert_ptr_null(seal_open(&other, "mine", a));
	a[strlen(a) / 2] ^= 1;
	ck_assert_ptr_null(seal_open(&k, "mine", a));
	ck_assert_ptr_null(seal_open(&k, "mine", ""));
	ck_assert_ptr_null(seal_open(&k, "mine", "no seal at all"));
	LOOM_CLEANUP_STR char *empty = seal_text(&k, "mine", "");
	LOOM_CLEANUP_STR char *nothing = seal_open(&k, "mine", empty);
	ck_assert_str_eq(nothing, "");
	seal_key_fini(&k);
	ck_assert(!k.known);
}
END_TEST

START_TEST(without_a_key_nothing_is_sealed)
{
	struct seal_key k;
	struct loom_err err = { 0 };
	ck_assert_int_eq(seal_key_init("", "tests", &k, &err), 0);
	ck_assert_ptr_null(seal_text(&k, "mine", "s"));
	ck_assert_ptr_null(seal_open(&k, "mine", "c29tZXRoaW5n"));
	ck_assert_int_ne(seal_key_init("/nonexistent/key", "tests", &k, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/key"));
	ck_assert_int_eq(truncate(path, 10), 0);
	ck_assert_int_ne(seal_key_init(path, "tests", &k, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "64 hex digits"));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("seal");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, opens_only_what_it_sealed_for_the_same_thing);
	tcase_add_test(c, without_a_key_nothing_is_sealed);
	return UNIT_RUN("base_seal", c);
}
