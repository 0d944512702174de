/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks - a worker takes tasks and hands in results (REST spec 10). Both go over the bus to a
 * scheduler; a take may be held (`wait`) until a task is ready.
 */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/operation/task_result.h"
#include "services/api/api.h"
#include "services/api/provisioner_cache.h"

#include <string.h>

#define MAX_WAIT_S  60
#define FINISH_MS   8000
#define ANSWER_MS   3000 /* beyond the wait, for a scheduler to answer a take */
#define MAX_AT_ONCE 64
#define MAX_ANSWER  (32u << 20) /* twice what the bus lets through */

/* One held take. On the loop. */
struct takes {
	struct takes *next;
	struct api *a;
	struct http_req *req;
	struct ask *ask;
	struct json *body;    /* as sent to the scheduler, without waitMs */
	int64_t since, until; /* monotonic ms */
	bool many;            /* the worker can take several */
};

struct worker_call {
	struct api *a;
	struct json *body;
};

/* Parses and checks what both calls need; false when answered. */
static bool begin(struct http_req *req, struct worker_call *k)
{
	static const char *const needed[] = { "provisionerId", "workerId", "tenantId" };
	if (api_body_json(req, &k->body))
		return false;
	for (size_t i = 0; i < LOOM_COUNT(needed); i++) {
		const char *v = json_get_str(k->body, needed[i]);
		if (str_blank(v) || strlen(v) > 255) {
			http_reply_text(req, 400, "%s is missing, or longer than 255 characters",
			                needed[i]);
			return false;
		}
	}
	const char *id = json_get_str(k->body, "provisionerId");
	bool known;
	int rc = provisioner_cache_ask(k->a->provisioners, k->a->db, id, &known);
	if (rc)
		api_reply_db(req, rc);
	else if (!known)
		http_reply_text(req, 403, "provisioner %s is not registered", id);
	return !rc && known;
}

