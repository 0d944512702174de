/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a task's output to the server: in order, bounded, each byte once. */
#include "tasklog.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "stats.h"

#include <string.h>

enum {
	BATCH_MS = 200,
	LINE_MAX_ = 4096, /* a longer line is sent in parts */
	CALL_MS = 10000,
	BACKOFF_CAP_MS = 5000,
	PACE_MS = 1000,
	FORBIDDEN = 403,
};

struct tasklog {
	struct wire *wire;
	char *path, *provisioner, *worker, *claim;
	int64_t attempt;
	struct buf line[RUN_STREAMS_]; /* the unfinished line of each stream */
	enum run_stream last;          /* the stream whose text `pending` ends with */
	bool mid_line;                 /* pending ends within a line */
	struct buf pending;            /* next to be sent, in order */
	struct buf tail;               /* newer text that did not fit into pending */
	size_t dropped;                /* bytes dropped between the two */
	struct json *chunk;            /* being sent or to be sent again; NULL: none */
	size_t chunk_len;
	int64_t offset;  /* of the chunk, or of the next one, in the whole output */
	size_t skipped;  /* bytes dropped before the next chunk */
	int64_t sent_at; /* monotonic ms: when the last chunk was first sent */
	unsigned tries;
	bool refused;
	struct loop_timer *timer; /* when to send next */
	struct loop_timer *limit; /* for closing */
	struct wire_call *call;
	bool closed;
	loop_fn done;
	void *done_arg;
};

static void on_timer(void *arg);
static void on_limit(void *arg);
static void send_chunk(struct tasklog *t);

struct tasklog *tasklog_create(struct loop *l, struct wire *w, const struct tasklog_id *id)
{
	struct tasklog *t = loom_calloc(1, sizeof(*t));
	t->wire = w;
	t->path = loom_asprintf("/v2/tasks/%s/log", id->task);
	t->provisioner = loom_strdup(id->provisioner);
	t->worker = loom_strdup(id->worker);
	t->claim = loom_strdup(id->claim);
	t->attempt = id->attempt;
	for (int i = 0; i < RUN_STREAMS_; i++)
		t->line[i] = BUF_INIT((size_t)2 * LINE_MAX_);
	t->pending = BUF_INIT(TASKLOG_PENDING / 2);
	t->tail = BUF_INIT(TASKLOG_PENDING / 2);
	t->timer = loop_timer_create(l, "tasklog", on_timer, t);
	t->limit = loop_timer_create(l, "tasklog-limit", on_limit, t);
	return t;
}

void tasklog_destroy(struct tasklog *t)
{
	if (!t)
		return;
	wire_cancel(t->call);
	loop_timer_destroy(t->timer);
	loop_timer_destroy(t->limit);
	for (int i = 0; i < RUN_STREAMS_; i++)
		buf_fini(&t->line[i]);
	buf_fini(&t->pending);
	buf_fini(&t->tail);
	json_free(t->chunk);
	loom_free(t->path);
	loom_free(t->provisioner);
	loom_free(t->worker);
	loom_free(t->claim);
	loom_free(t);
}

/* ---- taking in --------------------------------------------------------------------------------
 */

static bool inside_char(const char *p)
{
	return ((unsigned char)*p & 0xC0) == 0x80;
}

/* How many bytes to drain, at least `least`, so that the rest starts with a line, or at least with
 * a whole character. */
static size_t cut_at(const struct buf *b, size_t least)
{
	const char *end = memchr(b->data + least - 1, '\n', b->len - least + 1);
	if (end)
		return (size_t)(end - b->data) + 1;
	while (least < b->len && inside_char(b->data + least))
		least++;
	return least;
}

/* Appends to the tail, dropping its oldest text. */
static void queue_tail(struct tasklog *t, const char *data, size_t len)
{
	const size_t room = TASKLOG_PENDING / 2;
	if (len > room) {
		size_t excess = len - room;
		while (excess < len && inside_char(data + excess))
			excess++;
		t->dropped += t->tail.len + excess;
		buf_reset(&t->tail);
		data += excess;
		len -= excess;
	}
	if (t->tail.len + len > room) {
		size_t excess = cut_at(&t->tail, t->tail.len + len - room);
		buf_drain(&t->tail, excess);
		t->dropped += excess;
	}
	buf_add(&t->tail, data, len);
}

/* Appends to `pending` as far as there is room, else to the tail; always to the tail once it is in
 * use. */
