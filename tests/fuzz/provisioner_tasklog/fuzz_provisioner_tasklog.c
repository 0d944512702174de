/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's output: whatever its bytes, what is sent is UTF-8 without NULs, however it is cut. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "services/provisioner/tasklog.h"

#include <string.h>

enum { PIECE = 7 };

static void check_text(const struct buf *b)
{
	for (size_t at = 0; at < b->len;) {
		size_t n = str_utf8_len(b->data + at, b->len - at);
		loom_assert(n && b->data[at]);
		at += n;
	}
}

/* All of data in pieces of n bytes; what a piece leaves over comes first in the next one. */
static void clean_in_pieces(const char *data, size_t size, size_t n, struct buf *out)
{
	size_t at = 0, end = 0;
	while (at < size) {
		end = end + n < size ? end + n : size;
		at += tasklog_clean(data + at, end - at, SIZE_MAX, end < size, out);
		loom_assert(at <= end && (end < size || at == size));
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP(buf_fini) struct buf whole = BUF_INIT(1 << 24);
	LOOM_CLEANUP(buf_fini) struct buf pieces = BUF_INIT(1 << 24);
	clean_in_pieces((const char *)data, size, size, &whole);
	clean_in_pieces((const char *)data, size, PIECE, &pieces);
	check_text(&whole);
	loom_assert(whole.len == pieces.len);
	loom_assert(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
	return 0;
}
