/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "common/bus/messages.h"
#include "tests/support/unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every message and every answer, with all of its fields, as it is written. */
static const struct whole {
	enum messages type;
	bool answer;
	const char *text;
} wholes[] = {
	{ MSG_PING, false, "{'v':2}" },
	{ MSG_PING, true, "{'v':2,'away':true}" },
	{ MSG_TAKE, false,
	  "{'v':2,'takeId':'t','provisionerId':'p','workerId':'w','tenantId':'co','max':64,'waitMs':60000,"
	  "'heldMs':5,'lease':true,'claim':true}" },
	{ MSG_TAKE, true, "{'v':2,'tasks':['{}','[1]'],'heldMs':7}" },
	{ MSG_FINISH, false,
	  "{'v':2,'taskId':'00000001-001-001','provisionerId':'p','workerId':'w','tenantId':'co','attempt':3,"
	  "'status':-1,'retry':false,'lost':true,'claim':'c','result':{'id':'vm'},"
	  "'ipaddresses':{'a':'10.0.0.1'},'hostname':'h','message':'m','stdout':'o','stderr':'e',"
	  "'next':2,'lease':true,'takeId':'t','heldMs':5}" },
	{ MSG_FINISH, true, "{'v':2,'status':417,'message':'late','tasks':['{}'],'heldMs':7}" },
	{ MSG_CONTROL, false, "{'cluster':5,'job':2,'verb':'abort','user':'u','tenantId':'co'}" },
	{ MSG_CONTROL, true, "{'status':200,'message':'m'}" },
	{ MSG_PLAN, false, "{'tenantId':'co','request':{'name':'n'},'template':{},'provider':{}}" },
	{ MSG_PLAN, true,
	  "{'status':200,'message':'m','plan':{'a':1},'action':'a','hash':'f','revision':9}" },
	{ MSG_CHANGE, false, "{'cluster':5,'params':{'operation':'shrink'},'tenantId':'co'}" },
	{ MSG_CHANGE, true,
	  "{'status':409,'message':'m','plan':{},'action':'a','hash':'f','revision':9}" },
	{ MSG_UNTAKE, false, "{'takeId':'t'}" },
	{ MSG_JOB, false, "{}" },
	{ MSG_READY, false, "{}" },
	{ MSG_DROPPED, false, "{}" },
	{ MSG_EVENT, false,
	  "{'cluster':1,'tenant':'co','seq':4,'more':[{'cluster':2,'tenant':'co','seq':5},"
	  "{'cluster':3,'tenant':'other','seq':6}]}" },
	{ MSG_LOG, false, "{'task':'00000001-001-001'}" },
	{ MSG_CATALOG, false, "{'tenant':'co','kind':'services'}" },
};

static const struct message_shape *shape_of(const struct whole *w)
{
	return w->answer ? &messages[w->type].answer : &messages[w->type].body;
}

static void *read_doc(const struct whole *w, struct json *doc, struct loom_err *err)
{
	return w->answer ? message_read_answer(&messages[w->type], doc, err)
	                 : message_read(&messages[w->type], doc, err);
}

static char *write_one(const struct whole *w, const void *m)
{
	return w->answer ? message_write_answer(&messages[w->type], INT_MAX, m)
	                 : message_write(&messages[w->type], m);
}

START_TEST(each_is_written_as_it_was_read)
{
	const struct whole *w = &wholes[_i];
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(w->text);
	LOOM_CLEANUP_STR char *text = json_text(doc);
	LOOM_CLEANUP(message_free) void *m = read_doc(w, json_copy(doc), &err);
	ck_assert_msg(m, "%s", err.msg);
	LOOM_CLEANUP_STR char *again = write_one(w, m);
	ck_assert_str_eq(again, text);
}
END_TEST

/* Each field of the table stands in wholes[]. */
START_TEST(each_field_is_tested)
{
	const struct whole *w = &wholes[_i];
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(w->text);
	for (const struct message_field *f = shape_of(w)->fields; f->key; f++)
		ck_assert_msg(json_get(doc, f->key), "%s", f->key);
}
END_TEST

START_TEST(each_message_is_tested)
{
	bool body = false, answer = !messages[_i].answer.fields->key;
	for (size_t i = 0; i < LOOM_COUNT(wholes); i++) {
		body = body || (wholes[i].type == (enum messages)_i && !wholes[i].answer);
		answer = answer || (wholes[i].type == (enum messages)_i && wholes[i].answer);
	}
	ck_assert_msg(body && answer, "%s", messages[_i].verb);
}
END_TEST

