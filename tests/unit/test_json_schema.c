/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of schemas: what it lets through, and that it finds all faults, each where it is. */
#include "common/json/schema.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <string.h>

static bool is_even(const struct json *v)
{
	int64_t n;
	return json_int(v, &n) && n % 2 == 0;
}

/* clang-format off */
static const char *const colours[] = { "red", "green", NULL };
static const struct schema text = { .type = SCHEMA_STRING };
static const struct schema any = { .type = SCHEMA_ANY };
static const struct schema colour = { .type = SCHEMA_STRING, .words = colours };
static const struct schema few = { .type = SCHEMA_STRING, .min = 2, .max = 4 };
static const struct schema port = { .type = SCHEMA_INTEGER, .min = 1, .max = 10 };
static const struct schema whole = { .type = SCHEMA_INTEGER };
static const struct schema even = { .type = SCHEMA_INTEGER, .ok = is_even, .must = "even" };
static const struct schema number = { .type = SCHEMA_NUMBER };
static const struct schema flag = { .type = SCHEMA_BOOLEAN };
static const struct schema list = { .type = SCHEMA_ARRAY, .items = &port, .min = 1, .max = 3 };
static const struct schema lists = { .type = SCHEMA_ARRAY, .items = &list };
static const struct schema map = { .type = SCHEMA_MAP, .items = &text };
static const struct schema by_colour = { .type = SCHEMA_MAP, .words = colours };
static const struct schema closed = { .type = SCHEMA_OBJECT, .others = SCHEMA_CLOSED,
	.fields = (const struct schema_field[]){ { "text", &text, 0, NULL }, { 0 } } };
static const struct schema whole_thing = { .type = SCHEMA_OBJECT, .name = "Thing",
	.fields = (const struct schema_field[]){
		{ "needed", &text, SCHEMA_REQUIRED, NULL },
		{ "filled", &text, SCHEMA_FILLED, "Never blank." },
		{ "any", &any, 0, NULL }, { "colour", &colour, 0, NULL }, { "few", &few, 0, NULL },
		{ "port", &port, 0, NULL }, { "whole", &whole, 0, NULL }, { "even", &even, 0, NULL },
		{ "number", &number, 0, NULL }, { "flag", &flag, 0, NULL }, { "list", &list, 0, NULL },
		{ "lists", &lists, 0, NULL }, { "map", &map, 0, NULL },
		{ "byColour", &by_colour, 0, NULL }, { "closed", &closed, 0, NULL }, { 0 } } };
static const struct schema open = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	.fields = (const struct schema_field[]){ { "colour", &colour, 0, NULL }, { 0 } } };

static const struct schema inner = { .type = SCHEMA_OBJECT,
	.fields = (const struct schema_field[]){
		{ "layout", &map, 0, NULL }, { "free", &open, 0, NULL }, { 0 } } };
static const struct schema inners = { .type = SCHEMA_ARRAY, .items = &inner };

