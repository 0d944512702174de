/* SPDX-License-Identifier: Apache-2.0 */
/* Macros: the specification's tables; lists are in order of nodenum. */
#include "common/base/buf.h"
#include "common/model/cluster/macro.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

enum { FOO, BAR, ONE, TWO, THR, NODES };

static struct strs on[NODES];
static struct json *ips[NODES];
static struct macro_node nodes[NODES];
static struct macro *macro;

static struct json *parse(const char *text)
{
	struct json *v = NULL;
	struct loom_err err;

	ck_assert_msg(json_parse_str(text, &v, &err) == 0, "%s: %s", err.msg, text);
	return v;
}

static void set_up(void)
{
	static const struct {
		const char *id;
		int nodenum;
		const char *host, *ip, *services[3];
	} rows[NODES] = {
		[FOO] = { "foo", 0, "oof", "9.7.8.4", { "svc1", "svc2" } },
		[BAR] = { "bar", 5, "rab", "9.6.8.1", { "svc1", "dotted.svc" } },
		[ONE] = { "one", 8, "eno", "9.1.3.4", { "svc1" } },
		[TWO] = { "two", 9, "owt", NULL, { "svc2" } },
		[THR] = { "thr", 10, NULL, "9.6.8.8", { "svc3" } },
	};

	/* in another order than their numbers */
	for (int i = 0; i < NODES; i++) {
		const int at = NODES - 1 - i;

		for (int k = 0; k < 3 && rows[i].services[k]; k++)
			strs_add(&on[at], rows[i].services[k]);
		ips[at] = rows[i].ip ? json_set_str(json_new_obj(), "access_v4", rows[i].ip) : NULL;
		if (i == FOO)
			json_set_str(ips[at], "bind_v4", "10.0.0.1");
		nodes[at] = (struct macro_node){ rows[i].id, rows[i].nodenum, rows[i].host, ips[at],
			                         &on[at] };
	}
	macro = macro_create(nodes, NODES, "user");
}

static void tear_down(void)
{
	macro_destroy(macro);
	for (int i = 0; i < NODES; i++) {
		json_free(ips[i]);
		strs_fini(&on[i]);
		on[i] = (struct strs){ 0 };
	}
}

/* ---- values --------------------------------------------------------------------------------- */

static const struct {
	int self;
	const char *text, *want;
} values[] = {
	{ FOO, "%ip.access_v4.service.svc1%", "9.7.8.4,9.6.8.1,9.1.3.4" },
	{ FOO, "%ip.access_v4.service.svc4%", "%ip.access_v4.service.svc4%" },
	{ FOO, "%instance.self.service.svc1%", "1" },
	{ BAR, "%instance.self.service.svc1%", "2" },
	{ BAR, "%instance.self.service.svc2%", "%instance.self.service.svc2%" },
	{ FOO, "%host.service.svc1[0]%", "oof" },
	{ FOO, "%host.service.svc1[1]%", "rab" },
	{ FOO, "%host.service.svc1[2]%", "eno" },
	{ FOO, "%host.service.svc4[2]%", "%host.service.svc4[2]%" },
	{ FOO, "%map(host.service.svc2,'$:2181')%", "oof:2181,owt:2181" },
	{ FOO, "%join(host.service.svc1,'-')%", "oof-rab-eno" },
	{ FOO, "%join(map(host.service.svc2,'$:2181'),'++')%", "oof:2181++owt:2181" },
	{ FOO, "%join(host.service.svc1,\"'\")%", "oof'rab'eno" },
	{ FOO, "service one: %join(map(host.service.svc1,'$:2181'),',')%",
	  "service one: oof:2181,rab:2181,eno:2181" },
	{ BAR, "hdfs://%host.service.svc1%", "hdfs://oof,rab,eno" },
	{ BAR, "%num.service.svc1%", "3" },
	{ BAR, "%num.service.none%", "0" },
	{ BAR, "%num.service.svc1[7]%", "3" },
	{ BAR, "%cluster.owner%@company.net", "user@company.net" },
	{ BAR, "%host.self%", "rab" },
	{ THR, "%host.self%", "%host.self%" },
	{ -1, "%host.self% %ip.self% %instance.self.service.svc1%",
	  "%host.self% %ip.self% %instance.self.service.svc1%" },
	{ -1, "http://%host.service.svc1[0]%/", "http://oof/" },
	{ FOO, "%ip.self%", "10.0.0.1" },
	{ FOO, "%ip.access_v4.self%", "9.7.8.4" },
	{ FOO, "%ip.access_v4.service.dotted.svc%", "9.6.8.1" },
	{ FOO, "%host.service.dotted.svc%", "rab" },
	{ FOO, "%ip.service.none%", "%ip.service.none%" },
	{ FOO, "%ip.service.no.such%", "%ip.service.no.such%" },
	{ FOO, "%map(host.self,'')%", "" },
	{ FOO, "%map(host.self,'$')%", "oof" },
	{ FOO, "%map(host.self,'$$')%", "$" },
	{ FOO, "%map(host.self,'$$$')%", "$oof" },
	{ FOO, "%map(host.self,'$ $')%", "oof oof" },
	{ FOO, "%map(host.self,'$:2181')%", "oof:2181" },
	/* percent signs */
	{ FOO, "", "" },
	{ FOO, "plain", "plain" },
	{ FOO, "%", "%" },
	{ FOO, "100%", "100%" },
	{ FOO, "100%%", "100%" },
	{ FOO, "%%host.self%%", "%host.self%" },
	{ FOO, "50%% of %host.self%", "50% of oof" },
	{ FOO, "5% and 10%%", "5% and 10%" },
	{ FOO, "%%%%", "%%" },
	{ FOO, "%%%host.self%%%", "%oof%" },
	{ FOO, "%join(host.service.svc1,'%')%", "oof%rab%eno" },
	{ FOO, "%join(host.service.svc1,'%%')%", "oof%rab%eno" },
	/* side by side, and some without a value */
	{ FOO, "%host.self%%ip.self%", "oof10.0.0.1" },
	{ FOO, "%host.self%%host.service.none%!", "oof%host.service.none%!" },
	{ FOO, "a %host.service.none% b %host.self% c", "a %host.service.none% b oof c" },
};

