/* SPDX-License-Identifier: Apache-2.0 */
/* spans - a queue of spans as JSON, and the loop that sends it. */
#include "common/net/spans.h"

#include "common/base/metrics.h"
#include "common/base/version.h"
#include "common/json/json_emit.h"
#include "common/net/http_client.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define QUEUE_BYTES ((size_t)4 << 20)   /* some ten thousand spans */
#define SEND_BYTES  ((size_t)512 << 10) /* at once; collectors take 4 MiB and more */
#define SPAN_BYTES  ((size_t)16 << 10)  /* of one; with more to say it is dropped */
#define SEND_MS     500
#define ANSWER_MS   5000

enum { M_SENT, M_DROPPED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_SENT] = { "loom_spans_sent_total", "Spans that the collector has taken",
	             METRIC_COUNTER },
	[M_DROPPED] = { "loom_spans_dropped_total",
	                "Spans for which there was no room, or that the collector did not take",
	                METRIC_COUNTER },
};

struct spans {
	struct http_client *client;
	struct loop_timer *timer;
	char *url, *head; /* head: what stands before the spans */
	pthread_mutex_t lock;
	struct buf queue; /* spans with commas between; under the lock */
	/* Loop. */
	struct http_fetch *fetch;
	int64_t under_way;
	int status;
	bool failing; /* was said */
};

/* ---- a span as JSON -------------------------------------------------------------------------- */

static void emit_field(struct buf *b, const struct log_field *f)
{
	buf_adds(b, b->data[b->len - 1] == '[' ? "{" : ",{");
	json_emit_str(b, "key", f->key);
	json_emit_text(b, "value", "{");
	if (f->str) {
		json_emit_str(b, "stringValue", f->str);
	} else {
		char digits[24];
		snprintf(digits, sizeof(digits), "%lld", (long long)f->num);
		json_emit_str(b, "intValue", digits);
	}
	buf_adds(b, "}}");
}

static void emit_fields(struct buf *b, const struct log_field *f)
{
	json_emit_text(b, "attributes", "[");
	for (; f && f->key; f++)
		emit_field(b, f);
	buf_addc(b, ']');
}

static void emit_time(struct buf *b, const char *key, int64_t us)
{
	char digits[32];
	snprintf(digits, sizeof(digits), "%lld000", (long long)us);
	json_emit_str(b, key, digits);
}

static void emit_status(struct buf *b, const struct span *sp)
{
	json_emit_text(b, "status", "{");
	if (sp->failed) {
		json_emit_int(b, "code", 2);
		json_emit_str(b, "message", sp->message);
	}
	buf_addc(b, '}');
}

char *span_text(const struct span *sp)
{
	struct buf b = BUF_INIT(SPAN_BYTES);
	if (!sp->at->sampled)
		return NULL;
	buf_addc(&b, '{');
	json_emit_str(&b, "traceId", sp->at->id);
	json_emit_str(&b, "spanId", sp->at->span);
	if (*sp->parent)
		json_emit_str(&b, "parentSpanId", sp->parent);
	if (sp->state)
		json_emit_str(&b, "traceState", sp->state);
	json_emit_str(&b, "name", sp->name);
	json_emit_int(&b, "kind", sp->kind);
	emit_time(&b, "startTimeUnixNano", sp->start_us);
	emit_time(&b, "endTimeUnixNano", sp->end_us < sp->start_us ? sp->start_us : sp->end_us);
	emit_fields(&b, sp->fields);
	emit_status(&b, sp);
	buf_addc(&b, '}');
	if (!b.full)
		return buf_take(&b);
	buf_fini(&b);
	metric_add(&metrics[M_DROPPED], 1);
	return NULL;
}

/* ---- the queue: any thread ------------------------------------------------------------------- */

static void add_text(struct spans *s, const char *text)
{
	if (s->queue.len + strlen(text) + 1 > QUEUE_BYTES) {
		metric_add(&metrics[M_DROPPED], 1);
		return;
	}
	if (s->queue.len)
		buf_addc(&s->queue, ',');
	buf_adds(&s->queue, text);
}

void spans_add_texts(struct spans *s, const struct strs *texts)
{
	if (!s || !texts->n)
		return;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < texts->n; i++)
		add_text(s, texts->v[i]);
	pthread_mutex_unlock(&s->lock);
}

void spans_add(struct spans *s, const struct span *sp)
{
	LOOM_CLEANUP_STR char *text = s ? span_text(sp) : NULL;
	if (text)
		spans_add_texts(s, &(struct strs){ .v = &text, .n = 1 });
}

/* ---- sending: the loop ----------------------------------------------------------------------- */

static void on_head(struct http_fetch *f LOOM_UNUSED, int status,
                    const struct strs *headers LOOM_UNUSED, void *arg)
{
	struct spans *s = arg;
	s->status = status;
}

