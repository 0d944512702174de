/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's characters, and the header fields whose values decide how a request is read. */
#include "common/net/http_guard_private.h"

#include <string.h>
#include <strings.h>

#define LENGTH_DIGITS 18

bool guard_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(unsigned char c)
{
	return guard_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool guard_is_token(unsigned char c) /* RFC 9110 tchar */
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool guard_word_is(const struct http_guard *g, const char *s)
{
	return g->word_len == strlen(s) && strncasecmp(g->word, s, g->word_len) == 0;
}

static bool value_is(struct http_guard *g, const char *s)
{
	return g->value_len == strlen(s) && strncasecmp(g->value, s, g->value_len) == 0;
}

bool guard_is_host_char(unsigned char c)
{
	return is_alnum(c) || (c && strchr("-._~:[]%", c));
}

enum guard_field guard_field(const struct http_guard *g)
{
	if (guard_word_is(g, "Host"))
		return GUARD_HOST;
	if (guard_word_is(g, "Content-Length"))
		return GUARD_LENGTH;
	if (guard_word_is(g, "Transfer-Encoding"))
		return GUARD_CODING;
	if (guard_word_is(g, "Expect"))
		return GUARD_EXPECT;
	return GUARD_OTHER;
}

static int check_host(struct http_guard *g)
{
	if (g->host)
		return http_guard_refuse(g, 400, "more than one Host");
	if (!g->value_len || g->value_len >= sizeof(g->value))
		return http_guard_refuse(g, 400, "malformed Host");
	for (size_t i = 0; i < g->value_len; i++) {
		if (!guard_is_host_char((unsigned char)g->value[i]))
			return http_guard_refuse(g, 400, "malformed Host");
	}
	g->host = true;
	return 0;
}

static int check_length(struct http_guard *g)
{
	if (g->has_length)
		return http_guard_refuse(g, 400, "more than one Content-Length");
	if (!g->value_len || g->value_len > LENGTH_DIGITS)
		return http_guard_refuse(g, 400, "malformed Content-Length");
	for (size_t i = 0; i < g->value_len; i++) {
		if (!guard_is_digit((unsigned char)g->value[i]))
			return http_guard_refuse(g, 400, "malformed Content-Length");
		g->left = g->left * 10 + (uint64_t)(g->value[i] - '0');
	}
	if (g->left > g->limits.max_body)
		return http_guard_refuse(g, 413, "request body too large");
	g->length = g->left;
	g->has_length = true;
	return 0;
}

int guard_check_value(struct http_guard *g)
{
	switch ((enum guard_field)g->field) {
	case GUARD_HOST:
		return check_host(g);
	case GUARD_LENGTH:
		return check_length(g);
	case GUARD_CODING:
		if (g->chunked)
			return http_guard_refuse(g, 400, "more than one Transfer-Encoding");
		if (!value_is(g, "chunked"))
			return http_guard_refuse(g, 400, "Transfer-Encoding must be chunked");
		g->chunked = true;
		return 0;
	case GUARD_EXPECT:
		return value_is(g, "100-continue")
		               ? 0
		               : http_guard_refuse(g, 417, "unknown expectation");
	case GUARD_OTHER:
		break;
	}
	return 0;
}
