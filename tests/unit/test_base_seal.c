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
	unsigned char bytes[3 + SEAL_MORE];
	char out[3];
	seal_bytes(&k, "mine", "a\0b", 3, bytes);
	ck_assert(seal_open_bytes(&k, "mine", bytes, sizeof(bytes), (unsigned char *)out));
	ck_assert_mem_eq(out, "a\0b", 3);
	ck_assert(!seal_open_bytes(&k, "yours", bytes, sizeof(bytes), (unsigned char *)out));
	ck_assert(!seal_open_bytes(&k, "mine", bytes, SEAL_MORE - 1, (unsigned char *)out));
	bytes[SEAL_MORE / 2]++;
	ck_assert(!seal_open_bytes(&k, "mine", bytes, sizeof(bytes), (unsigned char *)out));
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

static const struct {
	const char *text, *said; /* NULL: two keys */
} files[] = {
	{ "# newest\nKEY\n\nKEY \t\r\n", NULL },
	{ "", "has no key: put a line of 64 hex digits there" },
	{ "# none\n \n", "has no key: put a line" },
	{ "KEY\nabc\n", ", line 2: each line is a key of 64 hex digits, and there are 1 to 2" },
	{ " KEY\n", ", line 1: each line is a key" },
	{ "KEY\nKEY\nKEY\n", ", line 3: each line is a key" },
};

START_TEST(a_file_of_keys)
{
	unsigned char keys[2][SEAL_KEY];
	size_t n = 0;
	struct loom_err err = { 0 };
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (const char *at = files[_i].text; *at;) {
		if (!strncmp(at, "KEY", 3)) {
			for (int i = 0; i < SEAL_KEY; i++)
				ck_assert_int_eq(fputs("5a", f) >= 0, 1);
			at += 3;
		} else {
			ck_assert_int_ne(fputc(*at++, f), EOF);
		}
	}
	ck_assert_int_eq(fclose(f), 0);
	int rc = seal_keys_read("session_key_file", path, keys, 2, &n, &err);
	const char *said = files[_i].said;
	ck_assert_msg(!rc == !said, "%s", err.msg);
	if (!said) {
		ck_assert_uint_eq(n, 2);
		ck_assert_mem_eq(keys[0], keys[1], SEAL_KEY);
		return;
	}
	ck_assert_msg(strstr(err.msg, said) && strstr(err.msg, path), "%s", err.msg);
	ck_assert_ptr_null(strstr(err.msg, "5a5a"));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("seal");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, opens_only_what_it_sealed_for_the_same_thing);
	tcase_add_test(c, without_a_key_nothing_is_sealed);
	tcase_add_loop_test(c, a_file_of_keys, 0, (int)LOOM_COUNT(files));
	return UNIT_RUN("base_seal", c);
}