static void queue_bytes(struct tasklog *t, const char *data, size_t len)
{
	size_t room = TASKLOG_PENDING / 2 - t->pending.len;
	size_t head = t->tail.len || t->dropped ? 0 : len < room ? len : room;
	while (head && head < len && inside_char(data + head))
		head--;
	buf_add(&t->pending, data, head);
	if (head < len)
		queue_tail(t, data + head, len - head);
}

/* Makes the tail pending once everything before it is sent. */
static void turn_to_tail(struct tasklog *t)
{
	if (t->pending.len || (!t->tail.len && !t->dropped))
		return;
	struct buf empty = t->pending;
	t->pending = t->tail;
	t->tail = empty;
	t->skipped += t->dropped;
	metric_add(&stats[STAT_LOG_DROPPED], (int64_t)t->dropped);
	t->dropped = 0;
}

/* Adds a stream's text; after the other stream's text it starts a new line. */
static void queue_text(struct tasklog *t, enum run_stream stream, const char *data, size_t len)
{
	if (len == 0)
		return;
	if (t->mid_line && t->last != stream)
		queue_bytes(t, "\n", 1);
	queue_bytes(t, data, len);
	t->last = stream;
	t->mid_line = data[len - 1] != '\n';
}

static void queue_lines(struct tasklog *t)
{
	for (int i = 0; i < RUN_STREAMS_; i++) {
		queue_text(t, (enum run_stream)i, buf_str(&t->line[i]), t->line[i].len);
		buf_reset(&t->line[i]);
	}
}

/* When the next chunk is due. After the first part of a log one chunk is sent per second, as the
 * server keeps only the end of the rest anyway; when the log is closed all remaining text is
 * sent. */
static int64_t next_ms(const struct tasklog *t)
{
	int64_t paced = t->sent_at + PACE_MS - clock_mono_ms();
	if (t->closed)
		return 0;
	if (t->offset >= TASKLOG_UNPACED && paced > BATCH_MS)
		return paced;
	return t->pending.len >= TASKLOG_CHUNK ? 0 : BATCH_MS;
}

void tasklog_add(struct tasklog *t, enum run_stream stream, const char *data, size_t len)
{
	struct buf *line = &t->line[stream];
	const char *end = memrchr(data, '\n', len);
	if (t->refused || t->closed || len == 0)
		return;
	if (end || line->len + len > LINE_MAX_) {
		size_t whole = end ? (size_t)(end - data) + 1 : len;
		queue_text(t, stream, buf_str(line), line->len);
		buf_reset(line);
		queue_text(t, stream, data, whole);
		data += whole;
		len -= whole;
	}
	if (len > LINE_MAX_)
		queue_text(t, stream, data, len);
	else
		buf_add(line, data, len);
	if (!t->call && !t->chunk)
		loop_timer_arm(t->timer, next_ms(t));
}

void tasklog_note(struct tasklog *t, const char *text)
{
	LOOM_CLEANUP_STR char *line = loom_asprintf("[%s]\n", text);
	if (t->refused || t->closed)
		return;
	queue_lines(t);
	if (t->mid_line)
		queue_bytes(t, "\n", 1);
	t->mid_line = false;
	tasklog_add(t, RUN_STDERR, line, strlen(line));
}

/* ---- cleaning ---------------------------------------------------------------------------------
 */

/* Length of a character by its first byte, and the valid range of its second byte; 0: invalid. */
static int char_need(unsigned char first, unsigned char *ret_low, unsigned char *ret_high)
{
	static const struct {
		unsigned char from, to, need, low, high;
	} rows[] = {
		{ 0x01, 0x7F, 1, 0, 0 },       { 0xC2, 0xDF, 2, 0x80, 0xBF },
		{ 0xE0, 0xE0, 3, 0xA0, 0xBF }, { 0xE1, 0xEC, 3, 0x80, 0xBF },
		{ 0xED, 0xED, 3, 0x80, 0x9F }, { 0xEE, 0xEF, 3, 0x80, 0xBF },
		{ 0xF0, 0xF0, 4, 0x90, 0xBF }, { 0xF1, 0xF3, 4, 0x80, 0xBF },
		{ 0xF4, 0xF4, 4, 0x80, 0x8F },
	};

	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		if (first < rows[i].from || first > rows[i].to)
			continue;
		*ret_low = rows[i].low;
		*ret_high = rows[i].high;
		return rows[i].need;
	}
	return 0;
}

/* Length of the character at p; 0 when it is invalid or NUL, -1 when it is incomplete. */
static int char_length(const unsigned char *p, size_t len)
{
	unsigned char low = 0, high = 0;
	int need = char_need(p[0], &low, &high);
	for (int i = 1; i < need; i++) {
		if ((size_t)i >= len)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xBF;
	}
	return need;
}

