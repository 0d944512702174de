/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ui-gateway/rules.h"
#include "services/ui-gateway/session.h"
#include "services/ui-gateway/static.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *before, *peer, *said;
} forwarded[] = {
	{ NULL, "192.0.2.7:4711", "X-Forwarded-For: 192.0.2.7" },
	{ "198.51.100.1", "192.0.2.7:4711", "X-Forwarded-For: 198.51.100.1, 192.0.2.7" },
	{ NULL, "[2001:db8::7]:4711", "X-Forwarded-For: 2001:db8::7" },
	{ NULL, "?:0", "X-Forwarded-For: ?" },
};

START_TEST(says_who_has_asked)
{
	struct strs out = { 0 };
	rules_add_forwarded_for(&out, forwarded[_i].before, forwarded[_i].peer);
	ck_assert_str_eq(out.v[0], forwarded[_i].said);
	strs_fini(&out);
}
END_TEST

static const struct {
	const char *name, *connection;
	bool request, answer;
} headers[] = {
	{ "Accept", NULL, true, true },
	{ "Last-Event-ID", NULL, true, true },
	{ "Content-Type", NULL, true, false },
	{ "If-None-Match", NULL, true, true },
	{ "ETag", NULL, true, true },
	{ "Date", NULL, true, true },
	{ "Retry-After", NULL, true, true },
	{ "X-Custom", "X-Other", true, true },
	{ "X-Custom", "close, x-custom", false, false },
	{ "Connection", NULL, false, false },
	{ "Keep-Alive", NULL, false, false },
	{ "TE", NULL, false, false },
	{ "Trailer", NULL, false, false },
	{ "Transfer-Encoding", NULL, false, false },
	{ "Upgrade", NULL, false, false },
	{ "Proxy-Authorization", NULL, false, false },
	{ "Content-Length", NULL, false, false },
	{ "Host", NULL, false, true },
	{ "Expect", NULL, false, true },
	{ "X-Loom-UserID", NULL, false, true },
	{ "x-loom-tenantid", NULL, false, true },
	{ "X_Loom_UserID", NULL, false, true },
	{ "Coopr-UserID", NULL, false, true },
	{ "COOPR_TENANTID", NULL, false, true },
	{ "coopr-apikey", NULL, false, true },
	{ "Authorization", NULL, false, true },
	{ "Cookie", NULL, false, true },
	{ "X-Forwarded-For", NULL, false, true },
	{ "Set-Cookie", NULL, true, false },
	{ "Content-Security-Policy", NULL, true, false },
};

START_TEST(chooses_headers)
{
	ck_assert_msg(rules_pass_request(headers[_i].name, headers[_i].connection) ==
	                      headers[_i].request,
	              "request %s", headers[_i].name);
	ck_assert_msg(rules_pass_answer(headers[_i].name, headers[_i].connection) ==
	                      headers[_i].answer,
	              "answer %s", headers[_i].name);
}
END_TEST

static const struct {
	const char *base, *rest, *raw, *want;
} urls[] = {
	{ "http://a:1", "v2/clusters", "/api/v2/clusters", "http://a:1/v2/clusters" },
	{ "http://a:1/", "", "/api", "http://a:1/" },
	{ "http://a:1/p//", "x", "/api/x", "http://a:1/p/x" },
	{ "http://a:1", "v2/c", "/api/v2/c?after=3&x=%20y+z", "http://a:1/v2/c?after=3&x=%20y+z" },
	{ "http://a:1", "v2/c", "/api/v2/c?", "http://a:1/v2/c" },
	{ "http://a:1", "a b?c#d%e", "/api/..", "http://a:1/a%20b%3Fc%23d%25e" },
	{ "http://a:1", "ü", "/api/..?q=#x\"", "http://a:1/%C3%BC?q=%23x%22" },
	{ "http://a:1", "@evil.example/x:y", "/api/..", "http://a:1/@evil.example/x:y" },
};

START_TEST(makes_urls)
{
	LOOM_CLEANUP_STR char *url = rules_url(urls[_i].base, urls[_i].rest, urls[_i].raw);
	ck_assert_str_eq(url, urls[_i].want);
}
END_TEST

START_TEST(splits_headers)
{
	const char *value;
	LOOM_CLEANUP_STR char *a = rules_split("ETag: \"x: y\"", &value);
	ck_assert_str_eq(a, "ETag");
	ck_assert_str_eq(value, "\"x: y\"");
	LOOM_CLEANUP_STR char *b = rules_split("X-Empty:", &value);
	ck_assert_str_eq(b, "X-Empty");
	ck_assert_str_eq(value, "");
	ck_assert_ptr_null(rules_split("no colon", &value));
	ck_assert_ptr_null(rules_split(": no name", &value));
}
END_TEST

