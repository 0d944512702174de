/* SPDX-License-Identifier: Apache-2.0 */
/* job_params - the table of a job's parameters, and functions that work field by field: decode,
 * encode, copy, check. */
#include "common/operation/job_params.h"

#include "common/base/str.h"

#include <string.h>

#define MAX_COUNT 1000000

enum kind { TEXT, NUMBER, FLAG, NOT_FLAG, OBJECT, ARRAY };

struct job_field {
	const char *name;
	enum kind kind;
	size_t at;
	bool (*ok)(const struct json *v); /* check of a request's field, beyond its kind; NULL: not
	                                   * allowed in requests */
	const char *must;                 /* what the field must be, for the error */
};

/* ---- what a request may say ------------------------------------------------------------------ */

static bool is_flag(const struct json *v)
{
	bool yes;
	return json_bool(v, &yes);
}

static bool is_object(const struct json *v)
{
	return json_is(v, JSON_OBJECT);
}

static bool are_names(const struct json *v)
{
	bool ok = json_is(v, JSON_ARRAY);
	for (size_t i = 0; ok && i < json_len(v); i++)
		ok = json_is(json_at(v, i), JSON_STRING);
	return ok;
}

static bool is_count(const struct json *v)
{
	int64_t n;
	return json_int(v, &n) && n >= 1 && n <= MAX_COUNT;
}

static bool are_numbers(const struct json *v)
{
	int64_t n;
	bool ok = json_is(v, JSON_ARRAY);
	for (size_t i = 0; ok && i < json_len(v); i++)
		ok = json_int(json_at(v, i), &n);
	return ok;
}

static bool are_ids(const struct json *v)
{
	return json_is(v, JSON_ARRAY);
}

static bool are_some_ids(const struct json *v)
{
	return json_is(v, JSON_ARRAY) && json_len(v);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct job_params, member)

/* clang-format off */
static const struct job_field fields[] = {
	{ "operation", TEXT, AT(operation), NULL, NULL },
	{ "config", OBJECT, AT(config), is_object,
	  "config must be an object, the whole new configuration" },
	{ "restart", NOT_FLAG, AT(no_restart), is_flag, "restart must be true or false" },
	{ "services", ARRAY, AT(services), are_names, "services must be an array of names" },
	{ "count", NUMBER, AT(count), is_count, "count must be a number of nodes, 1 to 1000000" },
	{ "nodes", ARRAY, AT(nodes), are_numbers, "nodes must be an array of numbers of nodes" },
	{ "grow", ARRAY, AT(grow), are_names, "grow must be an array of names of services" },
	{ "skip", ARRAY, AT(skip), are_ids, "skip must be an array of task ids" },
	{ "tasks", ARRAY, AT(tasks), are_some_ids,
	  "tasks must be an array of at least one task id" },
	{ "job", NUMBER, AT(job), NULL, NULL },
	{ "template", OBJECT, AT(template), NULL, NULL },
	{ "hash", TEXT, AT(hash), NULL, NULL },
	{ "ask", TEXT, AT(ask), NULL, NULL },
	{ "traceparent", TEXT, AT(trace), NULL, NULL },
	{ "tracestate", TEXT, AT(trace_state), NULL, NULL },
	{ "was", TEXT, AT(was), NULL, NULL },
	{ "before", OBJECT, AT(before), NULL, NULL },
	{ "because", TEXT, AT(because), NULL, NULL },
	{ "leaseExpired", FLAG, AT(expired), NULL, NULL },
	{ "leaving", ARRAY, AT(leaving), NULL, NULL },
	{ "added", ARRAY, AT(added), NULL, NULL },
	{ "placed", ARRAY, AT(placed), NULL, NULL },
	{ "to", TEXT, AT(to), NULL, NULL },
	{ "later", NUMBER, AT(later), NULL, NULL },
	{ "replacements", NUMBER, AT(replacements), NULL, NULL },
	{ "kept", ARRAY, AT(kept), NULL, NULL },
};
/* clang-format on */

static void *member(const struct job_field *f, struct job_params *p)
{
	return (char *)p + f->at;
}

static const void *const_member(const struct job_field *f, const struct job_params *p)
{
	return (const char *)p + f->at;
}

static const struct job_field *field_named(const char *name)
{
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		if (str_eq(fields[i].name, name))
			return &fields[i];
	}
	return NULL;
}

/* ---- a field --------------------------------------------------------------------------------- */

static void clear(const struct job_field *f, struct job_params *p)
{
	void *m = member(f, p);
	if (f->kind == TEXT)
		loom_free(*(char **)m);
	else if (f->kind == OBJECT || f->kind == ARRAY)
		json_free(*(struct json **)m);
}

