/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks - workers take tasks (REST spec 10.1). The call goes over the bus to a scheduler, and may
 * wait (`wait`) until a task is ready.
 */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/str.h"
#include "services/api/request/auth.h"
#include "services/api/request/legacy.h"
#include "services/api/request/pace.h"
#include "services/api/request/request.h"
#include "services/api/worker/worker_call.h"

#include <string.h>

#define ANSWER_MS 3000 /* beyond the wait, for a scheduler to answer a take */

/* A held take. Loop thread. */
struct takes {
	struct takes *next;
	struct api *a;
	struct http_req *req;
	struct ask *ask;
	struct json *body; /* the parts of the request that are kept */
	struct worker_pass pass;
	int64_t since, until; /* monotonic ms */
	bool many;            /* the worker accepts several tasks */
	bool legacy;          /* the worker is of version 0.9.7 */
};

static void take_unlink(struct takes *t)
{
	for (struct takes **at = &t->a->takes; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	pace_release(t->a, t->pass.tenant);
	json_free(t->body);
	loom_free(t);
}

static void take_empty(struct takes *t)
{
	http_reply_empty(t->req, 204);
	take_unlink(t);
}

static void take_ask(struct takes *t);

static void give_legacy(struct http_req *req, const char *task)
{
	LOOM_CLEANUP(json_free) struct json *all = NULL;
	if (json_parse(task, strlen(task), 0, &all, NULL)) {
		http_reply_text(req, 500, "the task cannot be read");
		return;
	}
	LOOM_CLEANUP(json_free) struct json *old = legacy_task(all);
	LOOM_CLEANUP_STR char *text = json_text(old);
	http_reply(req, 200, "text/plain; charset=utf-8", text, strlen(text));
}

/* The original's workers take one task, and expect its JSON as text. */
static void take_given(const struct takes *t, const struct msg_tasks *m)
{
	const char *first = json_str(json_at(m->tasks, 0));
	if (t->many)
		worker_give_tasks(t->req, m->tasks, m->held_ms);
	else if (t->legacy)
		give_legacy(t->req, first);
	else
		http_reply(t->req, 200, "text/plain; charset=utf-8", first, strlen(first));
}

static void take_answered(int error, const void *answer, void *arg)
{
	struct takes *t = arg;
	const struct msg_tasks *m = answer;
	t->ask = NULL;
	if (m && json_len(m->tasks)) {
		take_given(t, m);
		take_unlink(t);
		return;
	}
	/* A draining scheduler answers early: ask another for the rest of the wait. */
	if (!error && clock_mono_ms() + 50 < t->until)
		take_ask(t);
	else
		take_empty(t);
}

static void take_ask(struct takes *t)
{
	int64_t now = clock_mono_ms(), left = t->until > now ? t->until - now : 0;
	char id[33];
	id_random_hex(id, 16);
	const struct msg_take m = { .id = id,
		                    .provisioner = json_get_str(t->body, "provisionerId"),
		                    .worker = json_get_str(t->body, "workerId"),
		                    .tenant = json_get_str(t->body, "tenantId"),
		                    .max = json_get_int(t->body, "max", 1),
		                    .wait_ms = left,
		                    .held_ms = now - t->since,
		                    .lease = json_get_bool(t->body, "lease", false),
		                    .claim = json_get_bool(t->body, "claim", false) };
	t->ask = peers_ask(t->a, MSG_TAKE, &m, left + ANSWER_MS, take_answered, t);
}

static void take_withdraw(struct takes *t)
{
	if (t->ask)
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

void takes_end(struct api *a, takes_over_fn over, void *arg)
{
	struct takes *next;
	for (struct takes *t = a->takes; t; t = next) {
		next = t->next;
		if (!*t->pass.token || !over(t->pass.token, t->pass.stamp, arg))
			continue;
		take_withdraw(t);
		auth_refuse_revoked(t->req);
		take_unlink(t);
	}
}

static void take_start(struct http_req *req, void *arg)
{
	struct takes *t = arg;
	bool over = http_gone(req) || service_draining(t->a->service);
	if (over)
		http_reply_empty(req, 204);
	if (over || !pace_hold(t->a, req, t->pass.tenant)) {
		json_free(t->body);
		loom_free(t);
		return;
	}
	t->next = t->a->takes;
	t->a->takes = t;
	http_on_close(req, take_gone, t);
	take_ask(t);
}

static bool read_take(struct http_req *req, struct worker_call *k)
{
	if (api_body_json(req, &k->body) ||
	    (k->legacy && !request_check(req, &schema_legacy_take, k->body)))
		return false;
	if (k->legacy)
		worker_call_from_legacy(k);
	return request_check(req, &schema_take, k->body);
}

void tasks_take(struct http_req *req, void *ctx)
{
	struct worker_call k = {
		.a = ctx, .handler = tasks_take, .read = read_take, .takes = true
	};
	if (!worker_call_begin(req, &k)) {
		worker_call_fini(&k);
		return;
	}
	int64_t wait = json_get_int(k.body, "wait", 0);
	int64_t max = k.legacy ? 1 : json_get_int(k.body, "max", 1);
	struct takes *t = loom_calloc(1, sizeof(*t));
	static const char *const kept[] = { "provisionerId", "workerId", "tenantId", "lease",
		                            "claim" };
	struct json *body = json_set_int(json_new_obj(), "max", max);
	for (size_t i = 0; i < LOOM_COUNT(kept); i++)
		json_set(body, kept[i], json_copy(json_get(k.body, kept[i])));
	*t = (struct takes){ .a = k.a,
		             .req = req,
		             .body = body,
		             .since = clock_mono_ms(),
		             .until = clock_mono_ms() + wait * 1000,
		             .many = json_get(k.body, "max") && !k.legacy,
		             .legacy = k.legacy,
		             .pass = k.pass };
	worker_call_fini(&k);
	http_defer(req, take_start, t);
}
