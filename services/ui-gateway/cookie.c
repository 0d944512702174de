/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes cookies. */
#include "services/ui-gateway/cookie.h"

#include "common/base/buf.h"

#include <stdio.h>
#include <string.h>

#define LETTERS   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
#define NAME_SIZE 64

char *cookie_get(const char *header, const char *name, size_t most)
{
	size_t len = strlen(name);
	for (const char *at = header; at && *at; at = strchr(at, ';')) {
		at += strspn(at, "; ");
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		const char *value = at + len + 1;
		size_t n = strspn(value, LETTERS);
		bool ends = !value[n] || value[n] == ';';
		return n && n <= most && ends ? loom_strndup(value, n) : NULL;
	}
	return NULL;
}

/* ---- long ones ------------------------------------------------------------------------------- */

/* "loom_login", "loom_login_2", ... */
static void piece_name(char to[NAME_SIZE], const char *name, size_t i)
{
	if (i)
		snprintf(to, NAME_SIZE, "%s_%zu", name, i + 1);
	else
		snprintf(to, NAME_SIZE, "%s", name);
}

char *cookie_get_long(const char *header, const char *name)
{
	/* "2.abc": the number of pieces, and the start of the value */
	LOOM_CLEANUP_STR char *first = cookie_get(header, name, COOKIE_PIECE + 2);
	if (!first || first[0] < '1' || first[0] > '0' + COOKIE_PIECES || first[1] != '.')
		return NULL;
	struct buf whole = BUF_INIT(COOKIE_MOST);
	size_t n = (size_t)(first[0] - '0');
	buf_adds(&whole, first + 2);
	for (size_t i = 1; i < n; i++) {
		char each[NAME_SIZE];
		piece_name(each, name, i);
		LOOM_CLEANUP_STR char *piece = cookie_get(header, each, COOKIE_PIECE);
		if (!piece) {
			buf_fini(&whole);
			return NULL;
		}
		buf_adds(&whole, piece);
	}
	return buf_take(&whole);
}

void cookie_put(struct strs *out, const char *name, const char *value, const char *attributes)
{
	if (value)
		strs_addf(out, "%s=%s; %s", name, value, attributes);
	else
		strs_addf(out, "%s=; Max-Age=0; %s", name, attributes);
}

bool cookie_put_long(struct strs *out, const char *name, const char *value, const char *attributes)
{
	size_t len = strlen(value), n = (len + COOKIE_PIECE - 1) / COOKIE_PIECE;
	if (!len || len > COOKIE_MOST)
		return false;
	for (size_t i = 0; i < COOKIE_PIECES; i++) {
		char each[NAME_SIZE];
		piece_name(each, name, i);
		LOOM_CLEANUP_STR char *piece =
			i < n ? loom_asprintf("%.*s", COOKIE_PIECE, value + i * COOKIE_PIECE)
			      : NULL;
		LOOM_CLEANUP_STR char *first = i ? NULL : loom_asprintf("%zu.%s", n, piece);
		cookie_put(out, each, first ? first : piece, attributes);
	}
	return true;
}

void cookie_forget_long(struct strs *out, const char *name, const char *attributes)
{
	for (size_t i = 0; i < COOKIE_PIECES; i++) {
		char each[NAME_SIZE];
		piece_name(each, name, i);
		cookie_put(out, each, NULL, attributes);
	}
}
