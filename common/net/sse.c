/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: frames of lines, ended by an empty one. */
#include "common/net/http_internal.h"

#include <inttypes.h>
#include <string.h>

#define FRAME_MAX (16u << 20)
#define RETRY     "retry: 500\n\n" /* ms after which a reader that was cut off comes back */

void sse_start(struct http_req *req)
{
	reply_header_default(req, "Cache-Control", "no-store");
	reply_header_default(req, "X-Accel-Buffering", "no"); /* proxies: pass it on at once */
	http_stream_start(req, 200, "text/event-stream");
	http_stream_write(req, RETRY, strlen(RETRY));
}

static void add_lines(struct buf *b, const char *prefix, const char *text)
{
	do {
		size_t n = strcspn(text, "\r\n");
		buf_adds(b, prefix);
		buf_add(b, text, n);
		buf_addc(b, '\n');
		text += n;
		if (*text == '\r')
			text++;
		if (*text == '\n')
			text++;
	} while (*text);
}

static long send_frame(struct http_req *req, struct buf *b)
{
	loom_assert(!b->full);
	return http_stream_write(req, b->data, b->len);
}

void sse_add(struct buf *to, int64_t id, const char *event, const char *data)
{
	if (id >= 0)
		buf_addf(to, "id: %" PRId64 "\n", id);
	if (event)
		add_lines(to, "event: ", event);
	add_lines(to, "data: ", data);
	buf_addc(to, '\n');
}

long sse_event(struct http_req *req, int64_t id, const char *event, const char *data)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(FRAME_MAX);
	sse_add(&b, id, event, data);
	return send_frame(req, &b);
}

long sse_comment(struct http_req *req, const char *text)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(FRAME_MAX);
	add_lines(&b, ": ", text);
	buf_addc(&b, '\n');
	return send_frame(req, &b);
}