/* Reads the document with one field replaced (NULL: without it); whether it is accepted. */
static bool accepts(const struct whole *w, const char *key, struct json *value, char reason[256])
{
	struct json *doc = unit_json(w->text);
	struct loom_err err = { 0 };
	json_del(doc, key);
	json_set(doc, key, value);
	LOOM_CLEANUP(message_free) void *m = read_doc(w, doc, &err);
	snprintf(reason, 256, "%.255s", err.msg);
	return m;
}

START_TEST(missing_fields_have_defaults_or_are_refused)
{
	const struct whole *w = &wholes[_i];
	char reason[256], want[256];
	for (const struct message_field *f = shape_of(w)->fields; f->key; f++) {
		snprintf(want, sizeof(want), "%s is missing", f->key);
		ck_assert_msg(accepts(w, f->key, NULL, reason) == !f->required, "%s", f->key);
		ck_assert_msg(!f->required || str_eq(reason, want), "%s", reason);
		ck_assert(accepts(w, f->key, json_new_null(), reason) == !f->required);
	}
}
END_TEST

static struct json *many(const char *item, size_t n)
{
	struct json *list = json_new_arr();
	for (size_t i = 0; i < n; i++)
		json_push(list, unit_json(item));
	return list;
}

static struct json *members(size_t n)
{
	struct json *o = json_new_obj();
	char key[24];
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		json_set_int(o, key, 1);
	}
	return o;
}

static struct json *text_of(size_t n)
{
	LOOM_CLEANUP_STR char *s = loom_malloc(n + 1);
	memset(s, 'x', n);
	s[n] = '\0';
	return json_new_str(s);
}

/* Of a wrong type, and beyond the bound. */
static struct json *wrong(const struct message_field *f)
{
	static const char *const of[] = {
		[FIELD_INT] = "'much'", [FIELD_BOOL] = "'maybe'", [FIELD_TEXT] = "{}",
		[FIELD_OBJECT] = "[]",  [FIELD_ARRAY] = "{}",     [FIELD_TEXTS] = "[1]",
		[FIELD_LIST] = "[1]",
	};
	LOOM_CLEANUP_STR char *doc = loom_asprintf("{'v':%s}", of[f->kind]);
	LOOM_CLEANUP(json_free) struct json *v = unit_json(doc);
	return json_copy(json_get(v, "v"));
}

static struct json *too_much(const struct message_field *f, int64_t by)
{
	size_t n = (size_t)(f->max + by);
	if (f->kind == FIELD_INT)
		return json_new_int(f->max + by);
	if (f->kind == FIELD_TEXT)
		return text_of(n);
	if (f->kind == FIELD_OBJECT)
		return members(n);
	return many(f->kind == FIELD_LIST ? "{}" : "'x'", n);
}

START_TEST(wrong_types_are_refused)
{
	const struct whole *w = &wholes[_i];
	char reason[256];
	for (const struct message_field *f = shape_of(w)->fields; f->key; f++) {
		ck_assert_msg(!accepts(w, f->key, wrong(f), reason), "%s", f->key);
		ck_assert_msg(str_starts(reason, f->key) && strstr(reason, " is not "), "%s",
		              reason);
	}
}
END_TEST

START_TEST(what_is_too_much_is_refused)
{
	const struct whole *w = &wholes[_i];
	char reason[256];
	for (const struct message_field *f = shape_of(w)->fields; f->key; f++) {
		/* what takes no bound, or too long to build */
		if (f->kind == FIELD_BOOL || f->max == INT64_MAX || f->max > 1 << 20 ||
		    (f->kind == FIELD_OBJECT && f->max > 1000))
			continue;
		ck_assert_msg(accepts(w, f->key, too_much(f, 0), reason), "%s", reason);
		ck_assert_msg(!accepts(w, f->key, too_much(f, 1), reason), "%s", f->key);
		ck_assert(strstr(reason, " is not "));
	}
}
END_TEST

START_TEST(numbers_have_a_least)
{
	const struct whole *w = &wholes[_i];
	char reason[256];
	for (const struct message_field *f = shape_of(w)->fields; f->key; f++)
		if (f->kind == FIELD_INT)
			ck_assert(!accepts(w, f->key, json_new_int(f->min - 1), reason));
}
END_TEST

START_TEST(unknown_fields_are_ignored)
{
	char reason[256];
	ck_assert_msg(accepts(&wholes[_i], "newer", unit_json("{'a':[1]}"), reason), "%s", reason);
}
END_TEST

