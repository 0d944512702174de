/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/http_gzip.h"
#include "tests/support/unit.h"

#include <string.h>
#include <zlib.h>

static const struct {
	const char *value;
	bool accepted;
} accepts[] = {
	{ NULL, false },
	{ "", false },
	{ "gzip", true },
	{ "GZIP", true },
	{ "gzip, deflate, br", true },
	{ "deflate,gzip;q=0.5", true },
	{ "gzip;q=1.000", true },
	{ "gzip;q=0", false },
	{ "gzip ; q=0.000", false },
	{ "gzip;q=0.001", true },
	{ "identity", false },
	{ "*", true },
	{ "*;q=0", false },
	{ "gzip;q=0, *", false },
	{ "gzipped", false },
	{ ",,, ;;", false },
};

START_TEST(who_takes_it)
{
	ck_assert_int_eq(gzip_accepted(accepts[_i].value), accepts[_i].accepted);
}
END_TEST

static const struct {
	const char *type;
	bool helps;
} types[] = {
	{ NULL, false },
	{ "", false },
	{ "application/json", true },
	{ "text/html; charset=utf-8", true },
	{ "Text/CSS", true },
	{ "text/event-stream", false },
	{ "image/png", false },
	{ "font/woff2", false },
	{ "application/octet-stream", false },
};

START_TEST(what_gains)
{
	ck_assert_int_eq(gzip_helps(types[_i].type), types[_i].helps);
}
END_TEST

static void make_text(char *text, size_t len, bool random)
{
	uint32_t x = 12345;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = random ? (char)(x >> 24) : "{\"a\":1},"[i % 8];
	}
}

START_TEST(comes_back_as_it_was)
{
	static char text[300000], back[sizeof(text)];
	make_text(text, sizeof(text), false);
	size_t len = 0;
	LOOM_CLEANUP_STR char *small = gzip_make(text, sizeof(text), GZIP_FAST, &len);
	ck_assert_ptr_nonnull(small);
	ck_assert_uint_lt(len, sizeof(text) / 20);
	z_stream z = { .next_in = (Bytef *)small,
		       .avail_in = (uInt)len,
		       .next_out = (Bytef *)back,
		       .avail_out = sizeof(back) };
	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	ck_assert_mem_eq(back, text, sizeof(text));
}
END_TEST

START_TEST(no_gain_no_change)
{
	static char text[100000];
	size_t len = 7;
	make_text(text, sizeof(text), true);
	ck_assert_ptr_null(gzip_make(text, sizeof(text), GZIP_BEST, &len));
	make_text(text, sizeof(text), false);
	ck_assert_ptr_null(gzip_make(text, GZIP_LEAST - 1, GZIP_BEST, &len));
	ck_assert_uint_eq(len, 7);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("gzip");
	tcase_add_loop_test(t, who_takes_it, 0, LOOM_COUNT(accepts));
	tcase_add_loop_test(t, what_gains, 0, LOOM_COUNT(types));
	tcase_add_test(t, comes_back_as_it_was);
	tcase_add_test(t, no_gain_no_change);
	return UNIT_RUN("net_gzip", t);
}
