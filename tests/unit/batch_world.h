/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_world - a database of one cluster in memory, as a store of units of work; and what tests do
 * with it: a transaction that may crash, claims, results. Included by one test program.
 */
#ifndef TESTS_UNIT_BATCH_WORLD_H
#define TESTS_UNIT_BATCH_WORLD_H

#include "common/base/str.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/job/results.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a database of one cluster --------------------------------------------------------------- */

enum { MOST = 512 };

struct world {
	struct task tasks[MOST];
	size_t n_tasks;
	struct task_edge edges[4 * MOST];
	size_t n_edges;
	struct job jobs[8];
	size_t n_jobs;
	struct node nodes[MOST];
	size_t n_nodes;
	int64_t id, now, seq, last_node, next_job, latest_job;
	enum cluster_status status;
	char *message; /* of the cluster */
	const char *request;
	bool locked;
	size_t failures, judged, completed, undone, failed, succeeded;
};

static struct world *world_of(const struct unit *u)
{
	return (struct world *)u->db;
}

static struct task *task_at(struct world *w, int64_t job, int64_t num)
{
	for (size_t i = 0; i < w->n_tasks; i++) {
		if (w->tasks[i].job_num == job && w->tasks[i].num == num)
			return &w->tasks[i];
	}
	return NULL;
}

static struct task *row_at(struct world *w, int64_t job, int64_t num)
{
	struct task *t = task_at(w, job, num);
	if (!t)
		ck_abort_msg("there is no task %lld", (long long)num);
	return t;
}

static struct job *job_at(struct world *w, int64_t num)
{
	for (size_t i = 0; i < w->n_jobs; i++) {
		if (w->jobs[i].num == num)
			return &w->jobs[i];
	}
	return NULL;
}

/* Rows as a statement would answer them: each that fits one of n keys of this size. */
static void answer(const struct world *w, bool (*fits)(const struct task *t, const void *key),
                   const void *keys, size_t n, size_t size, struct tasks **ret)
{
	struct tasks *ts = loom_calloc(1, sizeof(*ts));
	ts->v = loom_calloc(w->n_tasks + 1, sizeof(*ts->v));
	for (size_t i = 0; i < w->n_tasks; i++) {
		bool any = false;
		for (size_t k = 0; !any && k < n; k++)
			any = fits(&w->tasks[i], (const char *)keys + k * size);
		if (any)
			row_copy(&task_table, &ts->v[ts->n++], &w->tasks[i]);
	}
	*ret = ts;
}

static bool is_open(const struct task *t)
{
	return t->state <= TASK_RUNNING;
}

static bool has_ref(const struct task *t, const void *arg)
{
	const struct task_ref *r = arg;
	return t->job_num == r->job && t->num == r->task;
}

static bool open_of_job(const struct task *t, const void *arg)
{
	const struct task_ref *r = arg;
	return is_open(t) && t->job_num == r->job;
}

static bool of_node(const struct task *t, const void *arg)
{
	const struct task_node *n = arg;
	return is_open(t) && !t->unmet && t->job_num == n->job && str_eq(t->node_id, n->id);
}

#define ANSWER(name, type, fits)                                                    \
	static int name(struct db *db, const type *v, size_t n, struct tasks **ret) \
	{                                                                           \
		answer((const struct world *)db, fits, v, n, sizeof(*v), ret);      \
		return 0;                                                           \
	}
ANSWER(world_tasks, struct task_ref, has_ref)
ANSWER(world_open, struct task_ref, open_of_job)
ANSWER(world_of_nodes, struct task_node, of_node)

static int world_edges(struct db *db, int64_t cluster LOOM_UNUSED, int64_t job,
                       struct task_edge **ret, size_t *ret_n)
{
	const struct world *w = (const struct world *)db;
	ck_assert_int_eq(job, w->jobs[0].num); /* only the first job has a graph */
	*ret = loom_calloc(w->n_edges + 1, sizeof(**ret));
	memcpy(*ret, w->edges, w->n_edges * sizeof(**ret));
	*ret_n = w->n_edges;
	return 0;
}

static struct job job_copy(const struct job *from)
{
	struct job j = *from;
	j.message = loom_strdup(from->message);
	job_params_copy(&j.params, &from->params);
	j.waits = loom_calloc(from->n_waits + 1, sizeof(*j.waits));
	for (size_t i = 0; i < from->n_waits; i++)
		j.waits[i] = from->waits[i];
	return j;
}