static void take_unlink(struct takes *t)
{
	for (struct takes **at = &t->a->takes; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	json_free(t->body);
	loom_free(t);
}

static void take_empty(struct takes *t)
{
	http_reply_empty(t->req, 204);
	take_unlink(t);
}

static void take_ask(struct takes *t);

/* A scheduler sends documents as texts, which are passed on as they are; an older one as values. */
static void add_document(struct buf *b, const struct json *doc)
{
	if (json_is(doc, JSON_STRING))
		buf_add(b, json_str(doc), json_str_len(doc));
	else
		json_write(doc, b);
}

static void add_documents(struct buf *b, const struct json *body)
{
	const struct json *tasks = json_get(body, "tasks");
	buf_addc(b, '{');
	json_emit_text(b, "tasks", "[");
	for (size_t i = 0; i < json_len(tasks); i++) {
		if (i)
			buf_addc(b, ',');
		add_document(b, json_at(tasks, i));
	}
	buf_addc(b, ']');
	json_emit_value(b, "heldMs", json_get(body, "heldMs"));
	buf_addc(b, '}');
}

/* The original's workers take one and get its JSON as text. */
static void take_given(const struct takes *t, const struct json *body)
{
	const struct json *tasks = json_get(body, "tasks");
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(MAX_ANSWER);
	if (!t->many)
		add_document(&b, json_at(tasks, 0));
	else
		add_documents(&b, body);
	loom_assert(!b.full);
	http_reply(t->req, 200, t->many ? "application/json" : "text/plain; charset=utf-8",
	           buf_str(&b), b.len);
}

static void take_answered(int error, const struct json *body, void *arg)
{
	struct takes *t = arg;
	t->ask = NULL;
	if (json_len(json_get(body, "tasks"))) {
		take_given(t, body);
		take_unlink(t);
		return;
	}
	/* A scheduler that drains answers early: another is asked for the rest of the wait. */
	if (!error && clock_mono_ms() + 50 < t->until)
		take_ask(t);
	else
		take_empty(t);
}

static void take_ask(struct takes *t)
{
	int64_t left = t->until - clock_mono_ms();
	char id[33];
	id_random_hex(id, 16);
	struct json *body = json_set_str(json_copy(t->body), "takeId", id);
	json_set_str(t->body, "takeId", id);
	json_set_int(body, "waitMs", left > 0 ? left : 0);
	json_set_int(body, "heldMs", clock_mono_ms() - t->since);
	t->ask = peers_ask(t->a, "take", body, (left > 0 ? left : 0) + ANSWER_MS, take_answered, t);
}

/* The scheduler is told, so that it hands no task to somebody who has gone. */
static void take_withdraw(struct takes *t)
{
	if (!t->ask)
		return;
	const char *peer = peers_asked(t->ask);
	LOOM_CLEANUP(json_free)
	struct json *body = json_set_str(json_new_obj(), "takeId", json_get_str(t->body, "takeId"));
	if (peer)
		bus_notify(t->a->bus, peer, "untake", body);
	peers_cancel(t->ask);
	t->ask = NULL;
}

static void take_gone(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct takes *t = arg;
	take_withdraw(t);
	take_empty(t);
}

void takes_drain(struct api *a)
{
	while (a->takes) {
		take_withdraw(a->takes);
		take_empty(a->takes);
	}
}

static void take_start(struct http_req *req, void *arg)
{
	struct takes *t = arg;
	if (http_gone(req) || service_draining(t->a->service)) {
		http_reply_empty(req, 204);
		json_free(t->body);
		loom_free(t);
		return;
	}
	t->next = t->a->takes;
	t->a->takes = t;
	http_on_close(req, take_gone, t);
	take_ask(t);
}

void tasks_take(struct http_req *req, void *ctx)
{
	struct worker_call k = { .a = ctx };
	if (!begin(req, &k)) {
		json_free(k.body);
		return;
	}
	int64_t wait = json_get_int(k.body, "wait", 0), max = json_get_int(k.body, "max", 1);
	if (wait < 0 || wait > MAX_WAIT_S || max < 1 || max > MAX_AT_ONCE) {
		http_reply_text(req, 400, "wait must be 0 to %d seconds, max 1 to %d", MAX_WAIT_S,
		                MAX_AT_ONCE);
		json_free(k.body);
		return;
	}
	int rc = provisioner_cache_note_tenant(k.a->provisioners, k.a->db,
	                                       json_get_str(k.body, "provisionerId"),
	                                       json_get_str(k.body, "tenantId"));
	if (rc) {
		api_reply_db(req, rc);
		json_free(k.body);
		return;
	}
	struct takes *t = loom_calloc(1, sizeof(*t));
	struct json *body = json_set_int(json_new_obj(), "max", max);
	static const char *const who[] = { "provisionerId", "workerId", "tenantId" };
	for (size_t i = 0; i < LOOM_COUNT(who); i++)
		json_set_str(body, who[i], json_get_str(k.body, who[i]));
	json_set_bool(body, "lease", json_get_bool(k.body, "lease", false));
	json_set_bool(body, "texts", true);
	*t = (struct takes){ .a = k.a,
		             .req = req,
		             .body = body,
		             .since = clock_mono_ms(),
		             .until = clock_mono_ms() + wait * 1000,
		             .many = json_get(k.body, "max") != NULL };
	json_free(k.body);
	http_defer(req, take_start, t);
}

static void finish_answered(int error, const struct json *body, void *arg)
{
	struct http_req *req = arg;
	int status = peers_status(error, body);
	if (status == 200)
		http_reply_empty(req, 200);
	else if (status == 417)
		http_reply_text(req, 417, "the task is not held by this worker any more");
	else if (status == 400)
		http_reply_text(req, 400, "taskId is not the id of a task");
	else
		http_reply_problem(req, 503,
		                   error ? "no scheduler answers; try again"
		                         : "the result could not be stored; try again");
}

struct finish {
	struct api *a;
	struct json *body;
};

static void finish_ask(struct http_req *req, void *arg)
{
	struct finish *f = arg;
	struct task_ref ref = { 0 };
	bool known = !id_parse_task(json_get_str(f->body, "taskId"), &ref);
	struct ask *k = peers_ask(f->a, "finish", f->body, FINISH_MS, finish_answered, req);
	if (known)
		peers_about(k, ref.cluster);
	loom_free(f);
}

/* The member, unless it is absent or null. */
static const struct json *given(const struct json *body, const char *key)
{
	const struct json *v = json_get(body, key);
	return json_is(v, JSON_NULL) ? NULL : v;
}

static int check_finish(const struct json *body, struct loom_err *err)
{
	struct task_ref ref;
	int64_t n;
	if (id_parse_task(json_get_str(body, "taskId"), &ref))
		return err_set(err, 400, "taskId is missing, or not the id of a task");
	if (!json_int(json_get(body, "status"), &n) || n < INT32_MIN || n > INT32_MAX)
		return err_set(err, 400, "status is missing, or not a number");
	const struct json *attempt = given(body, "attempt");
	if (attempt && !json_int(attempt, &n))
		return err_set(err, 400, "attempt is not a number");
	const struct json *retry = given(body, "retry");
	bool yes;
	if (retry && !json_bool(retry, &yes))
		return err_set(err, 400, "retry is neither true nor false");
	return task_result_check(body, err);
}

void tasks_finish(struct http_req *req, void *ctx)
{
	struct worker_call k = { .a = ctx };
	size_t len;
	http_body(req, &len);
	if (len > TASK_RESULT_MAX) {
		http_reply_text(req, 413, "a result may have %d bytes", TASK_RESULT_MAX);
		return;
	}
	if (!begin(req, &k)) {
		json_free(k.body);
		return;
	}
	struct loom_err err = { 0 };
	if (check_finish(k.body, &err)) {
		http_reply_text(req, 400, "%s", err.msg);
		json_free(k.body);
		return;
	}
	struct finish *f = loom_malloc(sizeof(*f));
	*f = (struct finish){ k.a, k.body };
	http_defer(req, finish_ask, f);
}
