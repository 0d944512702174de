/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yajl splits the text into tokens; the tree is built here with an explicit stack, so that neither
 * depth nor size can exhaust anything. yajl's own leniency is closed here: it lets overlong UTF-8
 * pass, turns lone surrogates into something else, and overlooks half a token after the value.
 * Each token comes in one piece, since the whole text is handed over at once.
 */
#include "common/base/str.h"
#include "common/json/json_tree.h"

#include <string.h>
#include <yajl/yajl_parse.h>

struct parser {
	const char *text;
	size_t len;
	yajl_handle yajl;
	struct json *root;
	struct json *stack[JSON_MAX_DEPTH];
	unsigned depth;
	size_t room;  /* for so many more values */
	char *key;    /* owned, waits for its value */
	size_t after; /* where the last whole value ended */
	struct loom_err *err;
	bool finishing; /* yajl has seen the whole text */
	bool failed;    /* err says why */
};

/* "line L, column C: reason" for a byte offset; columns count characters. */
LOOM_PRINTF(3, 4)
static void fail_at(struct parser *p, size_t offset, const char *fmt, ...)
{
	LOOM_CLEANUP_STR char *reason = NULL;
	size_t line = 1, column = 1;
	va_list ap;
	for (size_t i = 0; i < offset && i < p->len; i++) {
		if (p->text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)p->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	va_start(ap, fmt);
	reason = loom_vasprintf(fmt, ap);
	va_end(ap);
	(void)err_set(p->err, 400, "line %zu, column %zu: %s", line, column, reason);
	p->failed = true;
}

/* Where the quoted string that ends just before `end` begins: its content has no bare quote. */
static size_t string_start(const struct parser *p, size_t end)
{
	size_t i = end - 1;
	while (i > 0) {
		size_t slashes = 0;
		i--;
		if (p->text[i] != '"')
			continue;
		while (slashes < i && p->text[i - 1 - slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			break;
		i -= slashes;
	}
	return i;
}

/* Where the token that ends just before `end` begins. */
static size_t token_start(const struct parser *p, size_t end)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._";
	size_t i = end;

	if (end == 0)
		return 0;
	if (p->text[end - 1] == '"')
		return string_start(p, end);
	while (i > 0 && p->text[i - 1] && strchr(word, p->text[i - 1]))
		i--;
	return i < end ? i : end - 1;
}

static size_t offset_now(const struct parser *p)
{
	size_t n = yajl_get_bytes_consumed(p->yajl);
	return n < p->len && !p->finishing ? n : p->len;
}

static unsigned hex4(const char *s)
{
	unsigned n = 0;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		n = n * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return n;
}

/* Are the \u escapes of a string that yajl has accepted whole characters? */
static bool check_escapes(struct parser *p, size_t start, size_t end, bool is_key)
{
	for (size_t i = start + 1; i + 1 < end; i++) {
		unsigned unit;
		if (p->text[i] != '\\')
			continue;
		i++;
		if (p->text[i] != 'u')
			continue;
		unit = hex4(p->text + i + 1);
		if (unit == 0 && is_key) {
			fail_at(p, i - 1, "a NUL character in a member name");
			return false;
		}
		if (unit >= 0xd800 && unit <= 0xdbff && end - i > 11 && p->text[i + 5] == '\\' &&
		    p->text[i + 6] == 'u' && (hex4(p->text + i + 7) & 0xfc00) == 0xdc00) {
			i += 10;
			continue;
		}
		if (unit >= 0xd800 && unit <= 0xdfff) {
			fail_at(p, i - 1, "a surrogate without its other half");
			return false;
		}
		i += 4;
	}
	return true;
}

/* A decoded string that is not a piece of the text had escapes. */
static bool check_string(struct parser *p, const unsigned char *s, bool is_key)
{
	uintptr_t at = (uintptr_t)s, text = (uintptr_t)p->text;
	size_t end = offset_now(p);
	if (at >= text && at < text + p->len)
		return true;
	return check_escapes(p, string_start(p, end), end, is_key);
}

static int add_value(struct parser *p, struct json *v)
{
	struct json *parent = p->depth ? p->stack[p->depth - 1] : NULL;
	p->after = offset_now(p);
	if (!p->room) {
		fail_at(p, p->after, "more than %d values", JSON_MAX_VALUES);
		json_free(v);
		return 0;
	}
	p->room--;
	if (!parent)
		p->root = v;
	else if (json_is(parent, JSON_ARRAY))
		json_push(parent, v);
	else
		json_append_member(parent, loom_take(p->key), v);
	return 1;
}

static int on_null(void *ctx)
{
	return add_value(ctx, json_new_null());
}

static int on_boolean(void *ctx, int value)
{
	return add_value(ctx, json_new_bool(value != 0));
}

static int on_number(void *ctx, const char *s, size_t n)
{
	struct json *v = json_new_strn(s, n);
	v->type = JSON_NUMBER;
	return add_value(ctx, v);
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
	if (!check_string(ctx, s, false))
		return 0;
	return add_value(ctx, json_new_strn((const char *)s, n));
}

static int on_key(void *ctx, const unsigned char *s, size_t n)
{
	struct parser *p = ctx;
	if (!check_string(p, s, true))
		return 0;
	p->key = loom_strndup((const char *)s, n);
	if (json_get(p->stack[p->depth - 1], p->key)) {
		fail_at(p, string_start(p, offset_now(p)), "duplicate key \"%s\"", p->key);
		return 0;
	}
	return 1;
}

static int open_value(struct parser *p, struct json *v)
{
	if (p->depth == JSON_MAX_DEPTH) {
		fail_at(p, offset_now(p) - 1, "nested deeper than %d levels", JSON_MAX_DEPTH);
		json_free(v);
		return 0;
	}
	if (!add_value(p, v))
		return 0;
	p->stack[p->depth++] = v;
	return 1;
}

static int on_start_map(void *ctx)
{
	return open_value(ctx, json_new_obj());
}

static int on_start_array(void *ctx)
{
	return open_value(ctx, json_new_arr());
}

static int on_end(void *ctx)
{
	struct parser *p = ctx;
	p->depth--;
	p->after = offset_now(p);
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/* Where yajl's error is: at its last byte, at the end of all, at the token that ends or comes
 * there. */
enum place { AT_BYTE, AT_END, AT_TOKEN, AT_NEXT };

/* yajl's reasons, in words that help; the first part that fits. */
static const struct {
	const char *part, *reason;
	enum place place;
} reasons[] = {
	{ "premature EOF", "the text ends too early", AT_END },
	{ "trailing garbage", "data after the JSON value", AT_TOKEN },
	{ "unallowed token", "a value was expected here", AT_TOKEN },
	{ "separated by a colon", "':' was expected after the member name", AT_TOKEN },
	{ "inside map", "',' or '}' was expected", AT_NEXT },
	{ "after array element", "',' or ']' was expected", AT_TOKEN },
	{ "invalid object key", "a member name in double quotes was expected", AT_TOKEN },
	{ "invalid char in json", "an illegal character", AT_BYTE },
	{ "invalid string in json", "an illegal word", AT_BYTE },
	{ "occurs before", "an illegal escape in a string", AT_BYTE },
	{ "invalid character inside string", "a control character in a string", AT_BYTE },
	{ "non-hex", "\\u needs four hexadecimal digits", AT_BYTE },
	{ "malformed number", "a malformed number", AT_BYTE },
	{ "comments", "comments are not allowed", AT_BYTE },
};

/* Where the text goes on after the last whole value. */
static size_t next_token(const struct parser *p)
{
	size_t i = p->after;
	while (i < p->len && p->text[i] && strchr(" \t\r\n", p->text[i]))
		i++;
	return i;
}

static size_t find_place(const struct parser *p, enum place place, size_t end)
{
	switch (place) {
	case AT_END:
		return p->len;
	case AT_TOKEN:
		return token_start(p, end);
	case AT_NEXT: /* yajl has stepped back by the token's length without its quotes */
		return next_token(p);
	case AT_BYTE:
		break;
	}
	return end ? end - 1 : 0;
}

static void fail_yajl(struct parser *p)
{
	unsigned char *raw = yajl_get_error(p->yajl, 0, NULL, 0);
	const char *text = raw ? (const char *)raw : "";
	const char *reason = "not JSON";
	enum place place = AT_BYTE;
	for (size_t i = 0; i < LOOM_COUNT(reasons); i++) {
		if (strstr(text, reasons[i].part)) {
			reason = reasons[i].reason;
			place = reasons[i].place;
			break;
		}
	}
	fail_at(p, find_place(p, place, offset_now(p)), "%s", reason);
	if (raw)
		yajl_free_error(p->yajl, raw);
}

static bool check_utf8(struct parser *p)
{
	for (size_t i = 0, n; i < p->len; i += n) {
		n = str_utf8_len(p->text + i, p->len - i);
		if (n == 0) {
			fail_at(p, i, "byte 0x%02x is not UTF-8", (unsigned char)p->text[i]);
			return false;
		}
	}
	return true;
}

static void *alloc_for_yajl(void *ctx LOOM_UNUSED, size_t n)
{
	return loom_malloc(n);
}

static void *realloc_for_yajl(void *ctx LOOM_UNUSED, void *ptr, size_t n)
{
	return loom_realloc(ptr, n);
}

static void free_for_yajl(void *ctx LOOM_UNUSED, void *ptr)
{
	loom_free(ptr);
}

static void run(struct parser *p)
{
	yajl_alloc_funcs memory = { .malloc = alloc_for_yajl,
		                    .realloc = realloc_for_yajl,
		                    .free = free_for_yajl };
	yajl_status st;

	p->yajl = yajl_alloc(&callbacks, &memory, p);
	loom_assert(p->yajl != NULL);
	st = yajl_parse(p->yajl, (const unsigned char *)p->text, p->len);
	if (st == yajl_status_ok) {
		p->finishing = true;
		st = yajl_complete_parse(p->yajl);
	}
	if (st != yajl_status_ok && !p->failed)
		fail_yajl(p);
	else if (!p->failed && next_token(p) < p->len) /* yajl overlooks a half token there */
		fail_at(p, next_token(p), "data after the JSON value");
	yajl_free(p->yajl);
}

static int parse(const char *text, size_t len, size_t max_bytes, size_t max_values,
                 struct json **ret, struct loom_err *err)
{
	struct parser p = { .text = text, .len = len, .room = max_values, .err = err };
	if (max_bytes == 0)
		max_bytes = JSON_MAX_BYTES;
	if (len > max_bytes)
		return err_set(err, 400, "larger than %zu bytes", max_bytes);
	if (check_utf8(&p))
		run(&p);
	loom_free(p.key);
	if (p.failed || !p.root) {
		json_free(p.root);
		return 400;
	}
	*ret = p.root;
	return 0;
}

int json_parse(const char *text, size_t len, size_t max_bytes, struct json **ret,
               struct loom_err *err)
{
	return parse(text, len, max_bytes, SIZE_MAX, ret, err);
}

int json_parse_few(const char *text, size_t len, size_t max_bytes, struct json **ret,
                   struct loom_err *err)
{
	return parse(text, len, max_bytes, JSON_MAX_VALUES, ret, err);
}

int json_parse_str(const char *text, struct json **ret, struct loom_err *err)
{
	return json_parse(text, strlen(text), 0, ret, err);
}
