/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in;
	int want;
	int64_t ms;
} durations[] = {
	{ "250ms", 0, 250 },
	{ "0", 0, 0 },
	{ "1500", 0, 1500 },
	{ "5s", 0, 5000 },
	{ "3m", 0, 180000 },
	{ "2h", 0, 7200000 },
	{ "7d", 0, 604800000 },
	{ "106751991167d", 0, 106751991167 * 86400000 },
	{ "106751991168d", -ERANGE, 0 },
	{ "9223372036854775807", 0, INT64_MAX },
	{ "9223372036854775808", -ERANGE, 0 },
	{ "99999999999999999999999999999s", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "s", -EINVAL, 0 },
	{ "-5s", -EINVAL, 0 },
	{ "5 s", -EINVAL, 0 },
	{ "5S", -EINVAL, 0 },
	{ "5x", -EINVAL, 0 },
	{ "1.5s", -EINVAL, 0 },
	{ "5ss", -EINVAL, 0 },
	{ "1h30m", -EINVAL, 0 },
	{ NULL, -EINVAL, 0 },
};

START_TEST(parses_durations)
{
	int64_t ms = 4711;

	ck_assert_int_eq(clock_parse_ms(durations[_i].in, &ms), durations[_i].want);
	ck_assert_int_eq(ms, durations[_i].want ? 4711 : durations[_i].ms);
}
END_TEST

static const struct {
	int64_t ms;
	const char *want;
} times[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ 1714557600123, "2024-05-01T10:00:00.123Z" },
	{ 951782399999, "2000-02-28T23:59:59.999Z" },
	{ -1, "1969-12-31T23:59:59.999Z" },
	{ INT64_MAX, "0000-00-00T00:00:00.000Z" },
};

START_TEST(formats_times)
{
	char out[32];

	clock_format(times[_i].ms, out);
	ck_assert_str_eq(out, times[_i].want);
}
END_TEST

static const struct {
	unsigned attempt;
	int64_t base, cap, low, high;
} backoffs[] = {
	{ 0, 100, 5000, 100, 100 },         { 1, 100, 5000, 100, 200 },
	{ 3, 100, 5000, 100, 800 },         { 6, 100, 5000, 100, 5000 },
	{ 4000000000, 1, 70, 1, 70 },       { 9, 500, 300, 300, 300 },
	{ 90, 1, INT64_MAX, 1, INT64_MAX }, { 5, 0, 100, 0, 0 },
};

START_TEST(backs_off_within_bounds)
{
	for (int i = 0; i < 200; i++) {
		int64_t ms =
			clock_backoff_ms(backoffs[_i].attempt, backoffs[_i].base, backoffs[_i].cap);

		ck_assert_int_ge(ms, backoffs[_i].low);
		ck_assert_int_le(ms, backoffs[_i].high);
	}
}
END_TEST

START_TEST(clocks_run)
{
	int64_t us = clock_mono_us(), ms = clock_mono_ms();

	ck_assert_int_ge(ms, us / 1000);
	ck_assert_int_ge(clock_mono_us(), us);
	ck_assert_int_gt(clock_wall_ms(), 1700000000000);
}
END_TEST

START_TEST(writes_ids)
{
	char id[ID_MAX];

	id_cluster(id, 12);
	ck_assert_str_eq(id, "00000012");
	id_cluster(id, 1234567890);
	ck_assert_str_eq(id, "1234567890");
	id_job(id, 12, 7);
	ck_assert_str_eq(id, "00000012-007");
	id_task(id, 12, 7, 1000);
	ck_assert_str_eq(id, "00000012-007-1000");
	id_task(id, INT64_MAX, INT64_MAX, INT64_MAX);
	ck_assert_str_eq(id, "9223372036854775807-9223372036854775807-9223372036854775807");
}
END_TEST