static void decode(const struct job_field *f, struct job_params *p, const struct json *v)
{
	void *m = member(f, p);
	bool yes;
	switch (f->kind) {
	case TEXT:
		*(char **)m = loom_strdup(json_str(v));
		break;
	case NUMBER:
		(void)json_int(v, m);
		break;
	case FLAG:
	case NOT_FLAG:
		*(bool *)m = json_bool(v, &yes) && yes == (f->kind == FLAG);
		break;
	case OBJECT:
	case ARRAY:
		if (json_is(v, f->kind == OBJECT ? JSON_OBJECT : JSON_ARRAY))
			*(struct json **)m = json_copy(v);
		break;
	}
}

/* NULL if the field is not set. */
static struct json *encode(const struct job_field *f, const struct job_params *p)
{
	const void *m = const_member(f, p);
	switch (f->kind) {
	case TEXT:
		return json_new_str(*(char *const *)m);
	case NUMBER:
		return *(const int64_t *)m ? json_new_int(*(const int64_t *)m) : NULL;
	case FLAG:
	case NOT_FLAG:
		return *(const bool *)m ? json_new_bool(f->kind == FLAG) : NULL;
	case OBJECT:
	case ARRAY:
		return json_copy(*(struct json *const *)m);
	}
	return NULL;
}

/* ---- all of them ----------------------------------------------------------------------------- */

void job_params_decode(const struct json *from, struct job_params *p)
{
	*p = (struct job_params){ 0 };
	for (size_t i = 0; i < json_len(from) && json_is(from, JSON_OBJECT); i++) {
		const char *name = json_key_at(from, i);
		const struct json *v = json_value_at(from, i);
		const struct job_field *f = field_named(name);
		if (f) {
			decode(f, p, v);
			continue;
		}
		if (!p->unknown)
			p->unknown = json_new_obj();
		json_set(p->unknown, name, json_copy(v));
	}
}

struct json *job_params_encode(const struct job_params *p)
{
	struct json *out = p->unknown ? json_copy(p->unknown) : json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(fields); i++)
		json_set(out, fields[i].name, encode(&fields[i], p));
	if (json_len(out))
		return out;
	json_free(out);
	return NULL;
}

void job_params_copy(struct job_params *to, const struct job_params *from)
{
	*to = (struct job_params){ 0 };
	job_params_merge(to, from, NULL);
	to->unknown = json_copy(from->unknown);
}

void job_params_merge(struct job_params *to, const struct job_params *from, const char *only)
{
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		const struct job_field *f = &fields[i];
		LOOM_CLEANUP(json_free) struct json *v = NULL;
		if (!only || operation_has_word(only, " ", f->name))
			v = encode(f, from);
		if (!v)
			continue;
		clear(f, to);
		decode(f, to, v);
	}
}

void job_params_fini(struct job_params *p)
{
	for (size_t i = 0; i < LOOM_COUNT(fields); i++)
		clear(&fields[i], p);
	json_free(p->unknown);
	*p = (struct job_params){ 0 };
}

size_t job_params_size(const struct job_params *p)
{
	size_t sum = json_size(p->unknown);
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		const struct job_field *f = &fields[i];
		const void *m = const_member(f, p);
		if (f->kind == OBJECT || f->kind == ARRAY)
			sum += json_size(*(struct json *const *)m);
		else if (f->kind == TEXT && *(char *const *)m)
			sum += strlen(*(char *const *)m) + 1;
	}
	return sum;
}

/* ---- a request ------------------------------------------------------------------------------- */

/* An empty array counts as not given. */
static bool is_given(const struct json *v)
{
	return v && !json_is(v, JSON_NULL) && (!json_is(v, JSON_ARRAY) || json_len(v));
}

static int check_needs(const struct operation_kind *k, const struct json *body,
                       struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs musts = { 0 };
	bool given = !*k->needs;
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		if (!operation_has_word(k->needs, "|", fields[i].name))
			continue;
		given = given || is_given(json_get(body, fields[i].name));
		strs_add(&musts, fields[i].must);
	}
	LOOM_CLEANUP_STR char *all = strs_join(&musts, ", or ");
	return given ? 0 : err_set(err, 400, "%s is missing: %s", k->needs, all);
}

int job_params_read(const struct operation_kind *k, const struct json *body, struct job_params *ret,
                    struct loom_err *err)
{
	*ret = (struct job_params){ .operation = loom_strdup(k->name) };
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		const struct job_field *f = &fields[i];
		const struct json *v = json_get(body, f->name);
		if (!f->ok || !v || json_is(v, JSON_NULL) || !operation_kind_takes(k, f->name))
			continue;
		if (!f->ok(v))
			return err_set(err, 400, "%s", f->must);
		decode(f, ret, v);
	}
	return check_needs(k, body, err);
}

bool job_params_is(const struct job_params *p, const char *operation)
{
	return p && str_eq(p->operation, operation);
}

void job_params_set(char **member, const char *s)
{
	char *copy = loom_strdup(s);
	loom_free(*member);
	*member = copy;
}
