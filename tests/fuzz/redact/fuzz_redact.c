/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's output with secrets: each of the first two lines is one, the rest is the output. No
 * secret comes through, however the output is cut. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "common/json/redact.h"

#include <string.h>

enum { PIECE = 5 };

static void feed(const struct redact *r, const char *text, size_t size, size_t piece,
                 struct buf *out)
{
	struct redact_stream s = { .of = r };
	for (size_t at = 0; at < size; at += piece)
		redact_feed(&s, text + at, size - at < piece ? size - at : piece, out);
	redact_end(&s, out);
}

/* What the mask itself may be a part of is not looked for. */
static void check_hidden(const struct buf *out, const char *secret)
{
	size_t n = strlen(secret);
	if (n >= REDACT_MIN && !strpbrk(secret, "*\r"))
		loom_assert(!out->len || !memmem(out->data, out->len, secret, n));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	LOOM_CLEANUP(redact_destroy) struct redact *r = redact_create();
	LOOM_CLEANUP(buf_fini) struct buf whole = BUF_INIT(2 * size + 256);
	LOOM_CLEANUP(buf_fini) struct buf pieces = BUF_INIT(2 * size + 256);
	char *secrets[2], *rest = text;
	for (size_t i = 0; i < LOOM_COUNT(secrets); i++) {
		secrets[i] = rest;
		rest += strcspn(rest, "\n");
		if (*rest)
			*rest++ = '\0';
		redact_add(r, secrets[i]);
	}
	redact_compile(r);
	size_t n = strlen(rest);
	feed(r, rest, n, n ? n : 1, &whole);
	feed(r, rest, n, PIECE, &pieces);
	loom_assert(!whole.full && whole.len == pieces.len);
	loom_assert(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
	for (size_t i = 0; i < LOOM_COUNT(secrets); i++)
		check_hidden(&whole, secrets[i]);
	return 0;
}