static const struct {
	const struct schema *s;
	const char *doc; /* with ' for "; a thing's is put behind what it needs */
	const char *faults; /* "at what; at what", "": none */
} docs[] = {
	{ &text, "'x'", "" }, { &text, "7", "" }, { &text, "true", "" },
	{ &text, "[]", "the body must be a string, not an array" },
	{ &text, "null", "the body must be a string" },
	{ &colour, "'red'", "" },
	{ &colour, "'Red'", "the body must be red or green, not 'Red'" },
	{ &few, "'ab'", "" }, { &few, "'abcd'", "" },
	{ &few, "'a'", "the body must have at least 2 bytes" },
	{ &few, "'abcde'", "the body must have at most 4 bytes, not 5" },
	{ &port, "1", "" }, { &port, "'10'", "" }, { &port, "5.0", "" },
	{ &port, "0", "the body must be from 1 to 10, not 0" },
	{ &port, "11", "the body must be from 1 to 10, not 11" },
	{ &port, "1.5", "the body must be a whole number, not '1.5'" },
	{ &port, "'x'", "the body must be a whole number, not 'x'" },
	{ &port, "99999999999999999999", "the body must be a whole number, not '99999999999999999999'" },
	{ &port, "{}", "the body must be a whole number, not an object" },
	{ &whole, "-7", "" },
	{ &even, "4", "" }, { &even, "3", "the body must be even, not '3'" },
	{ &number, "1.5", "" }, { &number, "'7'", "" },
	{ &number, "[]", "the body must be a number, not an array" },
	{ &flag, "true", "" }, { &flag, "'false'", "" },
	{ &flag, "'no'", "the body must be true or false, not 'no'" },
	{ &flag, "1", "the body must be true or false, not '1'" },
	{ &any, "[{}]", "" },
	{ &list, "[1,2,3]", "" },
	{ &list, "[]", "the body must have at least 1 element" },
	{ &list, "[1,2,3,4]", "the body must have at most 3 elements, not 4" },
	{ &list, "{}", "the body must be an array, not an object" },
	{ &list, "[1,null]", "[1] must be a whole number, not a null" },
	{ &lists, "[[1],[2,99],[]]", "[1][1] must be from 1 to 10, not 99; [2] must have at least 1 element" },
	{ &map, "{'a':'x','b':7}", "" },
	{ &map, "{'a':[],'b':{}}", "a must be a string, not an array; b must be a string, not an object" },
	{ &by_colour, "{'red':1}", "" },
	{ &by_colour, "{'blue':1}", "blue is not one of red or green" },
	{ &closed, "{'text':'x'}", "" },
	{ &closed, "{'more':1,'txet':2}", "more is not a field; there are text; txet is not a field; did you mean text?" },
	{ &open, "{'more':1,'color':2}", "" },
	{ &whole_thing, "{'needed':'','filled':'x','other':1}", "" },
	{ &whole_thing, "{'needed':'','filled':'x','colour':null,'port':null}", "" },
	{ &whole_thing, "{}", "needed is missing: a string; filled is missing: a string" },
	{ &whole_thing, "{'needed':null,'filled':' '}",
	  "needed is missing: a string; filled is missing: a string" },
	{ &whole_thing, "{'needed':'x','filled':'x','color':'red'}",
	  "color is not a field; did you mean colour?" },
	{ &whole_thing, "{'needed':[],'filled':{},'list':[0,11],'map':{'k':[]},'closed':{'a':1}}",
	  "needed must be a string, not an array; filled must be a string, not an object; "
	  "list[0] must be from 1 to 10, not 0; list[1] must be from 1 to 10, not 11; "
	  "map.k must be a string, not an array; closed.a is not a field; there are text" },
};
/* clang-format on */

START_TEST(finds_all_faults)
{
	LOOM_CLEANUP(json_free) struct json *v = unit_json(docs[_i].doc);
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(docs[_i].s, v);
	LOOM_CLEANUP_STR char *words = schema_words(faults);
	ck_assert_msg(str_eq(words, docs[_i].faults), "%s\nsays %s\nnot  %s", docs[_i].doc, words,
	              docs[_i].faults);
	ck_assert((faults == NULL) == !*docs[_i].faults);
}
END_TEST

START_TEST(absent_is_no_document)
{
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(&closed, NULL);
	ck_assert_str_eq(json_get_str(json_at(faults, 0), "pointer"), "");
}
END_TEST

static const struct {
	const char *doc, *pointer;
} pointers[] = {
	{ "{'a':[]}", "/a" },
	{ "{'a/b':[]}", "/a~1b" },
	{ "{'a~b':[]}", "/a~0b" },
	{ "{'~1':[]}", "/~01" },
	{ "{'':[]}", "/" },
	{ "{'a.b':[]}", "/a.b" },
	{ "{'\xc3\xa4 ':[]}", "/\xc3\xa4 " },
};

START_TEST(pointers_are_of_rfc_6901)
{
	LOOM_CLEANUP(json_free) struct json *v = unit_json(pointers[_i].doc);
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(&map, v);
	ck_assert_uint_eq(json_len(faults), 1);
	ck_assert_str_eq(json_get_str(json_at(faults, 0), "pointer"), pointers[_i].pointer);
}
END_TEST

