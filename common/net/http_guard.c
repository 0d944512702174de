/* SPDX-License-Identifier: Apache-2.0 */
/* One state per place in the grammar, one small function per state, one byte at a time. */
#include "common/net/http_guard_private.h"

#include "common/base/mem.h"

#include <string.h>
#include <strings.h>

enum state {
	S_METHOD,
	S_SCHEME,
	S_AUTHORITY,
	S_ASTERISK, /* the target of OPTIONS that is the server itself */
	S_TARGET,
	S_VERSION,
	S_VERSION_LF,
	S_LINE, /* first byte of a header line, or the CR of the empty one */
	S_NAME,
	S_VALUE,
	S_VALUE_LF,
	S_HEAD_LF,
	S_END, /* of a request without a body */
	S_BODY,
	S_SIZE,
	S_EXTENSION_SPACE,
	S_EXTENSION,
	S_SIZE_LF,
	S_CHUNK,
	S_CHUNK_CR,
	S_CHUNK_LF,
	S_LAST_CR,
	S_LAST_LF,
};

#define CHUNK_DIGITS 8
#define EXTENSIONS   1024 /* bytes, of one request */

int http_guard_refuse(struct http_guard *g, int status, const char *reason)
{
	g->status = status;
	g->reason = reason;
	return status;
}

static void word_add(struct http_guard *g, unsigned char c)
{
	/* One past the end marks a word that is longer than any we look for. */
	if (g->word_len < sizeof(g->word) - 1)
		g->word[g->word_len] = (char)c;
	if (g->word_len < sizeof(g->word))
		g->word_len++;
}

static bool word_is(struct http_guard *g, const char *s)
{
	return g->word_len == strlen(s) && memcmp(g->word, s, g->word_len) == 0;
}

static void begin(struct http_guard *g)
{
	g->state = S_METHOD;
	g->start = g->fed;
	g->head = g->headers = g->extension = 0;
	g->v11 = g->host = g->has_length = g->chunked = false;
	g->left = g->body = g->length = 0;
	g->word_len = g->value_len = 0;
}

static int finish(struct http_guard *g)
{
	g->complete++;
	begin(g);
	return 0;
}

/* ---- request line ---------------------------------------------------------------------------- */

static int on_method(struct http_guard *g, unsigned char c)
{
	static const char *const known[] = { "GET",    "HEAD",    "POST",  "PUT",
		                             "DELETE", "OPTIONS", "PATCH", "TRACE" };
	if (guard_is_token(c)) {
		word_add(g, c);
		return 0;
	}
	if (c != ' ' || !g->word_len)
		return http_guard_refuse(g, 400, "malformed request line");
	for (size_t i = 0; i < LOOM_COUNT(known); i++) {
		if (word_is(g, known[i])) {
			g->state = S_SCHEME;
			g->options = word_is(g, "OPTIONS");
			g->word_len = 0;
			return 0;
		}
	}
	return http_guard_refuse(g, 501, "method not implemented");
}

/* What a target begins with: '/', or the scheme of an absolute one; or it is "*". */
static int on_scheme(struct http_guard *g, unsigned char c)
{
	static const char *const schemes[] = { "http://", "https://" };
	if (!g->word_len && c == '/') {
		g->state = S_TARGET;
		return 0;
	}
	if (!g->word_len && c == '*' && g->options) {
		g->state = S_ASTERISK;
		return 0;
	}
	word_add(g, c);
	for (size_t i = 0; i < LOOM_COUNT(schemes); i++) {
		if (guard_word_is(g, schemes[i])) {
			g->state = S_AUTHORITY;
			g->word_len = 0;
			return 0;
		}
		if (g->word_len < strlen(schemes[i]) &&
		    strncasecmp(g->word, schemes[i], g->word_len) == 0)
			return 0;
	}
	return http_guard_refuse(g, 400, "the request target must be a path");
}