static void on_done(struct http_fetch *f LOOM_UNUSED, const char *error, void *arg)
{
	struct spans *s = arg;
	bool taken = !error && s->status >= 200 && s->status < 300;
	metric_add(&metrics[taken ? M_SENT : M_DROPPED], s->under_way);
	if (!taken && !s->failing)
		log_warn("spans dropped: the collector does not take them", LOG_S("url", s->url),
		         LOG_I("status", s->status), LOG_S("reason", error));
	s->failing = !taken;
	s->fetch = NULL;
}

static void send(struct spans *s, const char *text, size_t len)
{
	static const struct http_fetch_ops ops = { .on_head = on_head, .on_done = on_done };
	struct buf body = BUF_INIT(QUEUE_BYTES + SPAN_BYTES);
	buf_adds(&body, s->head);
	buf_add(&body, text, len);
	buf_adds(&body, "]}]}]}");
	const struct http_call call = { .method = "POST",
		                        .url = s->url,
		                        .body = buf_str(&body),
		                        .body_len = body.len,
		                        .trust = &http_trust_system,
		                        .timeout_ms = ANSWER_MS };
	s->status = 0;
	s->fetch = http_fetch_start(s->client, &call, &ops, s);
	buf_fini(&body);
}

/* Whole spans, about as many bytes as are sent at once: at a comma between two of them. */
static size_t piece_of(const struct buf *queue)
{
	if (queue->len <= SEND_BYTES)
		return queue->len;
	const char *from = queue->data + SEND_BYTES - SPAN_BYTES;
	const char *at = strstr(from, "},{\"traceId\":");
	return at ? (size_t)(at + 1 - queue->data) : queue->len;
}

static int64_t count(const char *text, size_t len)
{
	static const char begin[] = "{\"traceId\":";
	int64_t n = 0;
	for (const char *p = text;
	     (p = memmem(p, len - (size_t)(p - text), begin, sizeof(begin) - 1)); p++)
		n++;
	return n;
}

static void send_some(void *arg)
{
	struct spans *s = arg;
	LOOM_CLEANUP(buf_fini) struct buf piece = BUF_INIT(QUEUE_BYTES);
	if (s->fetch)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->queue.len) {
		(void)buf_str(&s->queue);
		size_t n = piece_of(&s->queue);
		buf_add(&piece, s->queue.data, n);
		buf_drain(&s->queue, n < s->queue.len ? n + 1 : n);
	}
	pthread_mutex_unlock(&s->lock);
	if (!piece.len)
		return;
	s->under_way = count(buf_str(&piece), piece.len);
	send(s, piece.data, piece.len);
}

/* ---- its life -------------------------------------------------------------------------------- */

static char *head_of(const char *service, const char *instance)
{
	const struct log_field fields[] = { LOG_S("service.name", service),
		                            LOG_S("service.namespace", "loom"),
		                            LOG_S("service.instance.id", instance),
		                            LOG_S("service.version", loom_version),
		                            { 0 } };
	struct buf b = BUF_INIT(SPAN_BYTES);
	buf_adds(&b, "{\"resourceSpans\":[{\"resource\":{");
	emit_fields(&b, fields);
	buf_adds(&b, "},\"scopeSpans\":[{\"scope\":{\"name\":\"loom\"},\"spans\":[");
	return buf_take(&b);
}

int spans_endpoint_check(const char *endpoint, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *host = http_url_host(endpoint);
	if (str_blank(endpoint) || host)
		return 0;
	return err_set(err, 400,
	               "otlp_endpoint: \"%s\" is not the URL of a collector, as "
	               "http://localhost:4318",
	               endpoint);
}

struct spans *spans_create(struct loop *l, const char *endpoint, const char *service,
                           const char *instance)
{
	if (str_blank(endpoint))
		return NULL;
	struct spans *s = loom_calloc(1, sizeof(*s));
	size_t n = strlen(endpoint);
	s->url = loom_asprintf("%.*s/v1/traces", (int)(n - (endpoint[n - 1] == '/')), endpoint);
	s->head = head_of(service, instance);
	s->queue = BUF_INIT(QUEUE_BYTES);
	pthread_mutex_init(&s->lock, NULL);
	metrics_register(metrics, M_COUNT);
	s->client = http_client_create(l);
	s->timer = loop_timer_create(l, "spans", send_some, s);
	loop_timer_every(s->timer, SEND_MS);
	return s;
}

void spans_destroy(struct spans *s)
{
	if (!s)
		return;
	loop_timer_destroy(s->timer);
	if (s->fetch)
		http_fetch_cancel(s->fetch);
	http_client_destroy(s->client);
	buf_fini(&s->queue);
	loom_free(s->url);
	loom_free(s->head);
	pthread_mutex_destroy(&s->lock);
	loom_free(s);
}
