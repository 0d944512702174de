/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blueprint - what a job will write: the solved machines and the planned tasks, made outside any
 * transaction and then committed, or shown, as a whole. Worker threads.
 */
#ifndef LOOM_SCHEDULER_BLUEPRINT_H
#define LOOM_SCHEDULER_BLUEPRINT_H

#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/layout.h"
#include "services/scheduler/planner.h"

struct blueprint {
	struct layout *layout; /* NULL when the machines were there already */
	struct nodes *nodes;
	struct json *service_docs; /* name -> document */
	struct plan *plan;
};

struct blueprint_ask {
	const char *tenant_id, *cluster_name;
	int64_t cluster_id;
	const struct json *request, *template, *provider;
};

void blueprint_fini(struct blueprint *b);

/* Solves and plans a new cluster. 0, a DB_E_ code, or 4xx with err: the reason for the user. */
LOOM_MUST_CHECK int blueprint_create(struct db_pool *p, const struct blueprint_ask *ask,
                                     struct blueprint *b, struct loom_err *err);
/* Plans an action on the machines a cluster has; service_docs borrowed. Else as above. */
LOOM_MUST_CHECK int blueprint_change(struct db_pool *p, int64_t cluster, enum plan_action action,
                                     const struct json *service_docs, struct blueprint *b,
                                     struct loom_err *err);

/* The tasks as rows of a job; the first task of each node that waits for nothing is ready.
 * *ret and *ret_edges returned owned (tasks borrow from b and c). */
void blueprint_rows(const struct blueprint *b, const struct cluster *c, int64_t job, int64_t now,
                    struct task **ret, struct task_edge **ret_edges, size_t *ret_n_edges);
/* The `plan` event (job > 0), and the answer of a preview. */
struct json *blueprint_event(const struct blueprint *b, int64_t cluster, int64_t job,
                             const char *action);
struct json *blueprint_preview(const struct blueprint *b);

#endif
