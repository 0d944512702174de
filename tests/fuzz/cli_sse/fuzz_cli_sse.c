/* SPDX-License-Identifier: Apache-2.0 */
/* An event stream: its frames are the same however the bytes are cut. */
#include "tests/fuzz/fuzz.h"

#include "services/cli/sse_parse.h"

#include <inttypes.h>
#include <string.h>

static void note(const struct sse_frame *f, void *arg)
{
	loom_assert(f->event && f->data && f->id >= -1);
	buf_addf(arg, "%" PRId64 " %s %zu\n", f->id, f->event, f->data_len);
	buf_add(arg, f->data, f->data_len);
}

static void parse(const char *data, size_t size, size_t piece, struct buf *seen)
{
	struct sse_parse p;
	sse_parse_init(&p);
	for (size_t at = 0; at < size; at += piece)
		sse_parse_feed(&p, data + at, size - at < piece ? size - at : piece, note, seen);
	sse_parse_fini(&p);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP(buf_fini) struct buf whole = BUF_INIT(1 << 26);
	LOOM_CLEANUP(buf_fini) struct buf bytes = BUF_INIT(1 << 26);
	parse((const char *)data, size, size ? size : 1, &whole);
	parse((const char *)data, size, 1, &bytes);
	loom_assert(whole.len == bytes.len);
	loom_assert(!whole.len || memcmp(whole.data, bytes.data, whole.len) == 0);
	return 0;
}
