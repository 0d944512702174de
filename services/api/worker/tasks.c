/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks - workers take tasks and report results (REST spec 10). Both calls go over the bus to a
 * scheduler; a take may wait (`wait`) until a task is ready, and the answer to a result may bring
 * the next tasks.
 */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/netlist.h"
#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/catalog/entity.h"
#include "common/operation/task_result.h"
#include "services/api/request/auth.h"
#include "services/api/request/legacy.h"
#include "services/api/request/pace.h"
#include "services/api/request/request.h"
#include "services/api/worker/provisioner_cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FINISH_MS     8000
#define LEGACY_WORKER "0.9.7:"    /* begins the provisioner's id of such a worker */
#define ANSWER_MS     3000        /* beyond the wait, for a scheduler to answer a take */
#define MAX_ANSWER    (32u << 20) /* twice the bus's limit */
#define MAX_ON_LOOP   (32u << 10) /* bytes parsed on the loop: a tenth of a millisecond */

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

struct worker_call {
	struct api *a;
	void (*handler)(struct http_req *req, void *ctx); /* runs on the loop, or on a worker
	                                                   * thread */
	bool takes, legacy;
	struct json *body;
	struct worker_pass pass;
};

bool tasks_worker_allowed(struct http_req *req, const struct api *a, const struct json *body)
{
	struct net_addr from;
	bool claims = false;
	if (!json_bool(json_get(body, "claim"), &claims))
		claims = !str_blank(json_get_str(body, "claim"));
	if (claims || (net_addr_peer(http_peer(req), &from) &&
	               net_list_has(a->cfg.secretless_workers, &from)))
		return true;
	http_reply_text(req, 403,
	                "a worker at %s must ask for a secret with its tasks (\"claim\": true) and "
	                "show it with all it says of them; others are let in from the networks in "
	                "secretless_workers",
	                http_peer(req));
	return false;
}

/* Operators ask for it by a path, in which a name has no slash. Owned. */
static char *legacy_provisioner(const char *worker)
{
	char *id = loom_asprintf("%s%s", LEGACY_WORKER, worker);
	for (char *at = id; *at; at++)
		*at = (char)(*at == '/' ? ':' : *at);
	return id;
}

/* A worker of version 0.9.7 is its own provisioner, and knows no tenants: false when answered. */
static bool from_legacy(struct http_req *req, struct worker_call *k)
{
	if (!request_check(req, k->takes ? &schema_legacy_take : &schema_legacy_finish, k->body))
		return false;
	struct json *body = legacy_finish(k->body);
	LOOM_CLEANUP_STR char *id = legacy_provisioner(json_get_str(body, "workerId"));
	json_set_str(body, "provisionerId", id);
	json_set_str(body, "tenantId", TENANT_SUPERADMIN);
	json_free(k->body);
	k->body = body;
	return true;
}

static bool check_body(struct http_req *req, struct worker_call *k)
{
	k->legacy = legacy_is(req);
	if (k->legacy && !from_legacy(req, k))
		return false;
	task_result_tidy(k->body);
	return request_check(req, k->takes ? &schema_take : &schema_finish, k->body) &&
	       tasks_worker_allowed(req, k->a, k->body);
}

/* Checks that the provisioner is registered, and notes for which tenant it asks; false when
 * answered. */
static bool check_provisioner(struct http_req *req, const struct worker_call *k,
                              const char *asks_for)
{
	const char *id = json_get_str(k->body, "provisionerId");
	bool known = false;
	int rc = k->legacy ? provisioner_cache_put_silent(k->a->provisioners, k->a->db, id,
	                                                  k->pass.tenant)
	                   : 0;
	if (rc == PROVISIONER_E_OTHER) {
		http_reply_text(req, 403, "worker %s is another tenant's", id);
		return false;
	}
	if (!rc)
		rc = provisioner_cache_ask(k->a->provisioners, k->a->db, id, &known);
	if (!rc && known && asks_for)
		rc = provisioner_cache_note_tenant(k->a->provisioners, k->a->db, id, asks_for);
	if (rc)
		api_reply_db(req, rc);
	else if (!known)
		http_reply_text(req, 403, "provisioner %s is not registered", id);
	return !rc && known;
}

/*
 * Parses and checks what both calls share; false when answered, or when a worker thread goes on. It
 * starts on the loop, where most calls need nothing that blocks: handing each to a thread and back
 * took a quarter of the API's time. The others start again on a thread.
 */