static size_t self_of(int i)
{
	return i < 0 ? MACRO_NO_SELF : (size_t)(NODES - 1 - i);
}

START_TEST(expands)
{
	LOOM_CLEANUP_STR char *got = NULL;
	struct loom_err err = { 0 };

	ck_assert_msg(
		macro_expand_str(macro, self_of(values[_i].self), values[_i].text, &got, &err) == 0,
		"%s", err.msg);
	ck_assert_str_eq(got, values[_i].want);
}
END_TEST

/* ---- errors --------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	int code;
	const char *want; /* is in the message */
} errors[] = {
	{ "%host.service.svc3%", MACRO_E_INCOMPLETE,
	  "node thr has no hostname for macro expansion." },
	{ "%host.service.svc3[0]%", MACRO_E_INCOMPLETE, "node thr has no hostname" },
	{ "%ip.access_v4.service.svc2%", MACRO_E_INCOMPLETE, "node two has no ip" },
	{ "%ip.service.svc1%", MACRO_E_INCOMPLETE, "node bar has no ip" },
	{ "%ip.other.self%", MACRO_E_INCOMPLETE, "node foo has no ip" },
	{ "%ip.access_v4.service.svc1[3]%", MACRO_E_INCOMPLETE,
	  "There are fewer than 4 nodes with svc1 on the cluster" },
	{ "%host.service.svc1[99999999999999999999]%", MACRO_E_INCOMPLETE, "There are fewer than" },
	{ "%abc%", MACRO_E_SYNTAX, "'abc' is not a valid macro name" },
	{ "%ip.service%", MACRO_E_SYNTAX, "'ip.service' is not a valid macro name" },
	{ "%ip.a.b%", MACRO_E_SYNTAX, "'ip.a.b' is not a valid macro name" },
	{ "%ip.%", MACRO_E_SYNTAX, "'ip.' is not a valid macro name" },
	{ "%host.service.%", MACRO_E_SYNTAX, "macro is missing a service name" },
	{ "%num.service.%", MACRO_E_SYNTAX, "macro is missing a service name" },
	{ "%ip.service.%", MACRO_E_SYNTAX, "macro is missing a service name" },
	{ "%abc)%", MACRO_E_SYNTAX, "'abc' is not a valid macro name" },
	{ "%host.service.abc)%", MACRO_E_SYNTAX, "Extra characters after macro at position 16" },
	{ "%host.service.abc''%", MACRO_E_SYNTAX, "Extra characters after macro at position 16" },
	{ "%map(,'$!')%", MACRO_E_SYNTAX, "A macro name must be present" },
	{ "% %", MACRO_E_SYNTAX, "A macro name must be present" },
	{ "%map(host.service.abc)%", MACRO_E_SYNTAX, "',' expected at position 20" },
	{ "%map(host.service.abc,$!)%", MACRO_E_SYNTAX, "Expected ' or \" at position 21" },
	{ "%map(host.service.abc,'$!)%", MACRO_E_SYNTAX, "''' expected at position 26" },
	{ "%map(host.service.abc,'$!'%", MACRO_E_SYNTAX, "')' expected at position 25" },
	{ "%map(host.service.abc,'$!'))%", MACRO_E_SYNTAX, "Extra characters after macro" },
	{ "%join(,'-')%", MACRO_E_SYNTAX, "A macro name must be present" },
	{ "%join(host.service.abc)%", MACRO_E_SYNTAX, "',' expected" },
	{ "%join(host.service.abc,-)%", MACRO_E_SYNTAX, "Expected ' or \"" },
	{ "%join(host.service.abc,)%", MACRO_E_SYNTAX, "Expected ' or \"" },
	{ "%join(map(host.service.abc,'$'),'-'%", MACRO_E_SYNTAX, "')' expected" },
	{ "%map(join(host.service.abc,','),'$')%", MACRO_E_SYNTAX,
	  "'join' is not a valid macro name" },
	{ "%host.service.abc[123%", MACRO_E_SYNTAX,
	  "A service number must consist of digits only." },
	{ "%host.service.abc[%%12%", MACRO_E_SYNTAX, "digits only" },
	{ "%host.service.abc[]%", MACRO_E_SYNTAX, "No service number seen." },
	{ "%host.service.abc[a]%", MACRO_E_SYNTAX, "digits only" },
	{ "%host.service.abc[123.0]%", MACRO_E_SYNTAX, "digits only" },
	{ "width: 100%; height: 50%", MACRO_E_SYNTAX,
	  "A macro name must be present at position 0. in \"%; height: 50%\" (a plain percent sign is "
	  "written %%)" },
};