static int on_authority(struct http_guard *g, unsigned char c)
{
	if (guard_is_host_char(c)) {
		word_add(g, c);
		return 0;
	}
	if (!g->word_len || (c != '/' && c != '?' && c != ' '))
		return http_guard_refuse(g, 400, "malformed host in the request target");
	g->state = c == ' ' ? S_VERSION : S_TARGET;
	g->word_len = 0;
	return 0;
}

static int on_asterisk(struct http_guard *g, unsigned char c)
{
	if (c != ' ')
		return http_guard_refuse(g, 400, "the request target must be a path");
	g->state = S_VERSION;
	return 0;
}

static int on_target(struct http_guard *g, unsigned char c)
{
	if (c == ' ') {
		g->state = S_VERSION;
		g->word_len = 0;
		return 0;
	}
	if (c <= ' ' || c >= 0x7f || c == '#')
		return http_guard_refuse(g, 400, "illegal character in the request target");
	return 0;
}

static bool word_is_version(const struct http_guard *g)
{
	if (g->word_len < 6 || memcmp(g->word, "HTTP/", 5) != 0)
		return false;
	for (size_t i = 5; i < g->word_len && i < sizeof(g->word) - 1; i++) {
		if (!guard_is_digit((unsigned char)g->word[i]) && g->word[i] != '.')
			return false;
	}
	return true;
}

static int on_version(struct http_guard *g, unsigned char c)
{
	if (c != '\r') {
		if (c == '\n')
			return http_guard_refuse(g, 400, "line ended by a bare line feed");
		if (c <= ' ' || c >= 0x7f)
			return http_guard_refuse(g, 400, "malformed request line");
		word_add(g, c);
		return 0;
	}
	if (word_is(g, "HTTP/1.1"))
		g->v11 = true;
	else if (!word_is(g, "HTTP/1.0"))
		return word_is_version(g) ? http_guard_refuse(g, 505, "HTTP version not supported")
		                          : http_guard_refuse(g, 400, "malformed HTTP version");
	g->state = S_VERSION_LF;
	return 0;
}

static int expect_lf(struct http_guard *g, unsigned char c, int next)
{
	if (c != '\n')
		return http_guard_refuse(g, 400, "carriage return without line feed");
	g->state = next;
	return 0;
}

/* ---- headers --------------------------------------------------------------------------------- */

static int on_line(struct http_guard *g, unsigned char c)
{
	if (c == '\r') {
		g->state = S_HEAD_LF;
		return 0;
	}
	if (c == '\n')
		return http_guard_refuse(g, 400, "line ended by a bare line feed");
	if (c == ' ' || c == '\t')
		return http_guard_refuse(g, 400, "folded header line");
	if (!guard_is_token(c))
		return http_guard_refuse(g, 400, "illegal header name");
	if (++g->headers > g->limits.max_headers)
		return http_guard_refuse(g, 431, "too many headers");
	g->state = S_NAME;
	g->word_len = 0;
	word_add(g, c);
	return 0;
}

static int on_name(struct http_guard *g, unsigned char c)
{
	if (guard_is_token(c)) {
		word_add(g, c);
		return 0;
	}
	if (c == ' ' || c == '\t')
		return http_guard_refuse(g, 400, "space in or after a header name");
	if (c == '\r' || c == '\n')
		return http_guard_refuse(g, 400, "header line without a colon");
	if (c != ':')
		return http_guard_refuse(g, 400, "illegal header name");
	g->field = (int)guard_field(g);
	g->value_len = 0;
	g->state = S_VALUE;
	return 0;
}

static int on_value(struct http_guard *g, unsigned char c)
{
	if (c == '\r') {
		g->state = S_VALUE_LF;
		return guard_check_value(g);
	}
	if (c == '\n')
		return http_guard_refuse(g, 400, "line ended by a bare line feed");
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return http_guard_refuse(g, 400, "control character in a header value");
	if (g->field == GUARD_OTHER || (c == ' ' && !g->value_len))
		return 0;
	/* Kept as it is: a value we look at must be right to the byte, trailing space included. */
	if (g->value_len < sizeof(g->value))
		g->value[g->value_len++] = (char)c;
	return 0;
}

