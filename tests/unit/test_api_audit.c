/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/request/audit.h"

#include "common/base/str.h"
#include "services/api/request/legacy.h"
#include "tests/support/unit.h"

#include <string.h>

#define PROXIES "127.0.0.0/8, 10.1.0.0/16, ::1"

static const struct {
	const char *peer, *forwarded, *from;
} ways[] = {
	{ "192.0.2.7:4711", NULL, "192.0.2.7" },
	{ "[2001:db8::7]:4711", NULL, "2001:db8::7" },
	{ "2001:db8::7", NULL, "2001:db8::7" },
	{ "192.0.2.7", NULL, "192.0.2.7" },
	/* who is no trusted proxy says what he likes */
	{ "192.0.2.7:4711", "203.0.113.9", "192.0.2.7" },
	{ "127.0.0.1:80", "203.0.113.9", "203.0.113.9" },
	{ "[::1]:80", "2001:db8::9", "2001:db8::9" },
	/* what a client said before the first trusted one is the client's word */
	{ "127.0.0.1:80", "198.51.100.1, 203.0.113.9", "203.0.113.9" },
	{ "127.0.0.1:80", "203.0.113.9, 10.1.2.3", "203.0.113.9" },
	{ "127.0.0.1:80", "198.51.100.1,203.0.113.9,\t10.1.2.3", "203.0.113.9" },
	{ "127.0.0.1:80", "10.1.2.3", "10.1.2.3" },
	/* some proxies name the port, too */
	{ "127.0.0.1:80", "203.0.113.9:50123", "203.0.113.9" },
	{ "127.0.0.1:80", "[2001:db8::9]:50123, 10.1.2.3:4711", "2001:db8::9" },
	{ "127.0.0.1:80", "[2001:db8::9]", "2001:db8::9" },
	{ "127.0.0.1:80", "nonsense", "127.0.0.1" },
	{ "127.0.0.1:80", "203.0.113.9, ", "127.0.0.1" },
	{ "127.0.0.1:80", "", "127.0.0.1" },
};

START_TEST(the_address_is_what_trusted_proxies_say)
{
	char from[64];
	audit_from(PROXIES, ways[_i].peer, ways[_i].forwarded, from);
	ck_assert_str_eq(from, ways[_i].from);
	/* nobody is trusted: the peer itself */
	char alone[64];
	audit_from("", ways[_i].peer, ways[_i].forwarded, from);
	audit_from("", ways[_i].peer, NULL, alone);
	ck_assert_str_eq(from, alone);
}
END_TEST

START_TEST(work_on_tasks_and_reading_are_no_changes)
{
	struct api_routes *all;
	struct loom_err err;
	ck_assert_int_eq(api_routes_create(&all, &err), 0);
	size_t changes = 0;
	const struct route_set *sets[] = { &all->external, &all->internal };
	for (size_t s = 0; s < LOOM_COUNT(sets); s++) {
		for (size_t i = 0; i < sets[s]->n; i++) {
			const struct route *r = &sets[s]->rules[i];
			bool work = str_starts(legacy_below(r->path), "/tasks/") ||
			            str_ends(r->path, "/heartbeat");
			changes += audit_is_change(r);
			if (str_eq(r->method, "GET"))
				ck_assert_msg(!audit_is_change(r), "%s", r->path);
			else if (audit_is_change(r) == work)
				ck_assert_msg(r->repeat == REPEAT_READS, "%s %s", r->method,
				              r->path);
		}
	}
	ck_assert_uint_gt(changes, 50);
	api_routes_destroy(all);
}
END_TEST

/* Quotes are written ' for reading. */
static const struct {
	const char *doc, *kept;
} documents[] = {
	{ "{'name':'lab','provisioner':{'api_password':'s3','url':'u','retries':5}}",
	  "{'name':'lab','provisioner':{'api_password':'********','url':'u','retries':5}}" },
	{ "{'providerFields':{'project':'p'},'numMachines':3}",
	  "{'providerFields':'********','numMachines':3}" },
	{ "[{'Secret':['a','b']},{'accessToken':7}]",
	  "[{'Secret':'********'},{'accessToken':'********'}]" },
	/* whether there is one is no secret */
	{ "{'hasPassword':true,'password':null}", "{'hasPassword':true,'password':null}" },
	{ "'text'", "'text'" },
};

START_TEST(what_is_kept_of_a_document)
{
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(documents[_i].doc);
	LOOM_CLEANUP(json_free) struct json *want = unit_json(documents[_i].kept);
	LOOM_CLEANUP_STR char *text = audit_text(doc), *expected = json_text(want);
	ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(a_long_document_is_summed_up)
{
	LOOM_CLEANUP(json_free) struct json *doc = json_new_obj();
	LOOM_CLEANUP_STR char *longest = loom_calloc(AUDIT_DOC_MAX + 1, 1);
	memset(longest, 'x', AUDIT_DOC_MAX);
	json_set_str(doc, "text", longest);
	LOOM_CLEANUP_STR char *text = audit_text(doc);
	ck_assert_uint_lt(strlen(text), 200);
	ck_assert(strstr(text, "\"bytes\":32779"));
	ck_assert_ptr_null(audit_text(NULL));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("audit");
	tcase_add_loop_test(c, the_address_is_what_trusted_proxies_say, 0, LOOM_COUNT(ways));
	tcase_add_test(c, work_on_tasks_and_reading_are_no_changes);
	tcase_add_loop_test(c, what_is_kept_of_a_document, 0, LOOM_COUNT(documents));
	tcase_add_test(c, a_long_document_is_summed_up);
	return UNIT_RUN("api_audit", c);
}