static int world_jobs(struct db *db, const struct task_ref *refs, size_t n, struct job **ret,
                      size_t *ret_n)
{
	*ret = loom_calloc(n + 1, sizeof(**ret));
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (job_at(((struct world *)db), refs[i].job))
			(*ret)[(*ret_n)++] = job_copy(job_at(((struct world *)db), refs[i].job));
	}
	return 0;
}

static int world_nodes(struct db *db, const int64_t *clusters LOOM_UNUSED, size_t n LOOM_UNUSED,
                       struct nodes **ret)
{
	struct world *w = ((struct world *)db);
	const struct nodes all = { w->nodes, w->n_nodes };
	*ret = nodes_copy(&all);
	return 0;
}

static int world_documents(struct db *db, struct cluster *c)
{
	json_free(c->request);
	c->request = unit_json(((struct world *)db)->request);
	return 0;
}

static int world_awaits(struct db *db LOOM_UNUSED, int64_t cluster LOOM_UNUSED,
                        int64_t job LOOM_UNUSED, bool *ret)
{
	*ret = false;
	return 0;
}

static int world_counts(struct db *db, int64_t cluster LOOM_UNUSED, int64_t job,
                        struct task_counts *ret)
{
	*ret = (struct task_counts){ 0 };
	for (size_t i = 0; i < ((struct world *)db)->n_tasks; i++) {
		const struct task *t = &((struct world *)db)->tasks[i];
		if (t->job_num != job)
			continue;
		ret->running += t->state == TASK_RUNNING;
		ret->open += t->state == TASK_BLOCKED || t->state == TASK_READY;
		ret->complete += t->state == TASK_COMPLETE;
		ret->failed += t->state == TASK_FAILED;
		ret->attempted += t->attempt > 0;
		ret->created += str_eq(t->name, "CREATE") && t->state == TASK_COMPLETE;
		ret->undeleted += str_eq(t->name, "DELETE") && t->state != TASK_COMPLETE;
	}
	return 0;
}

static int world_absent(struct db *db LOOM_UNUSED, int64_t cluster LOOM_UNUSED,
                        struct strs *hostnames LOOM_UNUSED)
{
	return 0;
}

static int world_forget(struct db *db LOOM_UNUSED, int64_t cluster LOOM_UNUSED,
                        int64_t job LOOM_UNUSED, int64_t *ret)
{
	*ret = 0;
	return 0;
}

static void write_node(struct unit *u, const struct unit_node *un)
{
	struct world *w = world_of(u);
	struct node *n = unit_node_at(u, un);
	const struct nodes one = { n, 1 };
	struct nodes *copy = nodes_copy(&one);
	size_t i = 0;
	while (i < w->n_nodes && w->nodes[i].num != n->num)
		i++;
	ck_assert(un->fresh == (i == w->n_nodes));
	if (!un->fresh)
		node_fini(&w->nodes[i]);
	w->n_nodes += un->fresh;
	w->nodes[i] = copy->v[0];
	copy->n = 0;
	nodes_free(copy);
}

/* Nothing else of the row may have become another. */
static void write_unmet(struct task *t, const struct task *from)
{
	ck_assert_int_eq(t->state, from->state);
	ck_assert_int_eq(t->attempt, from->attempt);
	ck_assert_int_eq(t->not_before, from->not_before);
	ck_assert_int_gt(t->unmet, from->unmet);
	t->unmet = from->unmet;
}

static int world_write_tasks(struct unit *u)
{
	struct world *w = world_of(u);
	for (size_t i = 0; i < u->n_nodes; i++)
		write_node(u, &u->nodes[i]);
	for (size_t i = 0; i < u->n_items; i++) {
		const struct unit_task *it = &u->items[i];
		struct task *t = task_at(w, it->t->job_num, it->t->num);
		ck_assert(it->fresh == (t == NULL));
		if (it->waits_less && !it->changed && !it->fresh)
			write_unmet(t, it->t);
		if (!it->changed && !it->fresh)
			continue;
		if (!t)
			t = &w->tasks[w->n_tasks++];
		else
			row_fini(&task_table, t);
		row_copy(&task_table, t, it->t);
	}
	for (size_t i = 0; i < u->n_new_edges; i++)
		w->edges[w->n_edges++] = u->new_edges[i].edge;
	w->failures += u->n_failures;
	w->judged += u->n_judged;
	return 0;
}