static bool begin(struct http_req *req, struct worker_call *k)
{
	bool here = loop_is_here(http_loop(req));
	size_t len;
	http_body(req, &len);
	if (here && len > MAX_ON_LOOP) {
		http_to_pool(req, k->handler, k->a);
		return false;
	}
	if (api_body_json(req, &k->body) || !check_body(req, k))
		return false;
	int rc = auth_worker(k->a, req, here ? 0 : AUTH_WAIT_MS,
	                     k->legacy ? NULL : json_get_str(k->body, "tenantId"), &k->pass);
	if (rc == -EAGAIN)
		http_to_pool(req, k->handler, k->a);
	if (rc)
		return false;
	if (k->legacy && *k->pass.tenant)
		json_set_str(k->body, "tenantId", k->pass.tenant);
	bool asks = k->takes || json_get_int(k->body, "next", 0) > 0;
	const char *asks_for = asks ? json_get_str(k->body, "tenantId") : NULL;
	if (!here)
		return check_provisioner(req, k, asks_for);
	if (provisioner_cache_has(k->a->provisioners, json_get_str(k->body, "provisionerId"),
	                          asks_for))
		return true;
	http_to_pool(req, k->handler, k->a);
	return false;
}

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

static void give_tasks(struct http_req *req, const struct json *tasks, int64_t held_ms)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(MAX_ANSWER);
	buf_addc(&b, '{');
	json_emit_text(&b, "tasks", "[");
	for (size_t i = 0; i < json_len(tasks); i++) {
		if (i)
			buf_addc(&b, ',');
		buf_adds(&b, json_str(json_at(tasks, i)));
	}
	buf_addc(&b, ']');
	json_emit_int(&b, "heldMs", held_ms);
	buf_addc(&b, '}');
	loom_assert(!b.full);
	http_reply(req, 200, "application/json", buf_str(&b), b.len);
}

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
		give_tasks(t->req, m->tasks, m->held_ms);
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

void tasks_take(struct http_req *req, void *ctx)
{
	struct worker_call k = { .a = ctx, .handler = tasks_take, .takes = true };
	if (!begin(req, &k)) {
		json_free(k.body);
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
	json_free(k.body);
	http_defer(req, take_start, t);
}

static void finish_answered(int error, const void *answer, void *arg)
{
	const struct msg_answer *m = answer;
	struct http_req *req = arg;
	int status = peers_status(error, m);
	if (status == 200 && json_len(m->tasks))
		give_tasks(req, m->tasks, m->held_ms);
	else if (status == 200)
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
	struct msg_finish *msg;
	char take[33];
	int64_t since; /* monotonic ms */
};

/* If the worker asks for next tasks, the same scheduler adds them to its answer, unless this API is
 * about to stop. */
static void ask_next(struct finish *f)
{
	struct msg_finish *m = f->msg;
	m->take = NULL; /* ignore what the worker sent */
	if (!m->next || service_draining(f->a->service))
		return;
	id_random_hex(f->take, 16);
	m->take = f->take;
	m->held_ms = clock_mono_ms() - f->since;
}

static void finish_ask(struct http_req *req, void *arg)
{
	struct finish *f = arg;
	struct task_ref ref = { 0 };
	bool known = !id_parse_task(f->msg->task, &ref);
	ask_next(f);
	struct ask *k = peers_ask(f->a, MSG_FINISH, f->msg, FINISH_MS, finish_answered, req);
	if (known)
		peers_about(k, ref.cluster);
	message_free(f->msg);
	loom_free(f);
}

/* Checks the result's own rules first: their errors say more than the message decoder's. */
static struct msg_finish *read_finish(struct json *body, struct loom_err *err)
{
	struct task_ref ref;
	int rc = task_result_check(body, err);
	if (!rc && id_parse_task(json_get_str(body, "taskId"), &ref))
		rc = err_set(err, 400, "taskId is missing, or not the id of a task");
	if (!rc)
		return message_read(&messages[MSG_FINISH], body, err);
	json_free(body);
	return NULL;
}

void tasks_finish(struct http_req *req, void *ctx)
{
	struct worker_call k = { .a = ctx, .handler = tasks_finish };
	int64_t since = clock_mono_ms();
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
	struct msg_finish *msg = read_finish(k.body, &err);
	if (!msg) {
		http_reply_text(req, 400, "%s", err.msg);
		return;
	}
	struct finish *f = loom_malloc(sizeof(*f));
	*f = (struct finish){ .a = k.a, .msg = msg, .since = since };
	http_defer(req, finish_ask, f);
}
