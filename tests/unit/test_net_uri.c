/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/http_router.h"
#include "common/net/http_uri.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
	const char *target;
	const char *path;  /* NULL: refused */
	const char *query; /* "name=value|..." */
} uris[] = {
	{ "/", "/", "" },
	{ "/a", "/a", "" },
	{ "/a/", "/a", "" },
	{ "//a///b//", "/a/b", "" },
	{ "/a%20b/%C3%a4", "/a b/\xc3\xa4", "" },
	{ "/a+b", "/a+b", "" },
	{ "/a?x=1&y=%26%3d&z", "/a", "x=1|y=&=|z=|" },
	{ "/a?x=a+b=c&&=v", "/a", "x=a b=c|=v|" },
	{ "/a?", "/a", "" },
	{ "/a?q=/../%2f", "/a", "q=/..//|" },
	{ "/a?t=%0A", "/a", "t=\n|" },
	{ "/...", "/...", "" },
	{ "/.", NULL, NULL },
	{ "/a/..", NULL, NULL },
	{ "/a/%2E./b", NULL, NULL },
	{ "/a%2fb", NULL, NULL },
	{ "/a%20", NULL, NULL },
	{ "/a%20/b", NULL, NULL },
	{ "/%20", NULL, NULL },
	{ "/%20a", "/ a", "" },
	{ "/%00", NULL, NULL },
	{ "/%0a", NULL, NULL },
	{ "/%7F", NULL, NULL },
	{ "/%", NULL, NULL },
	{ "/%4", NULL, NULL },
	{ "/%4g", NULL, NULL },
	{ "/%-1", NULL, NULL },
	{ "/a?x=%", NULL, NULL },
	{ "/a?%x=1", NULL, NULL },
	{ "/a?x=%00", NULL, NULL },
};

START_TEST(targets)
{
	struct http_uri u;
	const char *reason = NULL;
	int r = http_uri_parse(&u, uris[_i].target, &reason);
	if (!uris[_i].path) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_ptr_nonnull(reason);
	} else {
		struct strs pairs = { 0 };
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(u.path, uris[_i].path);
		for (size_t i = 0; i < u.names.n; i++)
			strs_addf(&pairs, "%s=%s|", u.names.v[i], u.values.v[i]);
		LOOM_CLEANUP_STR char *query = strs_join(&pairs, "");
		ck_assert_str_eq(query, uris[_i].query);
		strs_fini(&pairs);
	}
	http_uri_fini(&u);
}
END_TEST

static void none(struct http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
}

static const struct http_route routes[] = {
	{ "GET", "/", HTTP_ON_LOOP, none },
	{ "GET", "/a", HTTP_ON_LOOP, none },
	{ "POST", "/a", HTTP_ON_LOOP, none },
	{ "GET", "/a/special", HTTP_ON_LOOP, none },
	{ "GET", "/a/{id}", HTTP_ON_LOOP, none },
	{ "DELETE", "/a/{name}", HTTP_ON_LOOP, none },
	{ "GET", "/a/{id}/b/{other}", HTTP_ON_LOOP, none },
	{ "GET", "/files/{rest*}", HTTP_ON_LOOP, none },
	{ NULL, NULL, HTTP_ON_LOOP, NULL },
};

static const struct {
	const char *method, *path;
	int route;
	const char *params; /* or the allowed methods */
} matches[] = {
	{ "GET", "/", 0, "" },
	{ "GET", "/a/", 1, "" },
	{ "POST", "/a", 2, "" },
	{ "GET", "/a/special", 3, "" },
	{ "GET", "/a/special1", 4, "id=special1" },
	{ "GET", "/a/x%20y", 4, "id=x y" },
	{ "DELETE", "/a/special", 5, "name=special" },
	{ "GET", "/a/1/b/2", 6, "id=1,other=2" },
	{ "GET", "/files/x/y/z", 7, "rest=x/y/z" },
	{ "GET", "/files/", 7, "rest=" },
	{ "GET", "/a/1/b", -1, "" },
	{ "GET", "/A", -1, "" },
	{ "GET", "/a/1/c/2", -1, "" },
	{ "PUT", "/a", -1, "GET,POST,HEAD" },
	{ "PUT", "/a/special", -1, "GET,DELETE,HEAD" },
	{ "get", "/a/1", -1, "GET,DELETE,HEAD" },
	{ "POST", "/files/x", -1, "GET,HEAD" },
};

START_TEST(routing)
{
	struct http_uri u;
	struct http_match m;
	struct strs params = { 0 };
	const char *reason = NULL;
	ck_assert_int_eq(http_uri_parse(&u, matches[_i].path, &reason), 0);
	http_router_match(routes, matches[_i].method, &u.segments, &m);
	ck_assert_ptr_eq(m.route, matches[_i].route < 0 ? NULL : &routes[matches[_i].route]);
	for (size_t i = 0; i < m.names.n; i++)
		strs_addf(&params, "%s=%s", m.names.v[i], m.values.v[i]);
	LOOM_CLEANUP_STR char *text = strs_join(m.route ? &params : &m.allow, ",");
	ck_assert_str_eq(text, matches[_i].params);
	strs_fini(&params);
	http_match_fini(&m);
	http_uri_fini(&u);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("tables");
	tcase_add_loop_test(t, targets, 0, (int)LOOM_COUNT(uris));
	tcase_add_loop_test(t, routing, 0, (int)LOOM_COUNT(matches));
	return UNIT_RUN("net_uri", t);
}
