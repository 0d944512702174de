/* SPDX-License-Identifier: Apache-2.0 */
/* The tree: making, reading, changing and comparing values. */
#include "common/json/json_tree.h"

#include "common/base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_FROM 16                 /* members; fewer are searched one by one */
#define EXACT_MAX  9007199254740992.0 /* 2^53: whole numbers up to it are exact */

static struct json *new_value(enum json_type t)
{
	struct json *v = loom_calloc(1, sizeof(*v));
	v->type = t;
	return v;
}

static bool has_text(const struct json *v)
{
	return v && (v->type == JSON_STRING || v->type == JSON_NUMBER);
}

static bool has_elements(const struct json *v)
{
	return v && (v->type == JSON_ARRAY || v->type == JSON_OBJECT);
}

void json_free(struct json *v)
{
	if (has_text(v)) {
		loom_free(v->text);
	} else if (has_elements(v)) {
		for (size_t i = 0; i < v->n; i++) {
			json_free(v->v[i]);
			if (v->keys)
				loom_free(v->keys[i]);
		}
		loom_free(v->v);
		loom_free(v->keys);
		map_destroy(v->index);
	}
	loom_free(v);
}

struct json *json_copy(const struct json *v)
{
	struct json *c;
	if (!v)
		return NULL;
	c = new_value(v->type);
	c->boolean = v->boolean;
	if (has_text(v)) {
		c->text = loom_malloc(v->len + 1);
		memcpy(c->text, v->text, v->len + 1);
		c->len = v->len;
	} else if (v->type == JSON_OBJECT) {
		for (size_t i = 0; i < v->n; i++)
			json_append_member(c, loom_strdup(v->keys[i]), json_copy(v->v[i]));
	} else if (v->type == JSON_ARRAY) {
		for (size_t i = 0; i < v->n; i++)
			json_push(c, json_copy(v->v[i]));
	}
	return c;
}

size_t json_size(const struct json *v)
{
	const size_t block = 16; /* what the allocator adds to one, and rounds it up by */
	if (!v)
		return 0;
	size_t sum = sizeof(*v) + block;
	if (has_text(v))
		return sum + v->len + block;
	if (!has_elements(v))
		return sum;
	sum += v->cap * sizeof(*v->v) + (v->keys ? v->cap * sizeof(*v->keys) : 0) + block;
	sum += v->index ? 64 * v->n : 0;
	for (size_t i = 0; i < v->n; i++)
		sum += json_size(v->v[i]) + (v->keys ? strlen(v->keys[i]) + block : 0);
	return sum;
}

static bool is_integer_text(const char *s)
{
	return s[strspn(s, "-0123456789")] == '\0';
}

static bool equal_numbers(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	if (is_integer_text(a) && is_integer_text(b))
		return false; /* one integer has one spelling */
	return strtod(a, NULL) == strtod(b, NULL);
}

static bool equal_objects(const struct json *a, const struct json *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct json *other = json_get(b, a->keys[i]);
		if (!other || !json_equal(a->v[i], other))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (json_type(a) != json_type(b))
		return false;
	switch (json_type(a)) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_NUMBER:
		return equal_numbers(a->text, b->text);
	case JSON_STRING:
		return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
	case JSON_OBJECT:
		return a->n == b->n && equal_objects(a, b);
	case JSON_ARRAY:
		break;
	}
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!json_equal(a->v[i], b->v[i]))
			return false;
	}
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum json_type json_type(const struct json *v)
{
	return v ? v->type : JSON_NULL;
}

bool json_is(const struct json *v, enum json_type t)
{
	return json_type(v) == t;
}

const char *json_type_name(enum json_type t)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",     [JSON_BOOL] = "boolean", [JSON_NUMBER] = "number",
		[JSON_STRING] = "string", [JSON_ARRAY] = "array",  [JSON_OBJECT] = "object",
	};

	return names[t];
}

const char *json_str(const struct json *v)
{
	if (has_text(v))
		return v->text;
	if (v && v->type == JSON_BOOL)
		return v->boolean ? "true" : "false";
	return NULL;
}

size_t json_str_len(const struct json *v)
{
	const char *s = json_str(v);
	if (has_text(v))
		return v->len;
	return s ? strlen(s) : 0;
}

