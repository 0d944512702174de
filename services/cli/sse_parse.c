/* SPDX-License-Identifier: Apache-2.0 */
/* Parses an event stream into frames, however its bytes are split. */
#include "services/cli/sse_parse.h"

#include "common/base/str.h"

#include <string.h>

#define MAX_EVENT 256

void sse_parse_init(struct sse_parse *p)
{
	*p = (struct sse_parse){ .line = BUF_INIT(SSE_MAX_FRAME),
		                 .event = BUF_INIT(MAX_EVENT),
		                 .data = BUF_INIT(SSE_MAX_FRAME),
		                 .id = -1 };
}

void sse_parse_fini(struct sse_parse *p)
{
	buf_fini(&p->line);
	buf_fini(&p->event);
	buf_fini(&p->data);
}

static void next_frame(struct sse_parse *p)
{
	buf_reset(&p->event);
	buf_reset(&p->data);
	p->id = -1;
	p->has_data = false;
}

void sse_parse_reset(struct sse_parse *p)
{
	buf_reset(&p->line);
	next_frame(p);
}

static void take_field(struct sse_parse *p, const char *name, const char *value)
{
	int64_t id;
	if (str_eq(name, "data")) {
		if (p->has_data)
			buf_addc(&p->data, '\n');
		buf_adds(&p->data, value);
		p->has_data = true;
	} else if (str_eq(name, "event")) {
		buf_reset(&p->event);
		buf_adds(&p->event, value);
	} else if (str_eq(name, "id") && str_to_int(value, &id) == 0 && id >= 0) {
		p->id = id;
	}
}

static void take_line(struct sse_parse *p, void (*on_frame)(const struct sse_frame *, void *),
                      void *arg)
{
	char *line = p->line.data;
	size_t n = p->line.len;
	if (n && line[n - 1] == '\r')
		line[--n] = '\0';
	if (!n) {
		const struct sse_frame f = { .id = p->id,
			                     .event = p->event.len ? p->event.data : "message",
			                     .data = buf_str(&p->data),
			                     .data_len = p->data.len };
		if (p->has_data && !p->data.full)
			on_frame(&f, arg);
		next_frame(p);
		return;
	}
	if (p->line.full) {
		p->data.full = true;
		return;
	}
	char *colon = strchr(line, ':');
	if (!colon)
		return; /* a field without a value has no meaning here */
	*colon = '\0';
	take_field(p, line, colon + 1 + (colon[1] == ' '));
}

void sse_parse_feed(struct sse_parse *p, const char *bytes, size_t n,
                    void (*on_frame)(const struct sse_frame *f, void *arg), void *arg)
{
	while (n) {
		const char *end = memchr(bytes, '\n', n);
		size_t len = end ? (size_t)(end - bytes) : n;
		buf_add(&p->line, bytes, len);
		if (!end)
			return;
		take_line(p, on_frame, arg);
		buf_reset(&p->line);
		bytes += len + 1;
		n -= len + 1;
	}
}