static int world_write_jobs(struct unit *u)
{
	struct world *w = world_of(u);
	for (size_t i = 0; i < u->n_jobs; i++) {
		const struct unit_job *j = u->jobs[i];
		struct job *to = job_at(w, j->job.num);
		if (!to)
			to = &w->jobs[w->n_jobs++];
		job_fini(to);
		*to = job_copy(&j->job);
	}
	return 0;
}

static const struct unit_store in_memory = {
	.tasks = world_tasks,
	.open_tasks = world_open,
	.tasks_of_nodes = world_of_nodes,
	.edges = world_edges,
	.jobs = world_jobs,
	.nodes = world_nodes,
	.documents = world_documents,
	.awaits_nodes = world_awaits,
	.counts = world_counts,
	.absent = world_absent,
	.forget_deleted = world_forget,
	.write_tasks = world_write_tasks,
	.write_jobs = world_write_jobs,
};

static int count_complete(struct db *db, struct cluster_tx *tx LOOM_UNUSED,
                          const struct job *j LOOM_UNUSED)
{
	((struct world *)db)->completed++;
	return 0;
}

static int count_undone(struct db *db, struct cluster_tx *tx LOOM_UNUSED,
                        const struct job *j LOOM_UNUSED)
{
	((struct world *)db)->undone++;
	return 0;
}

static int count_told(struct db *db, struct cluster_tx *tx LOOM_UNUSED,
                      const struct job *j LOOM_UNUSED, enum callback_kind kind)
{
	((struct world *)db)->succeeded += kind == CALLBACK_SUCCESS;
	((struct world *)db)->failed += kind == CALLBACK_FAILURE;
	return 0;
}

static const struct job_effects effects = { count_complete, count_undone, count_told };
static const struct job_policy policy = { .tries = 3,
	                                  .losses = 9,
	                                  .retry_base_ms = 10,
	                                  .retry_cap_ms = 10,
	                                  .replacements = 1,
	                                  .effects = &effects };

/* ---- one transaction ------------------------------------------------------------------------- */

/* Locks the cluster; false: another unit has it. */
static bool begin(struct world *w, struct unit *u)
{
	if (w->locked)
		return false;
	w->locked = true;
	struct cluster *c = loom_calloc(1, sizeof(*c));
	*c = (struct cluster){ .id = w->id,
		               .tenant_id = loom_strdup("t"),
		               .owner_id = loom_strdup("o"),
		               .name = loom_strdup("c"),
		               .status = w->status,
		               .event_seq = w->seq,
		               .last_node = w->last_node,
		               .next_job = w->next_job,
		               .latest_job = w->latest_job,
		               .now = ++w->now };
	unit_init(u, &in_memory, (struct db *)w, &policy, NULL, 1);
	(void)unit_add_cluster(u, c, NULL);
	return true;
}

/* A crash before the commit loses all that the unit did. */
static void end(struct world *w, struct unit *u, bool crash)
{
	const struct cluster *c = u->clusters[0].tx.c;
	if (!crash) {
		ck_assert_int_eq(unit_commit(u), 0);
		w->status = c->status;
		loom_free(w->message);
		w->message = loom_strdup(c->message);
		w->seq = c->event_seq;
		w->last_node = c->last_node;
		w->next_job = c->next_job;
		w->latest_job = c->latest_job;
	}
	unit_fini(u);
	w->locked = false;
}

static struct task *get(struct unit *u, int64_t num)
{
	const struct task_ref ref = { world_of(u)->id, 1, num };
	ck_assert_int_eq(unit_load_jobs(u, &ref, 1), 0);
	ck_assert_int_eq(unit_load_tasks(u, &ref, 1), 0);
	struct task *t = unit_task(u, &ref);
	ck_assert_ptr_nonnull(t);
	return t;
}

static void claim(struct world *w, int64_t num)
{
	struct unit u;
	ck_assert(begin(w, &u));
	lifecycle_claim(&u, get(&u, num), &(struct task_taker){ "p", "w", "", 1000 });
	end(w, &u, false);
}