bool json_int(const struct json *v, int64_t *ret)
{
	double d;
	if (!has_text(v) || strlen(v->text) != v->len)
		return false;
	if (str_to_int(v->text, ret) == 0)
		return true;
	if (v->type != JSON_NUMBER || is_integer_text(v->text))
		return false;
	d = strtod(v->text, NULL);
	if (!(d >= -EXACT_MAX && d <= EXACT_MAX) || (double)(int64_t)d != d)
		return false;
	*ret = (int64_t)d;
	return true;
}

bool json_bool(const struct json *v, bool *ret)
{
	const char *s = json_str(v);
	if (!v || v->type == JSON_NUMBER || (!str_eq(s, "true") && !str_eq(s, "false")))
		return false;
	*ret = *s == 't';
	return true;
}

size_t json_len(const struct json *v)
{
	return has_elements(v) ? v->n : 0;
}

struct json *json_at(const struct json *arr, size_t i)
{
	return json_is(arr, JSON_ARRAY) && i < arr->n ? arr->v[i] : NULL;
}

bool json_deeper(const struct json *v, int levels)
{
	if (!json_len(v))
		return false;
	if (!levels)
		return true;
	for (size_t i = 0; i < json_len(v); i++) {
		if (json_deeper(json_is(v, JSON_ARRAY) ? json_at(v, i) : json_value_at(v, i),
		                levels - 1))
			return true;
	}
	return false;
}

/* Of a value that is there: no text has to be compared. */
static size_t value_position(const struct json *obj, const struct json *v)
{
	size_t i = 0;
	while (obj->v[i] != v)
		i++;
	return i;
}

struct json *json_get(const struct json *obj, const char *key)
{
	if (!json_is(obj, JSON_OBJECT))
		return NULL;
	if (obj->index)
		return map_get(obj->index, key);
	for (size_t i = 0; i < obj->n; i++) {
		if (strcmp(obj->keys[i], key) == 0)
			return obj->v[i];
	}
	return NULL;
}

const char *json_get_str(const struct json *obj, const char *key)
{
	return json_str(json_get(obj, key));
}

int64_t json_get_int(const struct json *obj, const char *key, int64_t def)
{
	(void)json_int(json_get(obj, key), &def);
	return def;
}

bool json_get_bool(const struct json *obj, const char *key, bool def)
{
	(void)json_bool(json_get(obj, key), &def);
	return def;
}

static struct json *path_step(const struct json *v, const char *step)
{
	uint64_t i;
	if (json_is(v, JSON_OBJECT))
		return json_get(v, step);
	return str_to_uint(step, &i) == 0 ? json_at(v, i) : NULL;
}

struct json *json_path(const struct json *v, const char *path)
{
	struct json *at = NULL;
	for (bool more = true; more;) {
		size_t n = strcspn(path, "/");
		LOOM_CLEANUP_STR char *step = loom_strndup(path, n);
		at = path_step(v, step);
		if (!at)
			return NULL;
		v = at;
		more = path[n] == '/';
		path += n + 1;
	}
	return at;
}

const char *json_key_at(const struct json *obj, size_t i)
{
	return json_is(obj, JSON_OBJECT) && i < obj->n ? obj->keys[i] : NULL;
}

struct json *json_value_at(const struct json *obj, size_t i)
{
	return json_is(obj, JSON_OBJECT) && i < obj->n ? obj->v[i] : NULL;
}

bool json_arr_has_str(const struct json *arr, const char *s)
{
	for (size_t i = 0; json_is(arr, JSON_ARRAY) && i < arr->n; i++) {
		if (s && str_eq(json_str(arr->v[i]), s))
			return true;
	}
	return false;
}

void json_read_strs(const struct json *arr, struct strs *ret)
{
	for (size_t i = 0; json_is(arr, JSON_ARRAY) && i < arr->n; i++) {
		if (json_str(arr->v[i]))
			strs_add(ret, json_str(arr->v[i]));
	}
}

/* ---- building -------------------------------------------------------------------------------- */

struct json *json_new_null(void)
{
	return new_value(JSON_NULL);
}

struct json *json_new_bool(bool b)
{
	struct json *v = new_value(JSON_BOOL);
	v->boolean = b;
	return v;
}

static struct json *new_text(enum json_type t, const char *s, size_t n)
{
	struct json *v = new_value(t);
	v->text = loom_malloc(n + 1);
	if (n)
		memcpy(v->text, s, n);
	v->text[n] = '\0';
	v->len = n;
	return v;
}

