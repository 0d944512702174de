/* SPDX-License-Identifier: Apache-2.0 */
/* trace - reads and writes traceparents by the rules of W3C Trace Context, and makes ids. */
#include "common/base/trace.h"

#include "common/base/ids.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* "vv-" 32 "-" 16 "-" "ff" */
enum { AT_ID = 3, AT_SPAN = 36, AT_FLAGS = 53, LENGTH = 55 };

static bool is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") >= n;
}

static bool is_id(const char *s, size_t n)
{
	return is_hex(s, n) && strspn(s, "0") < n;
}

/* A later version may add fields after the known ones. */
bool trace_parse(const char *text, struct trace *ret)
{
	size_t n = text ? strlen(text) : 0;
	if (n < LENGTH || !is_hex(text, 2) || strncmp(text, "ff", 2) == 0)
		return false;
	bool first = strncmp(text, "00", 2) == 0;
	if (n > LENGTH && (first || text[LENGTH] != '-'))
		return false;
	if (text[AT_ID - 1] != '-' || text[AT_SPAN - 1] != '-' || text[AT_FLAGS - 1] != '-' ||
	    !is_id(text + AT_ID, 32) || !is_id(text + AT_SPAN, 16) || !is_hex(text + AT_FLAGS, 2))
		return false;
	snprintf(ret->id, sizeof(ret->id), "%s", text + AT_ID);
	snprintf(ret->span, sizeof(ret->span), "%s", text + AT_SPAN);
	ret->sampled = strchr("13579bdf", text[AT_FLAGS + 1]) != NULL;
	return true;
}

void trace_text(const struct trace *t, char out[TRACE_TEXT])
{
	snprintf(out, TRACE_TEXT, "00-%s-%s-%s", t->id, t->span, t->sampled ? "01" : "00");
}

void trace_new_span(struct trace *t)
{
	do
		id_random_hex(t->span, 8);
	while (!is_id(t->span, 16));
}

void trace_new(struct trace *ret)
{
	do
		id_random_hex(ret->id, 16);
	while (!is_id(ret->id, 32));
	trace_new_span(ret);
	ret->sampled = true;
}

void trace_named(const struct trace *in, const char *name, struct trace *ret)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	*ret = *in;
	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)name, strlen(name),
	                         (const unsigned char *)in->id, 32);
	hash[0] |= 1; /* an id of all zeros is not allowed */
	sodium_bin2hex(ret->span, sizeof(ret->span), hash, 8);
}
