/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of other origins may read answers. */
#include "common/net/http_cors.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

static const struct {
	const char *origins, *bad;
} lists[] = {
	{ "", NULL },
	{ "https://a.example", NULL },
	{ "https://a.example, http://localhost:3000 http://127.0.0.1:8080,http://[::1]:80", NULL },
	{ "http://[fd00::1]", NULL },
	{ "https://a.example *", "*" },
	{ "null", "null" },
	{ "https://a.example/", "https://a.example/" },
	{ "https://a.example/page", "https://a.example/page" },
	{ "https://A.example", "https://A.example" },
	{ "https://*.example", "https://*.example" },
	{ "https://a.example:", "https://a.example:" },
	{ "https://a.example:123456", "https://a.example:123456" },
	{ "https://a.example:80x", "https://a.example:80x" },
	{ "https://u@a.example", "https://u@a.example" },
	{ "https://", "https://" },
	{ "http://[]", "http://[]" },
	{ "http://[::1", "http://[::1" },
	{ "a.example", "a.example" },
	{ "ftp://a.example", "ftp://a.example" },
};

START_TEST(origins_are_exact)
{
	LOOM_CLEANUP_STR char *bad = NULL;
	bool fine = http_cors_valid(lists[_i].origins, &bad);
	ck_assert_msg(fine == !lists[_i].bad, "%s: %s", lists[_i].origins, bad ? bad : "fine");
	if (bad)
		ck_assert_str_eq(bad, lists[_i].bad);
}
END_TEST

static void add(void *arg, const char *name, const char *value)
{
	strs_addf(arg, "%s: %s", name, value);
}

static char *headers(const struct http_cors *c, const char *origin, const char *methods)
{
	struct strs all = { 0 };
	if (methods)
		http_cors_preflight(c, origin, methods, add, &all);
	else
		http_cors_headers(c, origin, add, &all);
	char *ret = strs_join(&all, "; ");
	strs_fini(&all);
	return ret;
}

#define OFF                            \
	{                              \
		"", false, "A, B", "C" \
	}
#define SOME                                                        \
	{                                                           \
		"https://a.example, http://b:1", false, "A, B", "C" \
	}
#define SHOWN \
	"Vary: Origin; Access-Control-Allow-Origin: http://b:1; Access-Control-Expose-Headers: C"

static const struct {
	struct http_cors cors;
	const char *origin, *methods, *said;
} answers[] = {
	{ OFF, NULL, NULL, "" },
	{ OFF, "https://a.example", NULL, "" },
	{ OFF, "https://a.example", "GET", "" },
	{ OFF, "", "GET", "" },
	{ SOME, NULL, NULL, "Vary: Origin" },
	{ SOME, "https://evil.example", NULL, "Vary: Origin" },
	{ SOME, "https://a.example.evil", NULL, "Vary: Origin" },
	{ SOME, "https://a.exampl", NULL, "Vary: Origin" },
	{ SOME, "http://a.example", NULL, "Vary: Origin" },
	{ SOME, "null", NULL, "Vary: Origin" },
	{ SOME, "https://a.example, http://b:1", NULL, "Vary: Origin" },
	{ SOME, "http://b:1", NULL, SHOWN },
	{ { "http://b:1", true, "A, B", "C" },
	  "http://b:1",
	  NULL,
	  SHOWN "; Access-Control-Allow-Credentials: true" },
	{ SOME, "https://evil.example", "GET", "" },
	{ SOME, NULL, "GET", "" },
	{ SOME, "http://b:1", "GET, PUT",
	  "Access-Control-Allow-Methods: GET, PUT; Access-Control-Allow-Headers: A, B; "
	  "Access-Control-Max-Age: 600" },
};

START_TEST(only_listed_origins_are_answered)
{
	LOOM_CLEANUP_STR char *said =
		headers(&answers[_i].cors, answers[_i].origin, answers[_i].methods);
	ck_assert_str_eq(said, answers[_i].said);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("cors");
	tcase_add_loop_test(t, origins_are_exact, 0, LOOM_COUNT(lists));
	tcase_add_loop_test(t, only_listed_origins_are_answered, 0, LOOM_COUNT(answers));
	return UNIT_RUN("net_cors", t);
}
