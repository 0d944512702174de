/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results. The attempt is the fence: a stale one is refused (417), the same one again is answered
 * 200 without doing anything, so that a result may be sent until it is heard.
 *
 * A success that ends neither its job nor anything else is applied in memory, as job_lifecycle.c
 * would do it. All others go their own way, through job_lifecycle.c.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/broken.h"
#include "common/base/str.h"
#include "services/scheduler/plan/planner.h"

#include <string.h>

/* Does the result belong to the attempt that runs now? Workers of the original send no attempt:
 * theirs is known by who holds the task. */
static int fence(const struct json *body, const struct task *t)
{
	if (broken("fence"))
		return t->state == TASK_RUNNING ? 0 : 417;
	int64_t attempt = json_get_int(body, "attempt", 0);
	bool theirs = str_eq(t->provisioner_id, json_get_str(body, "provisionerId"));
	if (!attempt)
		theirs = theirs && str_eq(t->worker_id, json_get_str(body, "workerId"));
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

static struct task_result told_by(const struct json *body)
{
	return (struct task_result){ .status = json_get_int(body, "status", 1),
		                     .never_again = !json_get_bool(body, "retry", true),
		                     .result = json_get(body, "result"),
		                     .ipaddresses = json_get(body, "ipaddresses"),
		                     .hostname = json_get_str(body, "hostname") };
}

/* ---- successes, in memory -------------------------------------------------------------------- */

/* Does the result change what is known of the machine? */
static bool about_node(const struct json *body, const struct task *t)
{
	enum plan_step step;
	if (json_len(json_get(body, "result")) || json_get(body, "ipaddresses") ||
	    json_get(body, "hostname") || !plan_step_parse(t->name, &step))
		return true;
	return step == STEP_DELETE || step == STEP_INSTALL || step == STEP_REMOVE ||
	       step == STEP_START || step == STEP_STOP;
}

static struct item *item_of(const struct unit *u, const struct batch_result *r)
{
	struct task_ref ref;
	if (id_parse_task(json_get_str(r->body, "taskId"), &ref))
		return NULL;
	return unit_item(u, &ref);
}

static int load_nodes(struct unit *u)
{
	const struct batch *batch = u->batch;
	int64_t *clusters = loom_calloc(batch->n_results + 1, sizeof(*clusters));
	size_t n = 0;
	for (size_t i = 0; i < batch->n_results; i++) {
		const struct item *it = item_of(u, &batch->results[i]);
		if (it && about_node(batch->results[i].body, it->t))
			clusters[n++] = it->t->cluster_id;
	}
	int rc = rows_load_nodes(u, clusters, n);
	loom_free(clusters);
	u->nodes = loom_calloc(n + 1, sizeof(struct node *));
	return rc;
}

static void changes(struct unit *u, struct node *n)
{
	size_t i = 0;
	while (i < u->n_nodes && u->nodes[i] != n)
		i++;
	u->nodes[i] = n;
	u->n_nodes += i == u->n_nodes;
}

/* What the result says of its machine. False: it made the task fail. */
static int apply_to_node_row(struct unit *u, const struct task *t, struct task_result *res)
{
	struct batch_cluster *to = unit_held(u, t->cluster_id);
	struct node *n = cached_cluster_node(to->cached, t);
	if (!n)
		return 0;
	bool told = lifecycle_to_node(n, t, res);
	if (res->status) /* too many results */
		return 0;
	changes(u, n);
	if (!told)
		return 0;
	node_view_destroy(loom_take(to->cached->node_view));
	return lifecycle_node_event(u->db, &to->tx, n);
}

/* False when it needs statements of its own. */
static bool may_apply(struct unit *u, const struct item *it, const struct job_delta *m,
                      struct task_result *res)
{
	if (it->slow_path || !m || u->batch->unstorable || res->status != 0 ||
	    job_ended(m->job.status))
		return false;
	if (it->t->attempt > 1) /* somebody may have failed at it */
		return false;
	if (lifecycle_has_kept(&m->job)) /* it may be the last, though not all are complete */
		return false;
	return m->job.tasks_done + 1 < m->job.tasks_total;
}

static int complete(struct unit *u, struct item *it, struct job_delta *m, struct task_result *res,
                    bool about)
{
	struct task *t = it->t;
	struct cluster_tx *tx = &unit_held(u, t->cluster_id)->tx;
	int rc = about ? apply_to_node_row(u, t, res) : 0;
	if (res->status) { /* a failure after all */
		it->slow_path = true;
		return 0;
	}
	loom_assert(task_may_become(t->state, TASK_COMPLETE));
	t->state = TASK_COMPLETE;
	t->done_attempt = t->attempt;
	t->status_time = u->now;
	t->status_code = 0;
	loom_free(t->message);
	t->message = NULL;
	it->changed = true;
	m->job.tasks_done++;
	m->moved = true;
	if (str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		m->confirmed = t;
	u->done[u->n_done++] = task_ref_of(t);
	if (!rc)
		task_event(tx->c, t, u->now);
	return rc;
}

static int result_one(struct unit *u, size_t i)
{
	struct batch_result *r = &u->batch->results[i];
	struct task_ref ref;
	if (id_parse_task(json_get_str(r->body, "taskId"), &ref))
		return 0;
	struct item *it = unit_item(u, &ref);
	if (!it) {
		bool held = !u->batch->wait && !unit_cluster(u, ref.cluster);
		r->status = held ? 0 : 417;
		return 0;
	}
	r->status = it->slow_path ? 0 : fence(r->body, it->t);
	if (r->status)
		return 0;
	r->status = 200;
	struct task_result res = told_by(r->body);
	struct job_delta *m = unit_job(u, it->t);
	int rc = 0;
	it->slow_path = !may_apply(u, it, m, &res);
	if (!it->slow_path)
		rc = complete(u, it, m, &res, about_node(r->body, it->t));
	if (it->slow_path)
		u->slow_path[u->n_slow_path++] = i;
	return rc;
}

int results_apply(struct unit *u)
{
	size_t n = u->batch->n_results;
	u->done = loom_calloc(n + 1, sizeof(*u->done));
	u->slow_path = loom_calloc(n + 1, sizeof(*u->slow_path));
	int rc = n ? load_nodes(u) : 0;
	for (size_t i = 0; !rc && i < n; i++)
		rc = result_one(u, i);
	if (!rc && u->n_done)
		rc = results_release(u);
	return rc ? rc : nodes_save(u->db, u->nodes, u->n_nodes);
}

/* ---- all others ------------------------------------------------------------------------------ */

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

static int finish(struct unit *u, struct batch_result *r)
{
	struct item *it = item_of(u, r);
	const struct json *body = r->body;
	loom_assert(it);
	int status = fence(body, it->t);
	if (status) { /* another result of the same task came before */
		r->status = status;
		return 0;
	}
	LOOM_CLEANUP_STR char *out = tail(json_get_str(body, "stdout"));
	LOOM_CLEANUP_STR char *err = tail(json_get_str(body, "stderr"));
	LOOM_CLEANUP_STR char *why = tail(json_get_str(body, "message"));
	struct task_result res = told_by(body);
	res.message = !str_blank(why) ? why : !str_blank(err) ? err : out;
	res.out = out;
	res.err = err;
	const struct task_result none = { .status = -1,
		                          .never_again = true,
		                          .message = "its result could not be stored" };
	struct batch_cluster *to = unit_held(u, it->t->cluster_id);
	to->save_whole_cluster = true;
	if (json_get_bool(body, "lost", false)) /* the worker was late and knows it */
		return lifecycle_lost(u->db, &to->tx, it->t);
	return lifecycle_finish(u->db, &to->tx, it->t, u->batch->unstorable ? &none : &res);
}

int results_slow_path(struct unit *u)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_slow_path; i++)
		rc = finish(u, &u->batch->results[u->slow_path[i]]);
	return rc;
}