START_TEST(only_objects_are_messages)
{
	struct loom_err err = { 0 };
	ck_assert_ptr_null(message_read(&messages[MSG_JOB], json_new_int(1), &err));
	ck_assert_str_eq(err.msg, "it is not an object");
	void *m = message_read(&messages[MSG_JOB], NULL, &err);
	ck_assert_ptr_nonnull(m);
	message_free(m);
}
END_TEST

/* ---- versions -------------------------------------------------------------------------------- */

struct grown {
	struct message head;
	int64_t old, added;
	const char *must;
};

static const struct message_field grown_fields[] = {
	MESSAGE_INT(struct grown, old, "old", 0, 9),
	MESSAGE_INT(struct grown, added, "added", 0, 9, .def = 4, .since = 2),
	MESSAGE_TEXT(struct grown, must, "must", 9, .required = true, .since = 3),
	{ 0 },
};
static const struct message_type grown = {
	"grown", 3, { grown_fields, sizeof(struct grown) }, { grown_fields, sizeof(struct grown) }
};

static const struct {
	const char *text;
	int64_t added;
	int version; /* 0: refused */
} versions[] = {
	{ "{'old':1}", 4, 1 },
	{ "{'old':1,'added':5}", 5, 1 },
	{ "{'v':2,'old':1,'added':5}", 5, 2 },
	{ "{'v':3,'old':1}", 0, 0 },
	{ "{'v':3,'old':1,'must':'x'}", 4, 3 },
	{ "{'v':4,'old':1,'must':'x','later':{}}", 4, 4 },
	{ "{'v':99999999999,'must':'x'}", 4, INT_MAX },
	{ "{'v':-1}", 4, 1 },
	{ "{'v':'much'}", 4, 1 },
};

START_TEST(old_and_new_understand_each_other)
{
	struct loom_err err = { 0 };
	struct grown *m = message_read(&grown, unit_json(versions[_i].text), &err);
	ck_assert_msg(!m == !versions[_i].version, "%s", err.msg);
	if (m) {
		ck_assert_int_eq(m->added, versions[_i].added);
		ck_assert_int_eq(m->head.version, versions[_i].version);
	}
	message_free(m);
}
END_TEST

/* as the asker's version knows it */
static const char *const answers[] = {
	"{\"old\":1}",
	"{\"old\":1}",
	"{\"v\":2,\"old\":1,\"added\":2}",
	"{\"v\":3,\"old\":1,\"added\":2,\"must\":\"x\"}",
	"{\"v\":3,\"old\":1,\"added\":2,\"must\":\"x\"}",
};

START_TEST(answers_are_of_the_askers_version)
{
	const struct grown m = { .old = 1, .added = 2, .must = "x" };
	LOOM_CLEANUP_STR char *text = message_write_answer(&grown, _i, &m);
	ck_assert_str_eq(text, answers[_i]);
}
END_TEST

START_TEST(one_that_is_too_large_is_not_written)
{
	LOOM_CLEANUP(json_free) struct json *text = text_of(MESSAGE_MAX);
	const struct msg_log m = { .task = json_str(text) };
	ck_assert_ptr_null(message_write(&messages[MSG_LOG], &m));
}
END_TEST

int main(void)
{
	const int n = (int)LOOM_COUNT(wholes);
	TCase *t = tcase_create("messages");
	tcase_add_loop_test(t, each_is_written_as_it_was_read, 0, n);
	tcase_add_loop_test(t, each_field_is_tested, 0, n);
	tcase_add_loop_test(t, each_message_is_tested, 0, MSG_COUNT);
	tcase_add_loop_test(t, missing_fields_have_defaults_or_are_refused, 0, n);
	tcase_add_loop_test(t, wrong_types_are_refused, 0, n);
	tcase_add_loop_test(t, what_is_too_much_is_refused, 0, n);
	tcase_add_loop_test(t, numbers_have_a_least, 0, n);
	tcase_add_loop_test(t, unknown_fields_are_ignored, 0, n);
	tcase_add_test(t, only_objects_are_messages);
	tcase_add_loop_test(t, old_and_new_understand_each_other, 0, (int)LOOM_COUNT(versions));
	tcase_add_loop_test(t, answers_are_of_the_askers_version, 0, (int)LOOM_COUNT(answers));
	tcase_add_test(t, one_that_is_too_large_is_not_written);
	return UNIT_RUN("messages", t);
}