/* What is no field, and no fault: told where others are not looked for. */
START_TEST(finds_what_is_passed_over)
{
	LOOM_CLEANUP(json_free)
	struct json *v =
		unit_json("[{'layout':{'any':'x'},'free':{'other':1}},{'quantity':1,'layoud':{}}]");
	LOOM_CLEANUP(strs_fini) struct strs over = { 0 };
	LOOM_CLEANUP(json_free) struct json *faults = schema_check_over(&inners, v, &over);
	LOOM_CLEANUP_STR char *words = schema_words(faults);
	LOOM_CLEANUP_STR char *names = strs_join(&over, " ");
	ck_assert_str_eq(words, "[1].layoud is not a field; did you mean layout?");
	ck_assert_str_eq(names, "[1].quantity");
}
END_TEST

/* Whoever sends a hundred thousand is told of the first ones. */
START_TEST(faults_are_bounded)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_arr();
	for (int i = 0; i < 100000; i++)
		json_push(v, json_new_arr());
	static const struct schema texts = { .type = SCHEMA_ARRAY, .items = &text };
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(&texts, v);
	ck_assert_uint_eq(json_len(faults), SCHEMA_FAULTS_MAX);
}
END_TEST

START_TEST(long_names_do_no_harm)
{
	char name[9000];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	LOOM_CLEANUP(json_free) struct json *v = json_set(json_new_obj(), name, json_new_arr());
	json_set(v, "b", json_new_arr());
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(&map, v);
	ck_assert_uint_eq(json_len(faults), 2);
	ck_assert_str_eq(json_get_str(json_at(faults, 1), "pointer"), "/b");
}
END_TEST

START_TEST(written_as_json_schema)
{
	LOOM_CLEANUP(json_free) struct json *named = json_new_obj();
	LOOM_CLEANUP(json_free) struct json *ref = schema_write(&whole_thing, named);
	LOOM_CLEANUP_STR char *text_ = json_text(ref);
	ck_assert_str_eq(text_, "{\"$ref\":\"#/components/schemas/Thing\"}");
	const struct json *t = json_get(named, "Thing");
	static const struct {
		const char *at, *is;
	} parts[] = {
		{ "type", "'object'" },
		{ "required", "['needed','filled']" },
		{ "properties/filled", "{'type':'string','description':'Never blank.'}" },
		{ "properties/any", "{}" },
		{ "properties/colour", "{'type':'string','enum':['red','green']}" },
		{ "properties/few", "{'type':'string','minLength':2,'maxLength':4}" },
		{ "properties/port", "{'type':'integer','minimum':1,'maximum':10}" },
		{ "properties/whole", "{'type':'integer'}" },
		{ "properties/flag", "{'type':'boolean'}" },
		{ "properties/list/minItems", "1" },
		{ "properties/list/items", "{'type':'integer','minimum':1,'maximum':10}" },
		{ "properties/map", "{'type':'object','additionalProperties':{'type':'string'}}" },
		{ "properties/byColour",
		  "{'type':'object','propertyNames':{'enum':['red','green']}}" },
		{ "properties/closed/additionalProperties", "false" },
	};
	for (size_t i = 0; i < LOOM_COUNT(parts); i++) {
		LOOM_CLEANUP(json_free) struct json *want = unit_json(parts[i].is);
		const struct json *has = json_path(t, parts[i].at);
		LOOM_CLEANUP_STR char *says = json_text(has);
		ck_assert_msg(json_equal(has, want), "%s: %s", parts[i].at, says);
	}
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("schema");
	tcase_add_loop_test(c, finds_all_faults, 0, LOOM_COUNT(docs));
	tcase_add_test(c, absent_is_no_document);
	tcase_add_loop_test(c, pointers_are_of_rfc_6901, 0, LOOM_COUNT(pointers));
	tcase_add_test(c, finds_what_is_passed_over);
	tcase_add_test(c, faults_are_bounded);
	tcase_add_test(c, long_names_do_no_harm);
	tcase_add_test(c, written_as_json_schema);
	return UNIT_RUN("json_schema", c);
}
