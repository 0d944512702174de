/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of the table says who may make the call, and whose the thing is; one that does not is
 * found. */
#include "services/api/request/route.h"

#include "common/operation/operation.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

static void nothing(struct http_req *req LOOM_UNUSED, void *ctx LOOM_UNUSED)
{
}

static const struct route good = { .method = "PUT",
	                           .path = "/v2/clusters/{id}/x",
	                           .run = HTTP_ON_POOL,
	                           .fn = nothing,
	                           .roles = ROLES_USER,
	                           .scope = "clusters:write",
	                           .action = "clusters:x",
	                           .owner = OWNER_CLUSTER,
	                           .repeat = REPEAT_SAME,
	                           .takes = TAKES_WHOLE,
	                           .body = &schema_labels,
	                           .answer = &answer_empty,
	                           .errors = "409 422",
	                           .summary = "Do x",
	                           .since = "1" };

START_TEST(a_whole_row_is_taken)
{
	struct loom_err err;
	ck_assert_int_eq(routes_check(&good, 1, &err), 0);
}
END_TEST

/* One thing of a good row is another. */
static const struct {
	size_t at, size;
	union {
		unsigned roles;
		int number;
		const char *text;
	} is;
	const char *says;
} bad[] = {
#define AT(member) offsetof(struct route, member), sizeof(((struct route *)0)->member)
	{ AT(method), { .text = NULL }, "method" },
	{ AT(path), { .text = "" }, "path" },
	{ AT(fn), { .text = NULL }, "handler" },
	{ AT(summary), { .text = " " }, "summary" },
	{ AT(since), { .text = NULL }, "version" },
	{ AT(roles), { .roles = 0 }, "who may" },
	{ AT(roles), { .roles = 64 }, "who may" },
	{ AT(roles), { .roles = ROLE_USER | ROLE_ANYBODY }, "who may" },
	{ AT(roles), { .roles = ROLE_USER | ROLE_PROVISIONER }, "who may" },
	{ AT(roles), { .roles = ROLE_ANYBODY }, "scope" },
	{ AT(scope), { .text = NULL }, "scope" },
	{ AT(scope), { .text = "" }, "scope" },
	{ AT(scope), { .text = "clusters" }, "scope" },
	{ AT(scope), { .text = ":write" }, "scope" },
	{ AT(scope), { .text = "catalog:write" }, "action" },
	{ AT(action), { .text = NULL }, "action" },
	{ AT(action), { .text = "clusters:" }, "action" },
	{ AT(action), { .text = "catalog:x" }, "action" },
	{ AT(owner), { .number = OWNER_UNSAID }, "owner" },
	{ AT(owner), { .number = 99 }, "owner" },
	{ AT(owner), { .number = OWNER_NONE }, "owner" },
	{ AT(owner), { .number = OWNER_ALL }, "owner" },
	{ AT(owner), { .number = OWNER_TENANT }, "owner" },
	{ AT(owner), { .number = OWNER_TASK }, "owner" },
	{ AT(path), { .text = "/v2/things/{id}" }, "owner" },
	{ AT(path), { .text = "/v2/clusters" }, "owner" },
	{ AT(repeat), { .number = REPEAT_UNSAID }, "repeat" },
	{ AT(repeat), { .number = 99 }, "repeat" },
	{ AT(method), { .text = "GET" }, "repeat" },
	{ AT(takes), { .number = TAKES_UNSAID }, "body" },
	{ AT(takes), { .number = TAKES_NONE }, "body" },
	{ AT(takes), { .number = 99 }, "body" },
	{ AT(body), { .text = NULL }, "body" },
	{ AT(answer), { .text = NULL }, "answer" },
	{ AT(errors), { .text = NULL }, "errors" },
	{ AT(errors), { .text = "4xx" }, "errors" },
	{ AT(errors), { .text = "404,409" }, "errors" },
	{ AT(errors), { .text = "600" }, "errors" },
	{ AT(run), { .number = HTTP_ON_LOOP }, "run" },
	{ AT(tag), { .number = 99 }, "tag" },
#undef AT
};