/* What the API sends; answers the status. */
static int result_in(struct unit *u, int64_t num, int64_t attempt, const char *more)
{
	LOOM_CLEANUP_STR char *text =
		loom_asprintf("{'taskId':'1','provisionerId':'p','workerId':'w','attempt':%lld,%s}",
	                      (long long)attempt, more);
	struct loom_err err = { 0 };
	LOOM_CLEANUP(message_free)
	void *said = message_read(&messages[MSG_FINISH], unit_json(text), &err);
	int status = 0;
	ck_assert_msg(said, "%s", err.msg);
	ck_assert_int_eq(result_apply(u, get(u, num), said, false, &status), 0);
	return status;
}

static int result(struct world *w, int64_t num, int64_t attempt, const char *more)
{
	struct unit u;
	ck_assert(begin(w, &u));
	int status = result_in(&u, num, attempt, more);
	end(w, &u, false);
	return status;
}

/* ---- making one ------------------------------------------------------------------------------ */

/* A task: node, name, the numbers of those before it (0 ends them; below 0: a group), and the group
 * that it belongs to. */
struct step {
	int node;
	const char *name;
	int after[4];
	int group;
};

static void add_node(struct world *w, int num)
{
	struct node *n = &w->nodes[w->n_nodes++];
	*n = (struct node){ .num = num, .cluster_id = w->id, .hostname = loom_strdup("h") };
	snprintf(n->id, sizeof(n->id), "n%d", num);
	n->services = json_new_arr();
	n->automators = json_new_arr();
	n->ipaddresses = json_new_obj();
	n->results = json_new_obj();
	n->states = json_new_obj();
	if (num > w->last_node)
		w->last_node = num;
}

static void add_task(struct world *w, const struct step *s)
{
	struct task *t = &w->tasks[w->n_tasks++];
	bool busy = false, known = false;
	*t = (struct task){ .cluster_id = w->id,
		            .job_num = 1,
		            .num = (int64_t)w->n_tasks,
		            .tenant_id = loom_strdup("t"),
		            .node_num = s->node,
		            .service = loom_strdup("") };
	snprintf(t->name, sizeof(t->name), "%s", s->name);
	snprintf(t->node_id, sizeof(t->node_id), "n%d", s->node);
	if (s->group) {
		struct job *j = &w->jobs[0];
		w->edges[w->n_edges++] = (struct task_edge){ t->num, -s->group };
		if (j->n_waits < (size_t)s->group) {
			j->waits = loom_realloc(j->waits, (size_t)s->group * sizeof(*j->waits));
			while (j->n_waits < (size_t)s->group)
				j->waits[j->n_waits++] = 0;
		}
		j->waits[s->group - 1]++;
	}
	for (size_t i = 0; i < LOOM_COUNT(s->after) && s->after[i]; i++) {
		w->edges[w->n_edges++] = (struct task_edge){ s->after[i], t->num };
		t->unmet++;
	}
	for (size_t i = 0; i + 1 < w->n_tasks; i++)
		busy = busy || (w->tasks[i].node_num == s->node && w->tasks[i].state == TASK_READY);
	for (size_t i = 0; i < w->n_nodes; i++)
		known = known || w->nodes[i].num == s->node;
	if (!known)
		add_node(w, s->node);
	t->state = t->unmet || busy ? TASK_BLOCKED : TASK_READY;
	w->jobs[0].tasks_total++;
}

static struct world *world_new(const char *action, const struct step *steps)
{
	struct world *w = loom_calloc(1, sizeof(*w));
	*w = (struct world){ .id = 7, .now = 1000, .next_job = 2, .latest_job = 1, .n_jobs = 1 };
	w->request = "{}";
	w->status = CLUSTER_PENDING;
	w->jobs[0] = (struct job){ .cluster_id = 7, .num = 1, .status = JOB_RUNNING };
	snprintf(w->jobs[0].action, sizeof(w->jobs[0].action), "%s", action);
	snprintf(w->jobs[0].phase, sizeof(w->jobs[0].phase), "run");
	for (; steps && steps->node; steps++)
		add_task(w, steps);
	return w;
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->n_tasks; i++)
		row_fini(&task_table, &w->tasks[i]);
	for (size_t i = 0; i < w->n_jobs; i++)
		job_fini(&w->jobs[i]);
	for (size_t i = 0; i < w->n_nodes; i++)
		node_fini(&w->nodes[i]);
	loom_free(w->message);
	loom_free(w);
}

#endif
