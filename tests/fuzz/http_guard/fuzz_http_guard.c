/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP guard: its verdict does not depend on how the bytes arrive, it stays within its limits,
 * and what it accepts has no bare line ends or control characters in its heads. */
#include "tests/fuzz/fuzz.h"

#include "common/base/mem.h"
#include "common/net/http_guard.h"

#include <string.h>

static const struct http_guard_limits limits = { .max_head = 256,
	                                         .max_headers = 6,
	                                         .max_body = 64 };

static void check_same(const struct http_guard *a, const struct http_guard *b)
{
	loom_assert(a->status == b->status && a->reason == b->reason);
	loom_assert(a->fed == b->fed && a->start == b->start && a->complete == b->complete);
}

/* Byte by byte; in a head, what was accepted must be what the rules say. */
static void feed_slowly(struct http_guard *g, const unsigned char *data, size_t size)
{
	size_t head = 0;
	bool line_ended = false;
	for (size_t i = 0; i < size; i++) {
		bool in_head = g->fed == g->start || http_guard_in_head(g);
		uint64_t complete = g->complete;
		if (http_guard_feed(g, data + i, 1))
			return;
		head = g->complete != complete || !in_head ? 0 : head + 1;
		loom_assert(head <= limits.max_head);
		if (in_head && data[i] == '\n')
			loom_assert(i > 0 && data[i - 1] == '\r');
		if (in_head && line_ended) /* no folding */
			loom_assert(data[i] != ' ' && data[i] != '\t');
		loom_assert(!in_head || (data[i] >= ' ' && data[i] != 0x7f) ||
		            (data[i] && strchr("\r\n\t", data[i])));
		line_ended = in_head && data[i] == '\n';
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct http_guard whole, slow, halves;
	http_guard_init(&whole, &limits);
	http_guard_init(&slow, &limits);
	http_guard_init(&halves, &limits);
	http_guard_feed(&whole, data, size);
	feed_slowly(&slow, data, size);
	http_guard_feed(&halves, data, size / 2);
	http_guard_feed(&halves, data + size / 2, size - size / 2);
	check_same(&whole, &slow);
	check_same(&whole, &halves);
	loom_assert(whole.start <= whole.fed && whole.fed <= size);
	loom_assert(whole.status || whole.fed == size);
	return 0;
}
