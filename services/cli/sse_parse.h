/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_parse - parses an event stream into frames, however its bytes are split. Pure.
 *
 * LF and CRLF end lines; comments and unknown fields are skipped. A frame that grows beyond
 * SSE_MAX_FRAME is dropped whole.
 */
#ifndef LOOM_CLI_SSE_PARSE_H
#define LOOM_CLI_SSE_PARSE_H

#include "common/base/buf.h"

#include <stdint.h>

#define SSE_MAX_FRAME ((size_t)16 << 20)

struct sse_frame {
	int64_t id; /* -1: the frame has none */
	const char *event, *data;
	size_t data_len;
};

struct sse_parse {
	struct buf line, event, data;
	int64_t id;
	bool has_data;
};

void sse_parse_init(struct sse_parse *p);
void sse_parse_fini(struct sse_parse *p);
void sse_parse_reset(struct sse_parse *p); /* call when a new stream begins */
void sse_parse_feed(struct sse_parse *p, const char *bytes, size_t n,
                    void (*on_frame)(const struct sse_frame *f, void *arg), void *arg);

#endif
