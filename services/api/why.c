/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/why.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/provisioner.h"
#include "services/api/resources.h"
#include "services/api/visible.h"

#define MAX_TASKS    200
#define MAX_WAITS_ON 4

static char *task_words(const struct task *t)
{
	return loom_asprintf("%s%s%s on node %lld", t->name, *t->service ? " of " : "", t->service,
	                     (long long)t->node_num);
}

static char *ready_words(const struct why_input *in, const struct task *t)
{
	char when[32];
	clock_format(t->not_before, when);
	if (in->latest->status == JOB_PAUSED)
		return loom_strdup("is held back: the job is paused");
	if (t->not_before > in->now && !t->failures)
		return loom_strdup("waits for addresses of machines that are still being made");
	if (t->not_before > in->now)
		return loom_asprintf("failed %lld times and is tried again at %s: %s",
		                     (long long)t->failures + t->losses, when,
		                     t->message ? t->message : "no reason given");
	if (!in->provisioners)
		return loom_strdup("waits for a worker: no provisioner is registered");
	if (in->running >= in->capacity)
		return loom_asprintf(
			"waits for a free worker: all %lld slots of %lld provisioners are busy",
			(long long)in->capacity, (long long)in->provisioners);
	return loom_strdup("is ready: the next worker that asks gets it");
}

static const struct task *numbered(const struct tasks *ts, int64_t num)
{
	if (num >= 1 && num <= (int64_t)ts->n && ts->v[num - 1].num == num)
		return &ts->v[num - 1];
	for (size_t i = 0; i < ts->n; i++)
		if (ts->v[i].num == num)
			return &ts->v[i];
	return NULL;
}

struct waits_on {
	struct strs named;
	size_t more;
};

/* Those that an edge comes from and that are not complete: a task, or the members of a group. */
static void add_waits(const struct why_input *in, int64_t from_num, struct waits_on *on)
{
	for (size_t i = 0; from_num < 0 && i < in->n_edges; i++)
		if (in->edges[i].to == from_num)
			add_waits(in, in->edges[i].from, on);
	const struct task *from = from_num > 0 ? numbered(in->tasks, from_num) : NULL;
	if (!from || from->state == TASK_COMPLETE)
		return;
	LOOM_CLEANUP_STR char *words = task_words(from);
	if (on->named.n < MAX_WAITS_ON)
		strs_add(&on->named, words);
	else
		on->more++;
}

static char *blocked_words(const struct why_input *in, const struct task *t)
{
	struct waits_on on = { 0 };
	for (size_t i = 0; i < in->n_edges; i++)
		if (in->edges[i].to == t->num)
			add_waits(in, in->edges[i].from, &on);
	LOOM_CLEANUP_STR char *list = strs_join(&on.named, ", ");
	char *words = !on.named.n ? loom_strdup("waits for another task of its node")
	              : on.more   ? loom_asprintf("waits for %s and %zu more", list, on.more)
	                          : loom_asprintf("waits for %s", list);
	strs_fini(&on.named);
	return words;
}

static char *words(const struct why_input *in, const struct task *t)
{
	if (t->state == TASK_READY)
		return ready_words(in, t);
	if (t->state == TASK_BLOCKED)
		return blocked_words(in, t);
	return loom_asprintf("runs at %s since %lld s (attempt %lld)%s", t->provisioner_id,
	                     (long long)(in->now - t->submit_time) / 1000, (long long)t->attempt,
	                     job_ended(in->latest->status)
	                             ? "; the job has failed and waits for it to end"
	                             : "");
}

static struct json *task_reasons(const struct why_input *in, enum task_state state,
                                 struct json *list)
{
	for (size_t i = 0; i < in->tasks->n && json_len(list) < MAX_TASKS; i++) {
		const struct task *t = &in->tasks->v[i];
		if (t->state != state)
			continue;
		char id[ID_MAX];
		id_task(id, t->cluster_id, t->job_num, t->num);
		LOOM_CLEANUP_STR char *what = task_words(t), *why = words(in, t);
		LOOM_CLEANUP_STR char *reason = loom_asprintf("%s %s", what, why);
		struct json *o = json_set_str(json_new_obj(), "taskId", id);
		json_set_str(o, "state", task_state_name(t->state));
		json_push(list, json_set_str(o, "reason", reason));
	}
	return list;
}

