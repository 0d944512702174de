/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/base/err.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(grows_and_stays_terminated)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(1000);

	ck_assert_str_eq(buf_str(&b), "");
	for (int i = 0; i < 100; i++) {
		buf_addf(&b, "%03d,", i);
		ck_assert_uint_eq(strlen(b.data), b.len);
	}
	ck_assert_uint_eq(b.len, 400);
	ck_assert(!b.full);
	ck_assert_mem_eq(b.data + 396, "099,", 5);
}
END_TEST

/* Additions to a buffer of at most 8 bytes. */
static const struct {
	const char *first, *second, *want;
	bool full;
} maximum[] = {
	{ "12345678", "", "12345678", false },
	{ "12345678", "9", "12345678", true },
	{ "1234567", "89", "1234567", true },
	{ "123456789", "1", "", true }, /* full stays full, even for what would fit */
	{ "", "", "", false },
};

START_TEST(maximum_drops_whole_additions)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(8);
	LOOM_CLEANUP(buf_fini) struct buf f = BUF_INIT(8);

	buf_adds(&b, maximum[_i].first);
	buf_adds(&b, maximum[_i].second);
	buf_addf(&f, "%s", maximum[_i].first);
	buf_addf(&f, "%s", maximum[_i].second);
	ck_assert_str_eq(buf_str(&b), maximum[_i].want);
	ck_assert_str_eq(buf_str(&f), maximum[_i].want);
	ck_assert_int_eq(b.full, maximum[_i].full);
	ck_assert_int_eq(f.full, maximum[_i].full);
	buf_reset(&b);
	ck_assert(!b.full && b.len == 0);
	buf_adds(&b, "again");
	ck_assert_str_eq(buf_str(&b), "again");
}
END_TEST

START_TEST(drains_and_gives_away)
{
	struct buf b = BUF_INIT(100);
	char *s = buf_take(&b);

	ck_assert_str_eq(s, "");
	loom_free(s);
	buf_drain(&b, 5);
	buf_add(&b, "a\0b", 3);
	buf_drain(&b, 1);
	ck_assert_mem_eq(b.data, "\0b", 3);
	buf_drain(&b, 100);
	ck_assert_uint_eq(b.len, 0);
	buf_cut(&b, 7);
	buf_adds(&b, "mine or yours");
	buf_cut(&b, 40);
	ck_assert_uint_eq(b.len, 13);
	buf_cut(&b, 4);
	s = buf_take(&b);
	ck_assert_str_eq(s, "mine");
	ck_assert_ptr_null(b.data);
	loom_free(s);
	buf_fini(&b);
}
END_TEST

START_TEST(memory_helpers)
{
	LOOM_CLEANUP_STR char *a = loom_strndup("abcdef", 3);
	LOOM_CLEANUP_STR char *b = loom_asprintf("%s-%d", a, 7);
	char *taken;

	ck_assert_str_eq(a, "abc");
	ck_assert_str_eq(b, "abc-7");
	ck_assert_ptr_null(loom_strdup(NULL));
	ck_assert_ptr_nonnull(taken = loom_take(b));
	ck_assert_ptr_null(b);
	loom_free(taken);
	taken = loom_realloc(loom_calloc(0, 0), 0);
	ck_assert_ptr_nonnull(taken);
	loom_free(taken);
}
END_TEST

START_TEST(closing_keeps_errno)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	{
		LOOM_CLEANUP_FD int owned = fd;

		ck_assert_int_eq(owned, fd);
		errno = 77;
	}
	loom_close(-1);
	ck_assert_int_eq(errno, 77);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(assertion_aborts)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)dup2(null, STDERR_FILENO);
	loom_assert(1 + 1 == 2);
	loom_assert(1 + 1 == 3);
}
END_TEST

START_TEST(errors_carry_a_status)
{
	struct loom_err err = { 0 };

	ck_assert_int_eq(err_set(&err, 409, "%s is taken", "name"), 409);
	ck_assert_int_eq(err.status, 409);
	ck_assert_str_eq(err.msg, "name is taken");
	ck_assert_int_eq(err_set(&err, 0, "line 3: %s", err.msg), ERR_PLAIN);
	ck_assert_int_eq(err.status, 0);
	ck_assert_str_eq(err.msg, "line 3: name is taken");
	ck_assert_int_eq(err_set(NULL, 400, "nobody asks"), 400);
	ck_assert_int_eq(err_set(&err, 400, "%5000s", "x"), 400);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, grows_and_stays_terminated);
	tcase_add_loop_test(tc, maximum_drops_whole_additions, 0, LOOM_COUNT(maximum));
	tcase_add_test(tc, drains_and_gives_away);
	tcase_add_test(tc, memory_helpers);
	tcase_add_test(tc, closing_keeps_errno);
	tcase_add_test_raise_signal(tc, assertion_aborts, SIGABRT);
	tcase_add_test(tc, errors_carry_a_status);
	return UNIT_RUN("base_buf", tc);
}