START_TEST(reports)
{
	char *got = NULL;
	struct loom_err err = { 0 };

	ck_assert_int_eq(macro_expand_str(macro, self_of(FOO), errors[_i].text, &got, &err),
	                 errors[_i].code);
	ck_assert_ptr_null(got);
	ck_assert_int_eq(err.status, errors[_i].code == MACRO_E_SYNTAX ? 400 : 409);
	ck_assert_msg(strstr(err.msg, errors[_i].want) != NULL, "%s", err.msg);
	ck_assert_int_eq(macro_expand_str(macro, self_of(FOO), errors[_i].text, &got, NULL),
	                 errors[_i].code);
}
END_TEST

/* ---- documents ------------------------------------------------------------------------------ */

START_TEST(documents)
{
	LOOM_CLEANUP(json_free)
	struct json *config = parse(
		"{\"%host.self%\":\"%host.self%\",\"n\":1.50,\"b\":true,\"z\":null,\"deep\":[{\"a\":"
		"[\"%num.service.svc1%\",\"x\\u0000%host.self%\"]},[],{}],\"e\":\"\"}");
	LOOM_CLEANUP(json_free)
	struct json *want =
		parse("{\"%host.self%\":\"oof\",\"n\":1.50,\"b\":true,\"z\":null,\"deep\":[{\"a\":"
	              "[\"3\",\"x\\u0000oof\"]},[],{}],\"e\":\"\"}");
	LOOM_CLEANUP(json_free) struct json *copy = json_copy(config);
	LOOM_CLEANUP(json_free) struct json *got = NULL;
	LOOM_CLEANUP_STR char *text = NULL;
	LOOM_CLEANUP_STR char *want_text = json_text(want);
	struct loom_err err = { 0 };

	ck_assert_msg(macro_expand(macro, self_of(FOO), config, &got, &err) == 0, "%s", err.msg);
	text = json_text(got);
	ck_assert_str_eq(text, want_text);
	ck_assert(json_equal(config, copy));
}
END_TEST

START_TEST(errors_show_the_place)
{
	LOOM_CLEANUP(json_free)
	struct json *config = parse(
		"{\"ok\":\"%host.self%\",\"web\":{\"urls\":[\"a\",\"b\",{\"x\":\"see %bad%\"}]}}");
	struct json *got = NULL;
	struct loom_err err = { 0 };

	ck_assert_int_eq(macro_expand(macro, self_of(FOO), config, &got, &err), MACRO_E_SYNTAX);
	ck_assert_ptr_null(got);
	ck_assert_str_eq(err.msg,
	                 "web.urls[2].x: 'bad' is not a valid macro name in \"%bad%\" (a plain "
	                 "percent sign is written %%)");
	ck_assert_int_eq(macro_expand(macro, self_of(FOO), config, &got, NULL), MACRO_E_SYNTAX);
}
END_TEST

