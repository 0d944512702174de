/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine - how one task's end moves its job and cluster. Every function runs inside db_tx() on a
 * change begun with engine_begin(), which holds the cluster's row lock.
 */
#ifndef LOOM_SCHEDULER_ENGINE_H
#define LOOM_SCHEDULER_ENGINE_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "common/model/task.h"

struct webhook_config;
struct quarantine_config;

struct engine_policy {
	int64_t tries;  /* results that may fail before a task is given up */
	int64_t losses; /* workers that may vanish before a task is given up */
	int64_t retry_base_ms, retry_cap_ms;
	int64_t replacements; /* machines of one job that others may take the place of */
	const struct webhook_config *callbacks;     /* the operator's target; NULL: none */
	const struct quarantine_config *quarantine; /* NULL: nobody is judged */
};

struct change {
	const struct engine_policy *policy;
	struct cluster *c;
	int64_t now;
	int ready;     /* tasks that became ready */
	int jobs;      /* jobs that want planning */
	int callbacks; /* messages for targets */
};

struct task_result {
	int64_t status; /* 0 is success */
	bool never_again;
	const char *message, *out, *err;
	const struct json *result, *ipaddresses; /* may be NULL */
	const char *hostname;
};

LOOM_MUST_CHECK int engine_begin(struct db *db, int64_t cluster, struct change *ch);
LOOM_MUST_CHECK int engine_commit(struct db *db, struct change *ch); /* saves the cluster's row */
void engine_fini(struct change *ch);

/* A running task reported (t->state is running). */
LOOM_MUST_CHECK int engine_finish(struct db *db, struct change *ch, struct task *t,
                                  const struct task_result *res);
/* The node's stored results take what the plug-in said; a deleted machine's are forgotten. Results
 * that are too many make it a failure. True: an event tells of the node. */
bool engine_to_node(struct node *n, const struct task *t, struct task_result *res);
LOOM_MUST_CHECK int engine_node_event(struct db *db, struct change *ch, const struct node *n);
/* Did the provider keep machines that this job was to delete? Then it cannot complete, and ends
 * when nothing is left to be done. */
bool engine_has_kept(const struct job *j);
/* A running task's worker stopped renewing its lease. */
LOOM_MUST_CHECK int engine_lost(struct db *db, struct change *ch, struct task *t);
/* Puts a new job on the cluster, which waits for it from now on. */
LOOM_MUST_CHECK int engine_submit(struct db *db, struct change *ch, const char *action,
                                  const struct json *params);
/* Ends a job that has not ended: nothing more is handed out, what runs is asked to stop, and when
 * it has, then_action follows (NULL: the cluster is left as it is). */
LOOM_MUST_CHECK int engine_abort(struct db *db, struct change *ch, struct job *j, const char *why,
                                 const char *then_action);
/* What follows a job that has failed, but whose last task still runs: then_action, and the task is
 * asked to stop. */
LOOM_MUST_CHECK int engine_follow(struct db *db, struct change *ch, struct job *j,
                                  const char *then_action);
/* A job that was planned to have no task at all is complete. */
LOOM_MUST_CHECK int engine_empty_job(struct db *db, struct change *ch, struct job *j);
/* A ready task cannot even be handed out. */
LOOM_MUST_CHECK int engine_refuse(struct db *db, struct change *ch, struct task *t,
                                  const char *message);

#endif