static const struct {
	const char *in;
	unsigned parts; /* 0: not an id of any kind */
	struct task_ref want;
} ids[] = {
	{ "12", 1, { 12, 0, 0 } },
	{ "00000012", 1, { 12, 0, 0 } },
	{ "9223372036854775807", 1, { INT64_MAX, 0, 0 } },
	{ "00000012-007", 2, { 12, 7, 0 } },
	{ "12-7", 2, { 12, 7, 0 } },
	{ "00000012-007-1000", 3, { 12, 7, 1000 } },
	{ "9223372036854775808", 0, { 0 } },
	{ "0", 0, { 0 } },
	{ "00000000", 0, { 0 } },
	{ "", 0, { 0 } },
	{ NULL, 0, { 0 } },
	{ "-1", 0, { 0 } },
	{ "1-", 0, { 0 } },
	{ "1--2", 0, { 0 } },
	{ "1-2-", 0, { 0 } },
	{ "1-2-3-", 0, { 0 } },
	{ "1-2-3-4", 0, { 0 } },
	{ "1-0-3", 0, { 0 } },
	{ "1-2-0", 0, { 0 } },
	{ " 1", 0, { 0 } },
	{ "1 ", 0, { 0 } },
	{ "+1", 0, { 0 } },
	{ "0x1", 0, { 0 } },
	{ "1-2a", 0, { 0 } },
	{ "12345678901234567890123456789012345678901234567890123456789012345", 0, { 0 } },
};

START_TEST(reads_ids)
{
	struct task_ref r = { -1, -1, -1 };
	int64_t cluster = -1;

	ck_assert_int_eq(id_parse_cluster(ids[_i].in, &cluster), ids[_i].parts == 1 ? 0 : -EINVAL);
	ck_assert_int_eq(cluster, ids[_i].parts == 1 ? ids[_i].want.cluster : -1);
	ck_assert_int_eq(id_parse_job(ids[_i].in, &r), ids[_i].parts == 2 ? 0 : -EINVAL);
	ck_assert_int_eq(r.job, ids[_i].parts == 2 ? ids[_i].want.job : -1);
	r = (struct task_ref){ -1, -1, -1 };
	ck_assert_int_eq(id_parse_task(ids[_i].in, &r), ids[_i].parts == 3 ? 0 : -EINVAL);
	ck_assert_int_eq(r.cluster, ids[_i].parts == 3 ? ids[_i].want.cluster : -1);
	ck_assert_int_eq(r.job, ids[_i].parts == 3 ? ids[_i].want.job : -1);
	ck_assert_int_eq(r.task, ids[_i].parts == 3 ? ids[_i].want.task : -1);
}
END_TEST

START_TEST(makes_uuids)
{
	char a[37], b[37];

	for (int i = 0; i < 50; i++) {
		id_uuid(a);
		id_uuid(b);
		ck_assert_str_ne(a, b);
		ck_assert_uint_eq(strlen(a), 36);
		ck_assert_uint_eq(strspn(a, "0123456789abcdef-"), 36);
		ck_assert(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
		ck_assert_int_eq(a[14], '4');
		ck_assert_ptr_nonnull(strchr("89ab", a[19]));
	}
}
END_TEST

START_TEST(makes_random_hex)
{
	char out[101];

	memset(out, 'x', sizeof(out));
	id_random_hex(out, 0);
	ck_assert_str_eq(out, "");
	id_random_hex(out, 50);
	ck_assert_uint_eq(strspn(out, "0123456789abcdef"), 100);
	ck_assert_int_eq(out[100], '\0');
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, parses_durations, 0, LOOM_COUNT(durations));
	tcase_add_loop_test(tc, formats_times, 0, LOOM_COUNT(times));
	tcase_add_loop_test(tc, backs_off_within_bounds, 0, LOOM_COUNT(backoffs));
	tcase_add_test(tc, clocks_run);
	tcase_add_test(tc, writes_ids);
	tcase_add_loop_test(tc, reads_ids, 0, LOOM_COUNT(ids));
	tcase_add_test(tc, makes_uuids);
	tcase_add_test(tc, makes_random_hex);
	return UNIT_RUN("base_ids", tc);
}
