/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, numbers, names, UTF-8 and lists of strings. */
#include "common/base/str.h"

#include "common/base/buf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 255

bool str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool str_ieq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++) {
		int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a;
		int y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
		if (x != y)
			return false;
	}
	return *a == *b;
}

bool str_starts(const char *s, const char *prefix)
{
	return s && prefix && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n, m;
	if (!s || !suffix)
		return false;
	n = strlen(s);
	m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_blank(const char *s)
{
	return !s || s[strspn(s, " \t\r\n\v\f")] == '\0';
}

bool str_padded(const char *s)
{
	return str_ends(s, " ");
}

int str_to_uint(const char *s, uint64_t *ret)
{
	uint64_t n = 0;
	if (!s || !*s)
		return -EINVAL;
	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
	}
	for (; *s; s++) {
		uint64_t digit = (uint64_t)(*s - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		n = n * 10 + digit;
	}
	*ret = n;
	return 0;
}

int str_to_int(const char *s, int64_t *ret)
{
	bool negative = s && *s == '-';
	uint64_t n;
	int rc = str_to_uint(negative ? s + 1 : s, &n);
	if (rc)
		return rc;
	if (n > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -ERANGE;
	if (!negative)
		*ret = (int64_t)n;
	else
		*ret = n > INT64_MAX ? INT64_MIN : -(int64_t)n;
	return 0;
}

bool str_is_address(const char *s)
{
	unsigned char scrap[sizeof(struct in6_addr)];
	return s && (inet_pton(AF_INET, s, scrap) == 1 || inet_pton(AF_INET6, s, scrap) == 1);
}

bool str_is_name(const char *s)
{
	size_t n = 0;
	if (!s || str_eq(s, ".") || str_eq(s, ".."))
		return false;
	for (; s[n]; n++) {
		char c = s[n];
		bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		          (c >= 'a' && c <= 'z') || c == '_' || c == '.' || c == '-';

		if (!ok || n >= NAME_MAX_LEN)
			return false;
	}
	return n > 0;
}

size_t str_utf8_len(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;
	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90; /* overlong */
	else if (p[0] == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

bool str_is_utf8(const char *s)
{
	for (size_t n; *s; s += n) {
		n = str_utf8_len(s, strlen(s));
		if (!n)
			return false;
	}
	return true;
}

static void strs_add_owned(struct strs *l, char *s)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->v = loom_realloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = s;
}

void strs_add(struct strs *l, const char *s)
{
	loom_assert(s != NULL);
	strs_add_owned(l, loom_strdup(s));
}

void strs_addf(struct strs *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	strs_add_owned(l, loom_vasprintf(fmt, ap));
	va_end(ap);
}

bool strs_has(const struct strs *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->v[i], s))
			return true;
	}
	return false;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strs_sort(struct strs *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), compare_strings);
}

void strs_fini(struct strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		loom_free(l->v[i]);
	loom_free(l->v);
	*l = (struct strs){ 0 };
}

char *strs_join(const struct strs *l, const char *sep)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			buf_adds(&b, sep);
		buf_adds(&b, l->v[i]);
	}
	return buf_take(&b);
}
