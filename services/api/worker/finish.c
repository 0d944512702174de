/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish - workers hand in the results of tasks (REST spec 10.2). The answer may bring the next
 * tasks.
 *
 * Workers of the original, which send no attempt, hand in each result once, whatever the answer.
 * So theirs is kept where another worker's would be refused, or sent back for later: output that is
 * too long is cut, a result that cannot be stored becomes a failure that says why, and while
 * nothing can be stored the request waits.
 */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/operation/task_result.h"
#include "services/api/request/legacy.h"
#include "services/api/request/request.h"
#include "services/api/worker/worker_call.h"

#include <string.h>

enum {
	FINISH_MS = 8000,
	ONLY_TRY_MS = 50000, /* the original's HTTP client gives up after 60 s */
};

struct finish {
	struct api *a;
	struct msg_finish *msg;
	char *refusal; /* as in struct worker_call */
	char take[33];
	int64_t since; /* monotonic ms */
	struct http_req *req;
};

static void finish_free(struct finish *f)
{
	message_free(f->msg);
	loom_free(f->refusal);
	loom_free(f);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Is it handed in only once? */
static bool is_only_try(const struct json *body)
{
	return json_get_int(body, "attempt", 0) == 0;
}

/* What is wrong with a result, owned; NULL: nothing. */
static char *wrong_with(const struct schema *s, const struct json *body, size_t len)
{
	struct loom_err err = { 0 };
	if (api_json_check(body, &err))
		return loom_strdup(err.msg);
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(s, body);
	if (faults)
		return schema_words(faults);
	if (task_result_check(body, &err))
		return loom_strdup(err.msg);
	LOOM_CLEANUP_STR char *text = len > TASK_RESULT_MAX ? json_text(body) : NULL;
	return text && strlen(text) > TASK_RESULT_MAX
	               ? loom_asprintf("a result may have %d bytes", TASK_RESULT_MAX)
	               : NULL;
}

/* Replaces a result that cannot be stored by a failure, if it will not come again and names a
 * task. */
static void mend(struct worker_call *k, const struct schema *s, size_t len)
{
	struct task_ref ref;
	if (!is_only_try(k->body) || id_parse_task(json_get_str(k->body, "taskId"), &ref))
		return;
	if (len > TASK_RESULT_MAX)
		task_result_cut(k->body);
	LOOM_CLEANUP_STR char *wrong = wrong_with(s, k->body, len);
	if (!wrong)
		return;
	LOOM_CLEANUP_STR char *message = loom_asprintf("the server refused the result: %s", wrong);
	struct json *failed = task_result_failure(k->body, message);
	json_free(k->body);
	k->body = failed;
	if (!k->refusal)
		k->refusal = loom_take(wrong);
}

static bool is_right(struct http_req *req, const struct worker_call *k, size_t len)
{
	struct task_ref ref;
	struct loom_err err = { 0 };
	if (len > TASK_RESULT_MAX && !is_only_try(k->body)) {
		http_reply_text(req, 413, "a result may have %d bytes", TASK_RESULT_MAX);
		return false;
	}
	int rc = api_json_check(k->body, &err);
	if (!rc && !request_check(req, &schema_finish, k->body))
		return false;
	if (!rc)
		rc = task_result_check(k->body, &err);
	if (!rc && id_parse_task(json_get_str(k->body, "taskId"), &ref))
		rc = err_set(&err, 400, "taskId is not the id of a task");
	if (rc)
		http_reply_problem(req, 400, "%s", err.msg);
	return !rc;
}

static bool read_result(struct http_req *req, struct worker_call *k)
{
	size_t len;
	http_body(req, &len);
	if (http_body_json(req, &k->body, NULL))
		return false;
	task_result_tidy(k->body);
	if (k->legacy) {
		mend(k, &schema_legacy_finish, len);
		if (!request_check(req, &schema_legacy_finish, k->body))
			return false;
		worker_call_from_legacy(k);
	}
	mend(k, &schema_finish, len);
	k->only_try = is_only_try(k->body);
	return is_right(req, k, len);
}

/* ---- handing on ------------------------------------------------------------------------------ */

static void answer_stored(const struct finish *f, const struct msg_answer *m)
{
	if (f->refusal)
		http_reply_problem(f->req, 400, "%s; the task counts as failed", f->refusal);
	else if (json_len(m->tasks))
		worker_give_tasks(f->req, m->tasks, m->held_ms);
	else
		http_reply_empty(f->req, 200);
}

static void finish_answered(int error, const void *answer, void *arg)
{
	const struct msg_answer *m = answer;
	struct finish *f = arg;
	int status = peers_status(error, m);
	if (status == 200)
		answer_stored(f, m);
	else if (status == 417)
		http_reply_text(f->req, 417, "the task is not held by this worker any more");
	else if (status == 400)
		http_reply_text(f->req, 400, "taskId is not the id of a task");
	else
		http_reply_problem(f->req, 503,
		                   error ? "no scheduler answers; try again"
		                         : "the result could not be stored; try again");
	finish_free(f);
}

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
	bool known = !id_parse_task(f->msg->task, &ref), only = !f->msg->attempt;
	f->req = req;
	ask_next(f);
	struct ask *k = peers_ask(f->a, MSG_FINISH, f->msg, only ? ONLY_TRY_MS : FINISH_MS,
	                          finish_answered, f);
	if (known)
		peers_about(k, ref.cluster);
	if (only)
		peers_insist(k);
}

void tasks_finish(struct http_req *req, void *ctx)
{
	struct worker_call k = { .a = ctx, .handler = tasks_finish, .read = read_result };
	int64_t since = clock_mono_ms();
	if (!worker_call_begin(req, &k)) {
		worker_call_fini(&k);
		return;
	}
	struct loom_err err = { 0 };
	struct msg_finish *msg = message_read(&messages[MSG_FINISH], loom_take(k.body), &err);
	if (!msg) {
		http_reply_text(req, 400, "%s", err.msg);
		worker_call_fini(&k);
		return;
	}
	struct finish *f = loom_malloc(sizeof(*f));
	*f = (struct finish){
		.a = k.a, .msg = msg, .refusal = loom_take(k.refusal), .since = since
	};
	http_defer(req, finish_ask, f);
}
