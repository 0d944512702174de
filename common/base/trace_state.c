/* SPDX-License-Identifier: Apache-2.0 */
/* trace_state - reads lists of W3C Trace Context: "vendor=value,tenant@vendor=value". */
#include "common/base/str.h"
#include "common/base/trace.h"

#include <string.h>

/* Limits of the recommendation; members longer than LONG go first if there is no room. */
enum { MEMBERS = 32, KEY_MAX = 256, VALUE_MAX = 256, LONG = 128 };

#define BLANKS " \t"
static const char key_first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char key_rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";

/* Visible characters and blanks within, except commas and '='. */
static bool is_value(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] < ' ' || s[i] > '~' || s[i] == ',' || s[i] == '=')
			return false;
	}
	return n && n <= VALUE_MAX && s[n - 1] != ' ';
}

static size_t key_length(const char *member)
{
	return strspn(member, key_rest);
}

static bool is_member(const char *s)
{
	size_t n = key_length(s);
	return n && n <= KEY_MAX && strchr(key_first, *s) && s[n] == '=' &&
	       is_value(s + n + 1, strlen(s + n + 1));
}

/* A vendor may appear only once. */
static bool has_key(const struct strs *l, const char *member)
{
	size_t n = key_length(member) + 1;
	for (size_t i = 0; i < l->n; i++) {
		if (!strncmp(l->v[i], member, n))
			return true;
	}
	return false;
}

/* Adds the members of one header, which may be empty; false if it is malformed. */
static bool add(struct strs *l, const char *text)
{
	while (*text) {
		text += strspn(text, BLANKS);
		size_t len = strcspn(text, ","), n = len;
		while (n && strchr(BLANKS, text[n - 1]))
			n--;
		LOOM_CLEANUP_STR char *one = loom_strndup(text, n);
		if (n && (l->n == MEMBERS || !is_member(one) || has_key(l, one)))
			return false;
		if (n)
			strs_add(l, one);
		text += len + (text[len] == ',');
	}
	return true;
}

static size_t total(const struct strs *l)
{
	size_t sum = 0;
	for (size_t i = 0; i < l->n; i++)
		sum += strlen(l->v[i]) + (i > 0);
	return sum;
}

char *trace_state(const char *const *values, size_t n)
{
	LOOM_CLEANUP(strs_fini) struct strs all = { 0 }, kept = { 0 };
	for (size_t i = 0; i < n; i++) {
		if (!add(&all, values[i]))
			return NULL;
	}
	bool full = total(&all) > TRACE_STATE_MAX;
	size_t room = TRACE_STATE_MAX;
	for (size_t i = 0; i < all.n; i++) {
		size_t len = strlen(all.v[i]) + (kept.n > 0);
		if (full && strlen(all.v[i]) > LONG)
			continue;
		if (len > room)
			break;
		strs_add(&kept, all.v[i]);
		room -= len;
	}
	return kept.n ? strs_join(&kept, ",") : NULL;
}