size_t tasklog_clean(const char *data, size_t len, size_t max, bool more, struct buf *out)
{
	static const char replacement[] = "\xEF\xBF\xBD";
	size_t used = 0;
	if (len > max) {
		len = max;
		more = true;
	}
	while (used < len) {
		const unsigned char *p = (const unsigned char *)data + used;
		int n = char_length(p, len - used);
		if (n < 0 && more)
			break;
		if (n > 0)
			buf_add(out, p, (size_t)n);
		else
			buf_adds(out, replacement);
		used += n > 0 ? (size_t)n : 1;
	}
	return used;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static void finish_close(struct tasklog *t)
{
	loop_fn done = t->done;
	if (!done)
		return;
	t->done = NULL;
	loop_timer_disarm(t->limit);
	done(t->done_arg);
}

static void refuse(struct tasklog *t)
{
	t->refused = true;
	buf_reset(&t->pending);
	buf_reset(&t->tail);
	t->dropped = 0;
	json_free(t->chunk);
	t->chunk = NULL;
	finish_close(t);
}

static void chunk_done(struct tasklog *t)
{
	t->offset += (int64_t)t->chunk_len;
	t->tries = 0;
	json_free(t->chunk);
	t->chunk = NULL;
	turn_to_tail(t);
	int64_t ms = next_ms(t);
	if (ms == 0)
		send_chunk(t);
	else if (t->pending.len || t->line[RUN_STDOUT].len || t->line[RUN_STDERR].len)
		loop_timer_arm(t->timer, ms);
}

static void on_answer(const struct wire_answer *a, void *arg)
{
	struct tasklog *t = arg;
	char why[160];
	t->call = NULL;
	if (wire_ok(a)) {
		chunk_done(t);
	} else if (wire_transient(a) || a->status == FORBIDDEN) {
		loop_timer_arm(t->timer, wire_pause_ms(a, t->tries++, BACKOFF_CAP_MS));
	} else {
		log_debug("task log refused", LOG_S("path", t->path),
		          LOG_S("reason", wire_reason(a, why)));
		refuse(t);
	}
}

/* Makes the next chunk from pending text. */
static void make_chunk(struct tasklog *t)
{
	struct buf text = BUF_INIT((size_t)4 * TASKLOG_CHUNK);
	size_t used;
	used = tasklog_clean(t->pending.data, t->pending.len, TASKLOG_CHUNK, !t->closed, &text);
	if (!used && t->pending.len) /* only an incomplete character: wait for its rest */
		used = tasklog_clean(t->pending.data, t->pending.len, TASKLOG_CHUNK, false, &text);
	buf_drain(&t->pending, used);
	t->chunk_len = text.len;
	t->offset += (int64_t)t->skipped;
	t->chunk = json_new_obj();
	(void)json_set_str(t->chunk, "provisionerId", t->provisioner);
	(void)json_set_str(t->chunk, "workerId", t->worker);
	(void)json_set_str(t->chunk, "claim", t->claim);
	(void)json_set_int(t->chunk, "attempt", t->attempt);
	(void)json_set_int(t->chunk, "offset", t->offset);
	if (t->skipped)
		(void)json_set_int(t->chunk, "dropped", (int64_t)t->skipped);
	t->skipped = 0;
	(void)json_set(t->chunk, "data", json_new_strn(buf_str(&text), text.len));
	buf_fini(&text);
}

static void send_chunk(struct tasklog *t)
{
	if (t->call || t->refused)
		return;
	if (!t->chunk) {
		queue_lines(t);
		turn_to_tail(t);
		if (!t->pending.len) {
			if (t->closed)
				finish_close(t);
			return;
		}
		make_chunk(t);
	}
	loop_timer_disarm(t->timer);
	t->sent_at = clock_mono_ms();
	t->call = wire_start(t->wire,
	                     &(struct wire_request){ .method = "POST",
	                                             .path = t->path,
	                                             .body = t->chunk,
	                                             .timeout_ms = CALL_MS },
	                     on_answer, t);
}

static void on_timer(void *arg)
{
	send_chunk(arg);
}

static void on_limit(void *arg)
{
	finish_close(arg);
}

void tasklog_reopen(struct tasklog *t)
{
	loom_assert(!t->done);
	t->closed = false;
}

void tasklog_close(struct tasklog *t, int64_t limit_ms, loop_fn done, void *arg)
{
	t->closed = true;
	t->done = done;
	t->done_arg = arg;
	loop_timer_arm(t->limit, t->refused ? 0 : limit_ms);
	if (!t->refused && !t->call && (!t->chunk || t->tries == 0))
		loop_timer_arm(t->timer, 0);
}
