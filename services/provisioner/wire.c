/* SPDX-License-Identifier: Apache-2.0 */
/* JSON calls to the server's internal port that never block the loop. */
#include "wire.h"

#include "common/base/clock.h"
#include "common/base/secret_file.h"
#include "common/net/http_client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	CONNECT_MS = 2000,
	BACKOFF_BASE_MS = 200,
	RETRY_AFTER_MAX_MS = 30000,
	ANSWER_MAX = JSON_MAX_BYTES,
	QUOTED_MAX = 512, /* bytes of an answer that is not JSON */
	NO_TOKEN = 401,
	TOO_MANY = 429,
	TIMEOUT = 408,
};

struct wire {
	struct http_client *client;
	char *server, *token_file;
	const struct http_trust *trust;
	struct strs headers;     /* with the token */
	struct wire_call *first; /* open calls */
};

struct wire_call {
	struct wire *wire;
	struct wire_call *prev, *next;
	struct http_fetch *fetch;
	wire_fn fn;
	void *arg;
	int status;
	int64_t retry_after_ms;
	bool leases_held;
	struct buf body;
};

/* 0, or an error with err; then the old token stays. */
static int read_token(struct wire *w, struct loom_err *err)
{
	if (str_blank(w->token_file))
		return 0;
	LOOM_CLEANUP(secret_file_free)
	char *token = secret_file_read("token_file", w->token_file, err);
	if (!token)
		return err->status;
	strs_fini(&w->headers);
	strs_addf(&w->headers, "Authorization: Bearer %s", token);
	return 0;
}

struct wire *wire_create(struct loop *l, const char *server, const struct http_trust *trust,
                         const char *token_file, struct loom_err *err)
{
	struct wire *w = loom_calloc(1, sizeof(*w));
	size_t n = strlen(server);
	w->trust = trust;
	w->token_file = loom_strdup(token_file);
	if (read_token(w, err)) {
		loom_free(w->token_file);
		loom_free(w);
		return NULL;
	}
	while (n > 0 && server[n - 1] == '/')
		n--;
	w->server = loom_strndup(server, n);
	w->client = http_client_create(l);
	return w;
}

void wire_destroy(struct wire *w)
{
	if (!w)
		return;
	while (w->first)
		wire_cancel(w->first);
	http_client_destroy(w->client);
	loom_free(w->server);
	loom_free(w->token_file);
	strs_fini(&w->headers);
	loom_free(w);
}

static void free_call(struct wire_call *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->wire->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	buf_fini(&c->body);
	loom_free(c);
}

/* The value of "Name: value" if the name matches; else NULL. */
static const char *value_of(const char *header, const char *name)
{
	size_t n = strlen(name);
	if (strncasecmp(header, name, n) != 0 || header[n] != ':')
		return NULL;
	return header + n + 1 + strspn(header + n + 1, " \t");
}

static void on_head(struct http_fetch *f, int status, const struct strs *headers, void *arg)
{
	struct wire_call *c = arg;
	(void)f;
	c->status = status;
	c->retry_after_ms = headers ? http_retry_after_ms(headers) : -1;
	for (size_t i = 0; headers && i < headers->n; i++) {
		const char *leases = value_of(headers->v[i], "Loom-Leases");
		c->leases_held = c->leases_held || (leases && str_eq(leases, "held"));
	}
}

static void on_data(struct http_fetch *f, const char *data, size_t len, void *arg)
{
	struct wire_call *c = arg;
	(void)f;
	buf_add(&c->body, data, len);
}

static void on_done(struct http_fetch *f, const char *error, void *arg)
{
	struct wire_call *c = arg;
	struct wire_answer a = { .status = error ? 0 : c->status,
		                 .body = buf_str(&c->body),
		                 .len = c->body.len,
		                 .retry_after_ms = c->retry_after_ms,
		                 .leases_held = c->leases_held,
		                 .error = error };

	(void)f;
	if (!error && c->body.full) {
		a.status = 0;
		a.error = "the answer is too large";
	}
	struct loom_err err;
	if (a.status == NO_TOKEN)
		(void)!read_token(c->wire, &err);
	c->fn(&a, c->arg);
	free_call(c);
}

static const struct http_fetch_ops ops = {
	.on_head = on_head,
	.on_data = on_data,
	.on_done = on_done,
};

struct wire_call *wire_start(struct wire *w, const struct wire_request *request, wire_fn fn,
                             void *arg)
{
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s%s", w->server, request->path);
	LOOM_CLEANUP_STR char *made = request->body ? json_text(request->body) : NULL;
	const char *text = made ? made : request->text;
	struct wire_call *c = loom_calloc(1, sizeof(*c));
	struct http_call spec = { .method = request->method,
		                  .url = url,
		                  .headers = &w->headers,
		                  .trust = w->trust,
		                  .body = text,
		                  .body_len = text ? strlen(text) : 0,
		                  .connect_ms = CONNECT_MS,
		                  .timeout_ms = request->timeout_ms };

	c->wire = w;
	c->fn = fn;
	c->arg = arg;
	c->retry_after_ms = -1;
	c->body = BUF_INIT(ANSWER_MAX);
	c->next = w->first;
	if (w->first)
		w->first->prev = c;
	w->first = c;
	c->fetch = http_fetch_start(w->client, &spec, &ops, c);
	return c;
}

void wire_cancel(struct wire_call *c)
{
	if (!c)
		return;
	http_fetch_cancel(c->fetch);
	free_call(c);
}

bool wire_ok(const struct wire_answer *a)
{
	return a->status >= 200 && a->status < 300;
}

bool wire_transient(const struct wire_answer *a)
{
	return a->status == 0 || a->status >= 500 || a->status == NO_TOKEN ||
	       a->status == TOO_MANY || a->status == TIMEOUT;
}

int64_t wire_pause_ms(const struct wire_answer *a, unsigned tries, int64_t cap_ms)
{
	if (a->retry_after_ms < 0)
		return clock_backoff_ms(tries, BACKOFF_BASE_MS, cap_ms);
	return a->retry_after_ms < RETRY_AFTER_MAX_MS ? a->retry_after_ms : RETRY_AFTER_MAX_MS;
}

const char *wire_reason(const struct wire_answer *a, char out[160])
{
	if (a->error)
		(void)snprintf(out, 160, "%s", a->error);
	else
		(void)snprintf(out, 160, "HTTP %d %.*s", a->status,
		               a->len < 120 ? (int)a->len : 120, a->body);
	return out;
}

char *wire_words(const struct wire_answer *a)
{
	LOOM_CLEANUP(json_free) struct json *problem = NULL;
	size_t n = a->len < QUOTED_MAX ? a->len : QUOTED_MAX;

	if (json_parse(a->body, a->len, 0, &problem, NULL) == 0 && json_get_str(problem, "detail"))
		return loom_strdup(json_get_str(problem, "detail"));
	while (n && (a->body[n - 1] == '\n' || a->body[n - 1] == ' '))
		n--;
	return n ? loom_asprintf("%.*s", (int)n, a->body) : loom_asprintf("HTTP %d", a->status);
}