struct json *json_new_int(int64_t n)
{
	struct json *v = new_value(JSON_NUMBER);
	v->text = loom_asprintf("%" PRId64, n);
	v->len = strlen(v->text);
	return v;
}

static const char *skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

static bool is_number(const char *s)
{
	const char *p;
	if (*s == '-')
		s++;
	p = *s == '0' ? s + 1 : skip_digits(s);
	if (p == s)
		return false;
	if (*p == '.') {
		s = ++p;
		p = skip_digits(s);
		if (p == s)
			return false;
	}
	if (*p == 'e' || *p == 'E') {
		s = p + 1;
		if (*s == '+' || *s == '-')
			s++;
		p = skip_digits(s);
		if (p == s)
			return false;
	}
	return *p == '\0';
}

struct json *json_new_number(const char *text)
{
	loom_assert(is_number(text));
	return new_text(JSON_NUMBER, text, strlen(text));
}

struct json *json_new_str(const char *s)
{
	return s ? json_new_strn(s, strlen(s)) : NULL;
}

struct json *json_new_strn(const char *s, size_t n)
{
	return new_text(JSON_STRING, s, n);
}

struct json *json_new_arr(void)
{
	return new_value(JSON_ARRAY);
}

struct json *json_new_strs(const struct strs *l)
{
	struct json *arr = json_new_arr();
	for (size_t i = 0; i < l->n; i++)
		json_push(arr, json_new_str(l->v[i]));
	return arr;
}

struct json *json_new_obj(void)
{
	return new_value(JSON_OBJECT);
}

static void grow(struct json *v)
{
	if (v->n < v->cap)
		return;
	v->cap = v->cap ? v->cap * 2 : 4;
	v->v = loom_realloc(v->v, v->cap * sizeof(*v->v));
	if (v->type == JSON_OBJECT)
		v->keys = loom_realloc(v->keys, v->cap * sizeof(*v->keys));
}

struct json *json_push(struct json *arr, struct json *v)
{
	loom_assert(json_is(arr, JSON_ARRAY) && v != arr);
	if (!v)
		return arr;
	grow(arr);
	arr->v[arr->n++] = v;
	return arr;
}

void json_append_member(struct json *obj, char *key, struct json *v)
{
	grow(obj);
	obj->keys[obj->n] = key;
	obj->v[obj->n++] = v;
	if (obj->index) {
		map_set(obj->index, key, v);
	} else if (obj->n >= INDEX_FROM) {
		obj->index = map_create(NULL);
		for (size_t i = 0; i < obj->n; i++)
			map_set(obj->index, obj->keys[i], obj->v[i]);
	}
}

struct json *json_set(struct json *obj, const char *key, struct json *v)
{
	struct json *old;
	size_t i;
	loom_assert(json_is(obj, JSON_OBJECT) && v != obj);
	if (!v)
		return obj;
	old = json_get(obj, key);
	if (!old) {
		json_append_member(obj, loom_strdup(key), v);
		return obj;
	}
	if (old == v)
		return obj;
	i = value_position(obj, old);
	obj->v[i] = v;
	if (obj->index)
		map_set(obj->index, key, v);
	json_free(old);
	return obj;
}

struct json *json_set_str(struct json *obj, const char *key, const char *s)
{
	return json_set(obj, key, json_new_str(s));
}

struct json *json_set_int(struct json *obj, const char *key, int64_t n)
{
	return json_set(obj, key, json_new_int(n));
}

struct json *json_set_bool(struct json *obj, const char *key, bool b)
{
	return json_set(obj, key, json_new_bool(b));
}

void json_del(struct json *obj, const char *key)
{
	size_t i, tail;
	char *old_key;
	const struct json *old = json_get(obj, key);
	if (!old)
		return;
	i = value_position(obj, old);
	if (obj->index)
		(void)map_del(obj->index, key);
	old_key = obj->keys[i];
	json_free(obj->v[i]);
	tail = obj->n - i - 1;
	memmove(&obj->v[i], &obj->v[i + 1], tail * sizeof(*obj->v));
	memmove(&obj->keys[i], &obj->keys[i + 1], tail * sizeof(*obj->keys));
	obj->n--;
	loom_free(old_key); /* last: the caller may have passed this very key */
}
