/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_draft - what a job will write: the solved machines and the planned tasks, made outside any
 * transaction and then committed, or shown, as a whole. Worker threads.
 */
#ifndef LOOM_SCHEDULER_JOB_DRAFT_H
#define LOOM_SCHEDULER_JOB_DRAFT_H

#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/placement/layout.h"
#include "services/scheduler/plan/plan_nodes.h"

struct job_draft {
	struct layout *layout; /* NULL when the machines were there already */
	struct nodes *nodes;
	struct json *service_docs; /* name -> document */
	struct plan *plan;
	int64_t solved_us; /* since the epoch: when the layout was found; 0: there was no need */
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
/* Adds the definitions of these services (NULL: none) that are not there yet, as they are now:
 * later edits do not reach the cluster. */
void job_draft_add_docs(struct json *docs, const struct json *all, const struct strs *names);

struct job_draft_rows {
	struct task *tasks; /* borrow from the job_draft and the cluster */
	size_t n;
	struct task_edge *edges;
	size_t n_edges;
	int64_t *waits; /* of the job (job.h) */
	size_t n_waits;
};
/* The tasks as rows of a job; the first task of each node that waits for nothing is ready. */
void job_draft_rows(const struct job_draft *b, const struct cluster *c, int64_t job, int64_t now,
                    struct job_draft_rows *ret);
void job_draft_rows_fini(struct job_draft_rows *r);

/* The next part of the `plan` event, of some 48 KiB: readers take them one by one, and what one
 * says of tasks or groups goes on in the next. NULL: all is told. *at is zeroed at first. */
struct job_draft_at {
	size_t node, task, group;
	int part;
};
struct json *job_draft_event(const struct job_draft *b, int64_t cluster, int64_t job,
                             const char *action, struct job_draft_at *at);
/* The answer of a preview. */
struct json *job_draft_preview(const struct job_draft *b);
struct json *job_draft_tasks(const struct job_draft *b); /* of a preview; ids count from 0 */

#endif