START_TEST(a_row_that_leaves_something_open_is_refused)
{
	struct route r = good;
	struct loom_err err = { 0 };
	memcpy((char *)&r + bad[_i].at, &bad[_i].is, bad[_i].size);
	ck_assert_int_eq(routes_check(&r, 1, &err), 500);
	ck_assert_msg(strstr(err.msg, bad[_i].says), "%s: %s", bad[_i].says, err.msg);
}
END_TEST

static void check_set(const struct route_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct route *r = &s->rules[i];
		/* What shows a version lets it be named by whatever changes it. */
		for (size_t k = 0; r->tag && r->repeat == REPEAT_READS && k < s->n; k++)
			ck_assert_msg(!str_eq(s->rules[k].path, r->path) ||
			                      s->rules[k].tag == r->tag,
			              "%s %s", s->rules[k].method, r->path);
		ck_assert_str_eq(s->v[i].pattern, r->path);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(!str_eq(s->rules[i].path, s->rules[k].path) ||
			                      !str_eq(s->rules[i].method, s->rules[k].method),
			              "%s %s is there twice", s->rules[i].method, s->rules[i].path);
	}
	ck_assert_ptr_null(s->v[s->n].method);
}

/* Only what says how the service is, or what it can do, is for everybody; and the way in. */
static bool is_open(const char *path)
{
	static const char *const open[] = { "/livez",        "/readyz", "/metrics", "/status",
		                            "/openapi.json", "/docs",   "/v2/login" };
	for (size_t i = 0; i < LOOM_COUNT(open); i++) {
		if (str_eq(path, open[i]))
			return true;
	}
	return false;
}

START_TEST(all_rows_say_who_may_and_whose_it_is)
{
	struct api_routes *r = NULL;
	struct loom_err err = { 0 };
	ck_assert_msg(!api_routes_create(&r, &err), "%s", err.msg);
	check_set(&r->external);
	check_set(&r->internal);
	for (size_t i = 0; i < r->external.n; i++) {
		const struct route *row = &r->external.rules[i];
		ck_assert_ptr_eq(api_routes_rule(r, &r->external.v[i]), row);
		ck_assert(!(row->roles & ROLE_PROVISIONER));
		ck_assert_msg((row->roles == ROLE_ANYBODY) == is_open(row->path), "%s", row->path);
		/* An auditor reads only, but for what is his own. */
		ck_assert_msg(!(row->roles & ROLE_AUDITOR) || row->repeat == REPEAT_READS ||
		                      str_starts(row->scope, "session:") ||
		                      str_starts(row->scope, "profile:") ||
		                      str_starts(row->scope, "tokens:"),
		              "%s %s", row->method, row->path);
	}
	for (size_t i = 0; i < r->internal.n; i++) {
		const struct route *row = &r->internal.rules[i];
		ck_assert_ptr_eq(api_routes_rule(r, &r->internal.v[i]), row);
		ck_assert_msg((row->roles == ROLE_PROVISIONER) == !is_open(row->path), "%s",
		              row->path);
	}
	api_routes_destroy(r);
}
END_TEST

/* A new operation is a path by its row alone. */
START_TEST(each_operation_has_its_path)
{
	struct api_routes *r = NULL;
	struct loom_err err;
	ck_assert_int_eq(api_routes_create(&r, &err), 0);
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		bool found = !k->method;
		for (size_t i = 0; i < r->external.n && !found; i++) {
			const struct route *row = &r->external.rules[i];
			found = str_eq(row->method, k->method) && str_ends(row->path, k->path) &&
			        row->owner == OWNER_CLUSTER;
		}
		ck_assert_msg(found, "%s", k->name);
	}
	api_routes_destroy(r);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("routes");
	tcase_add_test(c, a_whole_row_is_taken);
	tcase_add_loop_test(c, a_row_that_leaves_something_open_is_refused, 0, LOOM_COUNT(bad));
	tcase_add_test(c, all_rows_say_who_may_and_whose_it_is);
	tcase_add_test(c, each_operation_has_its_path);
	return UNIT_RUN("api_routes", c);
}