/* As deep as documents may be: the work must not double with each level. */
START_TEST(deep_document)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_str("%host.self%");
	LOOM_CLEANUP(json_free) struct json *got = NULL;
	const struct json *at;

	for (int i = 0; i < 60; i++)
		v = json_set(json_new_obj(), "k", v);
	ck_assert_int_eq(macro_expand(macro, self_of(FOO), v, &got, NULL), 0);
	at = got;
	while (json_is(at, JSON_OBJECT))
		at = json_get(at, "k");
	ck_assert_str_eq(json_str(at), "oof");
}
END_TEST

/* A document cannot grow without end. */
START_TEST(size_is_bounded)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_arr();
	LOOM_CLEANUP(buf_fini) struct buf big = BUF_INIT(JSON_MAX_BYTES);
	struct json *got = NULL;
	struct loom_err err = { 0 };

	buf_adds(&big, "%map(host.service.svc1,'");
	for (int i = 0; i < 100000; i++)
		buf_addc(&big, '.');
	buf_adds(&big, "')%");
	for (int i = 0; i < 60; i++)
		json_push(v, json_new_str(buf_str(&big)));
	ck_assert_int_eq(macro_expand(macro, self_of(FOO), v, &got, &err), MACRO_E_SYNTAX);
	ck_assert_msg(strstr(err.msg, "larger than") != NULL, "%s", err.msg);
}
END_TEST

/* One text that is too large is given up at once: what stands behind is not even looked at. */
START_TEST(too_large_is_given_up)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_arr();
	LOOM_CLEANUP(buf_fini) struct buf big = BUF_INIT(JSON_MAX_BYTES);
	struct json *got = NULL;
	struct loom_err err = { 0 };
	for (int i = 0; i < 60; i++) {
		buf_adds(&big, "%map(host.service.svc1,'");
		for (int k = 0; k < 50000; k++)
			buf_addc(&big, '.');
		buf_adds(&big, "')%");
	}
	buf_adds(&big, "%nonsense(%");
	json_push(v, json_new_str(buf_str(&big)));
	ck_assert_int_eq(macro_expand(macro, self_of(FOO), v, &got, &err), MACRO_E_SYNTAX);
	ck_assert_msg(strstr(err.msg, "larger than") != NULL, "%s", err.msg);
}
END_TEST

/* Names and addresses are not known before there are machines; how many there will be is. */
START_TEST(counts_nodes)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "%host.service.svc3% %ip.service.svc2% %ip.self% %host.service.svc1[2]%", "" },
		{ "%ip.service.svc2[1]% %host.service.none[7]% %num.service.svc1%", "" },
		{ "%ip.self% %host.service.svc1[3]%",
		  "a: There are fewer than 4 nodes with svc1 on the cluster in "
		  "\"%host.service.svc1[3]%\"" },
	};
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		LOOM_CLEANUP(json_free)
		struct json *config = json_set_str(json_new_obj(), "a", rows[i].text);
		struct loom_err why = { 0 };
		int rc = macro_check(macro, config, &why);
		ck_assert_int_eq(rc, *rows[i].want ? MACRO_E_INCOMPLETE : 0);
		ck_assert_str_eq(why.msg, rows[i].want);
	}
}
END_TEST

/* The row that tells the owner lives as long as a transaction, the index as long as a cache. */
START_TEST(the_owner_outlives_what_told_it)
{
	char *owner = loom_strdup("user");
	LOOM_CLEANUP(macro_destroy) struct macro *m = macro_create(nodes, NODES, owner);
	LOOM_CLEANUP_STR char *got = NULL;
	memset(owner, 'x', strlen(owner));
	loom_free(owner);
	ck_assert_int_eq(macro_expand_str(m, FOO, "%cluster.owner%", &got, NULL), 0);
	ck_assert_str_eq(got, "user");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("macro");
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, expands, 0, LOOM_COUNT(values));
	tcase_add_loop_test(t, reports, 0, LOOM_COUNT(errors));
	tcase_add_test(t, documents);
	tcase_add_test(t, errors_show_the_place);
	tcase_add_test(t, deep_document);
	tcase_add_test(t, size_is_bounded);
	tcase_add_test(t, too_large_is_given_up);
	tcase_add_test(t, counts_nodes);
	tcase_add_test(t, the_owner_outlives_what_told_it);
	return UNIT_RUN("model_macro", t);
}