static char *settled_words(const struct why_input *in)
{
	const char *message = in->c->message ? in->c->message : in->latest->message;
	if (in->c->status == CLUSTER_ACTIVE || in->c->status == CLUSTER_TERMINATED)
		return loom_asprintf("nothing is going on: the cluster is %s",
		                     cluster_status_name(in->c->status));
	return loom_asprintf("the last job, %s, failed: %s", in->latest->action,
	                     message ? message : "no reason given");
}

static char *sentence(const struct why_input *in, const struct json *tasks)
{
	if (in->c->status != CLUSTER_PENDING)
		return settled_words(in);
	if (in->latest->status == JOB_PAUSED)
		return loom_asprintf("%s Resume it, or abort it.",
		                     in->latest->message ? in->latest->message : "Paused.");
	if (str_eq(in->latest->phase, "plan"))
		return loom_asprintf("the job %s waits for a scheduler to plan it, since %lld s",
		                     in->latest->action,
		                     (long long)(in->now - in->latest->create_time) / 1000);
	if (json_len(tasks))
		return loom_strdup(json_get_str(json_at(tasks, 0), "reason"));
	return loom_asprintf("the job %s is %s", in->latest->action,
	                     job_status_name(in->latest->status));
}

struct json *why_answer(const struct why_input *in)
{
	struct json *tasks = json_new_arr();
	if (in->c->status == CLUSTER_PENDING) {
		static const enum task_state order[] = { TASK_RUNNING, TASK_READY, TASK_BLOCKED };
		for (size_t i = 0; i < LOOM_COUNT(order); i++)
			task_reasons(in, order[i], tasks);
	}
	LOOM_CLEANUP_STR char *reason = sentence(in, tasks);
	struct json *o = json_set_str(json_new_obj(), "status", cluster_status_name(in->c->status));
	return json_set(json_set_str(o, "reason", reason), "tasks", tasks);
}

struct why_call {
	struct identity who;
	int64_t id;
	struct cluster *c;
	struct job latest;
	struct tasks *tasks;
	struct task_edge *edges;
	struct why_input in;
};

static void call_fini(struct why_call *k)
{
	cluster_free(k->c);
	job_fini(&k->latest);
	tasks_free(k->tasks);
	loom_free(k->edges);
	k->c = NULL;
	k->tasks = NULL;
	k->edges = NULL;
}

static int why_read(struct db *db, void *arg)
{
	struct why_call *k = arg;
	call_fini(k);
	bool found;
	int rc = visible_get(db, &k->who, k->id, false, &k->c);
	if (rc)
		return rc;
	loom_assert(k->c);
	rc = job_get(db, k->id, k->c->latest_job, &k->latest, &found);
	if (!rc)
		rc = tasks_load(db, k->id, k->c->latest_job, &k->tasks);
	if (!rc)
		rc = task_edges_stored(db, k->id, k->c->latest_job, &k->edges, &k->in.n_edges);
	if (!rc)
		rc = provisioners_load(db, &k->in.provisioners, &k->in.capacity, &k->in.running);
	return rc ? rc : db_now(db, &k->in.now);
}

void clusters_why(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct why_call k = { 0 };
	if (!auth(a, req, ROLE_USER, &k.who) || !visible_id(req, "id", &k.id))
		return;
	int rc = db_read(a->db, why_read, &k);
	if (rc) {
		visible_refuse(req, rc, k.id);
	} else {
		k.in.c = k.c;
		k.in.latest = &k.latest;
		k.in.tasks = k.tasks;
		k.in.edges = k.edges;
		LOOM_CLEANUP(json_free) struct json *o = why_answer(&k.in);
		http_reply_json(req, 200, o);
	}
	call_fini(&k);
}
