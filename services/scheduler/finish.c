/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish - applies a worker's result. The attempt is the fence: a stale one is refused (417), the
 * same one again is answered 200 without doing anything, so that a result may be sent until heard.
 */
#include "services/scheduler/scheduler.h"

#include "common/base/log.h"
#include "common/base/str.h"

#include <string.h>

struct finishing {
	struct scheduler *s;
	struct bus_call *call;
	struct json *body;
	struct engine_policy policy;
	struct change ch;
	int status; /* HTTP */
	bool changed;
	bool unstorable; /* the database refuses what it says */
};

/* Does the result belong to the attempt that runs now? Workers of the original send no attempt:
 * theirs is known by who holds the task. */
static int fence(const struct finishing *f, const struct task *t)
{
	int64_t attempt = json_get_int(f->body, "attempt", 0);
	bool theirs = str_eq(t->provisioner_id, json_get_str(f->body, "provisionerId"));
	if (!attempt)
		theirs = theirs && str_eq(t->worker_id, json_get_str(f->body, "workerId"));
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

#define KEPT_OUTPUT 2048 /* characters of a failed attempt's output (rest-api 5.5) */

/* The end of a text, marked where it was cut. NULL gives NULL. */
static char *tail(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n <= KEPT_OUTPUT)
		return loom_strdup(s);
	const char *from = s + n - KEPT_OUTPUT;
	while ((*from & 0xc0) == 0x80) /* not inside a character */
		from++;
	return loom_asprintf("[snipped]%s", from);
}

static int finish_tx(struct db *db, void *arg)
{
	struct finishing *f = arg;
	struct task_ref ref;
	f->changed = false;
	f->ch.policy = &f->policy;
	f->status = 417;
	if (id_parse_task(json_get_str(f->body, "taskId"), &ref)) {
		f->status = 400;
		return 0;
	}
	int rc = engine_begin(db, ref.cluster, &f->ch);
	if (rc)
		return rc == CLUSTER_E_NONE ? 0 : rc;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	rc = task_lock(db, &ref, &ts);
	if (rc || !ts->n)
		return rc;
	struct task *t = &ts->v[0];
	f->status = fence(f, t);
	if (f->status)
		return 0;
	f->status = 200;
	LOOM_CLEANUP_STR char *out = tail(json_get_str(f->body, "stdout"));
	LOOM_CLEANUP_STR char *err = tail(json_get_str(f->body, "stderr"));
	LOOM_CLEANUP_STR char *why = tail(json_get_str(f->body, "message"));
	struct task_result res = { .status = json_get_int(f->body, "status", 1),
		                   .never_again = !json_get_bool(f->body, "retry", true),
		                   .message = !str_blank(why)   ? why
		                              : !str_blank(err) ? err
		                                                : out,
		                   .out = out,
		                   .err = err,
		                   .result = json_get(f->body, "result"),
		                   .ipaddresses = json_get(f->body, "ipaddresses"),
		                   .hostname = json_get_str(f->body, "hostname") };
	const struct task_result none = { .status = -1,
		                          .never_again = true,
		                          .message = "its result could not be stored" };
	rc = engine_finish(db, &f->ch, t, f->unstorable ? &none : &res);
	f->changed = true;
	return rc ? rc : engine_commit(db, &f->ch);
}

static void finish_work(void *arg)
{
	struct finishing *f = arg;
	int rc = db_tx(f->s->db, finish_tx, f);
	if (rc == DB_E_FATAL) {
		/* Sent again it would be refused again: the task has failed. */
		f->unstorable = true;
		rc = db_tx(f->s->db, finish_tx, f);
	}
	if (rc) {
		f->status = 503;
		log_warn("result not applied", LOG_S("task", json_get_str(f->body, "taskId")),
		         LOG_S("reason", db_code_name(rc)));
	} else if (f->changed) {
		wake_changed(f->s, &f->ch);
	}
}

static void finish_done(void *arg)
{
	struct finishing *f = arg;
	LOOM_CLEANUP(json_free)
	struct json *body = json_set_int(json_new_obj(), "status", f->status);
	bus_answer(f->call, body);
	engine_fini(&f->ch);
	json_free(f->body);
	loom_free(f);
}

static void on_finish(struct bus_call *call, const struct json *body, void *arg)
{
	struct finishing *f = loom_calloc(1, sizeof(*f));
	*f = (struct finishing){ .s = arg, .call = call, .body = json_copy(body), .status = 503 };
	f->policy = scheduler_policy(f->s);
	if (pool_submit(f->s->pool, finish_work, finish_done, f))
		finish_done(f);
}

void finish_start(struct scheduler *s)
{
	bus_on_request(s->bus, "finish", on_finish, s);
}
