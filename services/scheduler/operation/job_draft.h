/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_draft - the rows that a job will write: solved machines and planned tasks, made outside any
 * transaction and then committed, or shown, as a whole. Worker threads.
 */
#ifndef LOOM_SCHEDULER_JOB_DRAFT_H
#define LOOM_SCHEDULER_JOB_DRAFT_H

#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "services/scheduler/placement/layout.h"
#include "services/scheduler/plan/plan_nodes.h"

struct job_draft {
	struct layout *layout; /* NULL if the machines existed already */
	struct nodes *nodes;
	struct json *service_docs; /* name -> document */
	struct plan *plan;
	int64_t solved_us; /* time of the layout, since the epoch; 0: none was solved */
};

struct job_draft_ask {
	const char *tenant_id, *cluster_name;
	int64_t cluster_id;
	const struct json *request, *template, *provider;
};

void job_draft_fini(struct job_draft *b);

/* Solves and plans a new cluster. 0, a DB_E_ code, or 4xx with err: the reason for the user. */
LOOM_MUST_CHECK int job_draft_create(struct db_pool *p, const struct job_draft_ask *ask,
                                     struct job_draft *b, struct loom_err *err);
void job_draft_add_nodes(struct nodes *ns, const struct layout_node *v, size_t n);
/* Adds the present definitions of those services (NULL: none) that docs does not have yet. Later
 * edits of a definition do not reach the cluster. */
void job_draft_add_docs(struct json *docs, const struct json *all, const struct strs *names);

struct job_draft_rows {
	struct task *tasks; /* borrow from the job_draft and the cluster */
	size_t n;
	struct task_edge *edges;
	size_t n_edges;
	int64_t *waits; /* see job.waits (job.h) */
	size_t n_waits;
};
/* Makes the tasks as rows of a job; the first task of each node without open waits is ready. */
void job_draft_rows(const struct job_draft *b, const struct cluster *c, int64_t job, int64_t now,
                    struct job_draft_rows *ret);
void job_draft_rows_fini(struct job_draft_rows *r);

/* The next part of the `plan` event, about 48 KiB long: readers take the parts one by one, and the
 * lists of tasks and groups continue from part to part. NULL: no part is left. Zero *at at
 * first. */
struct job_draft_at {
	size_t node, task, group;
	int part;
};
struct json *job_draft_event(const struct job_draft *b, int64_t cluster, int64_t job,
                             const char *action, struct job_draft_at *at);
/* The answer to a preview. */
struct json *job_draft_preview(const struct job_draft *b);
struct json *job_draft_tasks(const struct job_draft *b); /* for a preview; ids count from 0 */

#endif