static int on_head_end(struct http_guard *g)
{
	if (g->v11 && !g->host)
		return http_guard_refuse(g, 400, "no Host");
	if (g->chunked && g->has_length)
		return http_guard_refuse(g, 400, "both Transfer-Encoding and Content-Length");
	if (g->chunked && !g->v11)
		return http_guard_refuse(g, 400, "Transfer-Encoding needs HTTP/1.1");
	if (g->chunked) {
		g->state = S_SIZE;
		g->digits = 0;
		g->left = 0;
		return 0;
	}
	g->state = g->left ? S_BODY : S_END;
	return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static int hex_value(unsigned char c)
{
	if (guard_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Does a byte of an extension come next? */
static bool is_extension(const struct http_guard *g, unsigned char c)
{
	if (g->state == S_SIZE)
		return g->digits && (c == ' ' || c == '\t' || c == ';');
	return (g->state == S_EXTENSION_SPACE || g->state == S_EXTENSION) && c != '\r';
}

static int on_size_end(struct http_guard *g)
{
	g->body += g->left;
	if (g->body > g->limits.max_body)
		return http_guard_refuse(g, 413, "request body too large");
	g->state = S_SIZE_LF;
	return 0;
}

static int on_size(struct http_guard *g, unsigned char c)
{
	int v = hex_value(c);
	if (v >= 0) {
		if (++g->digits > CHUNK_DIGITS)
			return http_guard_refuse(g, 400, "malformed chunk size");
		g->left = g->left * 16 + (unsigned)v;
		return 0;
	}
	if (is_extension(g, c)) {
		g->state = c == ';' ? S_EXTENSION : S_EXTENSION_SPACE;
		return 0;
	}
	if (c != '\r' || !g->digits)
		return http_guard_refuse(g, 400, "malformed chunk size");
	return on_size_end(g);
}

/* RFC 9112 7.1.1: to be ignored, and not without an end. */
static int on_extension(struct http_guard *g, unsigned char c)
{
	if (++g->extension > EXTENSIONS)
		return http_guard_refuse(g, 400, "chunk extensions too long");
	if (g->state == S_EXTENSION_SPACE && c != ' ' && c != '\t' && c != ';')
		return http_guard_refuse(g, 400, "malformed chunk size");
	if (c == ';')
		g->state = S_EXTENSION;
	if (c == '\r')
		return on_size_end(g);
	if ((c < ' ' && c != '\t') || c >= 0x7f)
		return http_guard_refuse(g, 400, "illegal character in a chunk extension");
	return 0;
}

static int expect_cr(struct http_guard *g, unsigned char c, int next, const char *reason)
{
	if (c != '\r')
		return http_guard_refuse(g, 400, reason);
	g->state = next;
	return 0;
}

static int on_chunk_lf(struct http_guard *g, unsigned char c)
{
	g->digits = 0;
	return expect_lf(g, c, S_SIZE);
}

static int on_body(struct http_guard *g, unsigned char c)
{
	(void)c;
	if (--g->left)
		return 0;
	if (g->state == S_BODY)
		return finish(g);
	g->state = S_CHUNK_CR;
	return 0;
}

static int step(struct http_guard *g, unsigned char c)
{
	switch ((enum state)g->state) {
	case S_METHOD:
		return on_method(g, c);
	case S_SCHEME:
		return on_scheme(g, c);
	case S_AUTHORITY:
		return on_authority(g, c);
	case S_ASTERISK:
		return on_asterisk(g, c);
	case S_TARGET:
		return on_target(g, c);
	case S_VERSION:
		return on_version(g, c);
	case S_VERSION_LF:
	case S_VALUE_LF:
		return expect_lf(g, c, S_LINE);
	case S_LINE:
		return on_line(g, c);
	case S_NAME:
		return on_name(g, c);
	case S_VALUE:
		return on_value(g, c);
	case S_HEAD_LF:
		return expect_lf(g, c, S_LINE) ? g->status : on_head_end(g);
	case S_END: /* http_guard_next() goes on from here */
		break;
	case S_BODY:
	case S_CHUNK:
		return on_body(g, c);
	case S_SIZE:
		return on_size(g, c);
	case S_EXTENSION_SPACE:
	case S_EXTENSION:
		return on_extension(g, c);
	case S_SIZE_LF:
		return expect_lf(g, c, g->left ? S_CHUNK : S_LAST_CR);
	case S_CHUNK_CR:
		return expect_cr(g, c, S_CHUNK_LF, "chunk longer than its size");
	case S_CHUNK_LF:
		return on_chunk_lf(g, c);
	case S_LAST_CR:
		return expect_cr(g, c, S_LAST_LF, "trailer fields are not accepted");
	case S_LAST_LF:
		return expect_lf(g, c, S_METHOD) ? g->status : finish(g);
	}
	return http_guard_refuse(g, 400, "malformed request");
}

static int count_head(struct http_guard *g)
{
	if (g->state > S_HEAD_LF || ++g->head <= g->limits.max_head)
		return 0;
	return g->state <= S_VERSION_LF ? http_guard_refuse(g, 414, "request target too long")
	                                : http_guard_refuse(g, 431, "request head too large");
}

bool http_guard_in_head(const struct http_guard *g)
{
	return g->head > 0 && g->state <= S_HEAD_LF;
}

void http_guard_init(struct http_guard *g, const struct http_guard_limits *limits)
{
	memset(g, 0, sizeof(*g));
	g->limits = *limits;
	begin(g);
}

bool http_guard_before_head(const struct http_guard *g)
{
	return g->state <= S_HEAD_LF;
}

bool http_guard_in_body(const struct http_guard *g)
{
	return g->state > S_END;
}

size_t http_guard_body_bytes(const struct http_guard *g, size_t len)
{
	if (g->state != S_BODY && g->state != S_CHUNK)
		return 0;
	return g->left < len ? (size_t)g->left : len;
}

/* All but the last byte of a body or chunk in one go; that one takes the normal way. */
static size_t skip_body(struct http_guard *g, size_t len)
{
	size_t n = http_guard_body_bytes(g, len);
	if (n && n == g->left)
		n--;
	g->left -= n;
	g->fed += n;
	return n;
}

size_t http_guard_next(struct http_guard *g, const void *data, size_t len,
                       enum http_guard_stop *ret_stop)
{
	const unsigned char *p = data, *end = p + len;
	uint64_t complete = g->complete;
	bool extension = len && is_extension(g, *p), head = http_guard_before_head(g);
	*ret_stop = HTTP_GUARD_ALL;
	if (g->state == S_END && !g->status)
		(void)finish(g);
	while (p < end && !g->status && g->complete == complete &&
	       is_extension(g, *p) == extension && http_guard_before_head(g) == head) {
		size_t skipped = skip_body(g, (size_t)(end - p));
		p += skipped;
		if (skipped)
			continue;
		g->fed++;
		if (count_head(g) || step(g, *p))
			g->fed--;
		p++;
	}
	if (g->status)
		return len;
	if (g->complete != complete)
		*ret_stop = HTTP_GUARD_REQUEST;
	else if (head && !http_guard_before_head(g))
		*ret_stop = HTTP_GUARD_HEAD;
	else if (extension && p != data)
		*ret_stop = HTTP_GUARD_EXTENSION;
	return (size_t)(p - (const unsigned char *)data);
}

int http_guard_feed(struct http_guard *g, const void *data, size_t len)
{
	const unsigned char *p = data;
	enum http_guard_stop stop = HTTP_GUARD_ALL;
	while ((len || stop == HTTP_GUARD_HEAD) && !g->status) {
		size_t n = http_guard_next(g, p, len, &stop);
		p += n;
		len -= n;
	}
	return g->status;
}