static const struct {
	const char *method, *site, *origin, *host;
	bool by_cookie, ok;
} origins[] = {
	{ "GET", "cross-site", "https://evil.example", "loom:8100", false, true },
	{ "HEAD", NULL, "https://evil.example", "loom:8100", false, true },
	{ "POST", NULL, NULL, "loom:8100", false, true }, /* no browser */
	{ "POST", NULL, NULL, "loom:8100", true, false }, /* a cookie proves nothing then */
	{ "GET", NULL, NULL, "loom:8100", true, true },
	{ "POST", "same-origin", NULL, "loom:8100", true, true },
	{ "POST", NULL, "http://loom:8100", "loom:8100", true, true },
	{ "POST", "cross-site", "http://loom:8100", "loom:8100", true, false },
	{ "POST", "same-origin", "http://loom:8100", "loom:8100", false, true },
	{ "POST", "none", NULL, "loom:8100", false, true },
	{ "POST", "same-site", "http://loom:8100", "loom:8100", false, false },
	{ "POST", "cross-site", NULL, "loom:8100", false, false },
	{ "POST", "", NULL, "loom:8100", false, false },
	{ "POST", NULL, "http://loom:8100", "loom:8100", false, true },
	{ "POST", NULL, "https://LOOM:8100", "loom:8100", false, true },
	{ "PUT", NULL, "http://loom:8101", "loom:8100", false, false },
	{ "PUT", NULL, "http://loom:8100.evil.example", "loom:8100", false, false },
	{ "DELETE", NULL, "null", "loom:8100", false, false },
	{ "DELETE", NULL, "http://loom:8100", NULL, false, false },
	{ "DELETE", NULL, "file://loom:8100", "loom:8100", false, false },
	{ "PATCH", NULL, "https://evil.example", "loom:8100", false, false },
};

START_TEST(judges_origins)
{
	ck_assert(session_origin_ok(origins[_i].method, origins[_i].site, origins[_i].origin,
	                            origins[_i].host, origins[_i].by_cookie) == origins[_i].ok);
}
END_TEST

static const struct {
	const char *value;
	bool ok;
} tags[] = {
	{ NULL, false },
	{ "", false },
	{ "\"ab\"", true },
	{ "W/\"ab\"", true },
	{ "*", true },
	{ "\"x\", \"ab\"", true },
	{ "\"x\",W/\"ab\"", true },
	{ "\"abc\"", false },
	{ "\"ab\"c", false },
	{ "ab", false },
	{ "\"x\"", false },
};

/* Quotes are part of the value; what is no token is none. */
static const struct {
	const char *header, *value;
} cookies[] = {
	{ NULL, NULL },
	{ "", NULL },
	{ "loom_session=abc", "abc" },
	{ "a=b; loom_session=loom_A-z_9; c=d", "loom_A-z_9" },
	{ "a=b;loom_session=x", "x" },
	{ "my_loom_session=abc", NULL },
	{ "a=loom_session=abc", NULL },
	{ "loom_session=", NULL },
	{ "loom_session=a b", NULL },
	{ "loom_session=\"abc\"", NULL },
	{ "loom_session=a\tb", NULL },
	{ "loom_session=a%0d%0aX: y", NULL },
	{ "loom_session", NULL },
	{ ";;;loom_session=q;", "q" },
};

START_TEST(finds_the_session)
{
	LOOM_CLEANUP_STR char *value = session_cookie(cookies[_i].header);
	if (cookies[_i].value)
		ck_assert_pstr_eq(value, cookies[_i].value);
	else
		ck_assert_msg(!value, "%s", cookies[_i].header);
}
END_TEST

START_TEST(matches_tags)
{
	ck_assert(site_tag_matches(tags[_i].value, "\"ab\"") == tags[_i].ok);
}
END_TEST

START_TEST(knows_types)
{
	ck_assert_str_eq(site_type("index.html"), "text/html; charset=utf-8");
	ck_assert_str_eq(site_type("a.b.js"), "text/javascript; charset=utf-8");
	ck_assert_str_eq(site_type("x.css"), "text/css; charset=utf-8");
	ck_assert_str_eq(site_type("icon.svg"), "image/svg+xml");
	ck_assert_ptr_null(site_type("README.md"));
	ck_assert_ptr_null(site_type("js"));
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

static char dir[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void make_dir(void)
{
	char path[128];
	snprintf(dir, sizeof(dir), "/tmp/loom-site-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/js", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void remove_dir(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0); /* NOLINT */
}

START_TEST(reads_files)
{
	char path[128];
	struct site *s = NULL;
	struct loom_err err = { 0 };
	write_file("index.html", "<p>");
	write_file("js/a.js", "1;");
	write_file(".hidden.js", "2;");
	write_file("notes.md", "no");
	snprintf(path, sizeof(path), "%s/secret.txt", dir);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_msg(site_load(dir, false, &s, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(site_count(s), 2);
	site_destroy(s);
}
END_TEST

START_TEST(wants_an_index)
{
	struct site *s = NULL;
	struct loom_err err = { 0 };
	write_file("js/a.js", "1;");
	ck_assert_int_gt(site_load(dir, false, &s, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "index.html"));
	ck_assert_int_gt(site_load("/nonexistent/web", false, &s, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/web"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pure");
	tcase_add_loop_test(tc, chooses_headers, 0, LOOM_COUNT(headers));
	tcase_add_loop_test(tc, makes_urls, 0, LOOM_COUNT(urls));
	tcase_add_test(tc, splits_headers);
	tcase_add_loop_test(tc, says_who_has_asked, 0, LOOM_COUNT(forwarded));
	tcase_add_loop_test(tc, judges_origins, 0, LOOM_COUNT(origins));
	tcase_add_loop_test(tc, finds_the_session, 0, LOOM_COUNT(cookies));
	tcase_add_loop_test(tc, matches_tags, 0, LOOM_COUNT(tags));
	tcase_add_test(tc, knows_types);
	TCase *files = tcase_create("files");
	tcase_add_checked_fixture(files, make_dir, remove_dir);
	tcase_add_test(files, reads_files);
	tcase_add_test(files, wants_an_index);
	return UNIT_RUN("gateway_rules", tc, files);
}
