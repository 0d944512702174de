/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - one operation on a cluster. phase says who moves it: `plan` a scheduler must solve or plan
 * it, `run` task results drive it, `end` it is over. Inside db_tx() with the cluster locked, but
 * for job_claim().
 */
#ifndef LOOM_MODEL_JOB_H
#define LOOM_MODEL_JOB_H

#include "common/model/cluster.h"
#include "common/operation/job_params.h"

struct job {
	int64_t cluster_id, num;
	char action[40]; /* "cluster_create": lower case */
	enum job_status status;
	char phase[8];
	int64_t epoch, tasks_total, tasks_done, create_time;
	char *message;
	struct job_params params;
	char then_action[40]; /* submitted when this one has failed; "" for none */
	int64_t cancel;       /* 1: workers are asked to stop its running tasks */
	int64_t *waits;       /* of group g (task.h) how many are not complete: waits[g - 1] */
	size_t n_waits;
	int64_t end_time; /* 0: it has not ended */
	/* Of new ones, borrowed; and when its planning may be claimed, the earliest first. */
	char *tenant_id;
	int64_t lease_until;
};
extern const struct row_table job_table;

void job_fini(struct job *j);

/* Writes a new job in phase plan and makes it the cluster's latest; appends its event. params may
 * be NULL. The cluster is saved by the caller. */
LOOM_MUST_CHECK int job_add(struct db *db, struct cluster *c, const char *action,
                            const struct job_params *params, int64_t now, int64_t *ret_num);
/* The two parts of it: the job as it will be, with its event; its row. */
void job_new(struct cluster *c, const char *action, const struct job_params *params, int64_t now,
             struct job *ret);
LOOM_MUST_CHECK int job_insert(struct db *db, const struct cluster *c, const struct job *j);
LOOM_MUST_CHECK int job_save_params(struct db *db, const struct job *j);
/* Asks workers to stop its running tasks; then_action is submitted when they have (NULL: nothing).
 * In memory. */
void job_set_cancelled(struct job *j, const char *then_action);
LOOM_MUST_CHECK int job_cancelled(struct db *db, int64_t cluster, int64_t num, bool *ret);
/* Is the cluster's newest job the one added with this text as "ask" in its params? So a transaction
 * whose commit went unheard knows its own job from another's of the same number. ask may be NULL.
 */
LOOM_MUST_CHECK int job_asked(struct db *db, const struct cluster *c, const char *ask, bool *ret);
LOOM_MUST_CHECK int job_lock(struct db *db, int64_t cluster, int64_t num, struct job *ret,
                             bool *found);
LOOM_MUST_CHECK int job_get(struct db *db, int64_t cluster, int64_t num, struct job *ret,
                            bool *found);
/* The only way to change a status: asserts that the step is allowed; sets the phase; appends the
 * event. The row is written by job_save(). */
void job_transition(struct cluster *c, struct job *j, enum job_status to, const char *message,
                    int64_t now);
/* All that changes of a job. */
LOOM_MUST_CHECK int job_save(struct db *db, const struct job *j);

/* Jobs of locked clusters (ref.task is not used), in no order; *ret and each of it owned. */
LOOM_MUST_CHECK int jobs_get(struct db *db, const struct task_ref *refs, size_t n, struct job **ret,
                             size_t *ret_n);
/* The counters of jobs read in this transaction; appends no events. */
LOOM_MUST_CHECK int jobs_save_progress(struct db *db, struct job *const *v, size_t n);
void job_event(struct cluster *c, const struct job *j, int64_t now);

/* Whose turn it is to have a job planned: the tenant that comes behind `after` in the order of ids
 * and, when there is none, the first. Only those count that have a job in phase plan that nobody is
 * at. *ret_found false when there is none. One look into an index, however many jobs wait. */
LOOM_MUST_CHECK int job_turn(struct db_pool *p, const char *after, char *ret, size_t size,
                             bool *ret_found);
struct job_claimant {
	const char *owner, *tenant;
	int64_t lease_ms;
};
/* Claims the tenant's oldest job in phase plan whose lease is over, for owner, with a new epoch.
 * Its own transaction. *ret_found false when there is none. */
LOOM_MUST_CHECK int job_claim(struct db_pool *p, const struct job_claimant *by, struct job *ret,
                              bool *ret_found);
/* The claim lasts lease_ms from now on; *ret_ours false when another has claimed it. */
LOOM_MUST_CHECK int job_extend_claim(struct db *db, const struct job *claimed, int64_t lease_ms,
                                     bool *ret_ours);
/* The owner is gone: what it had claimed may be claimed at once. Should it live after all, the
 * epoch stops it. */
LOOM_MUST_CHECK int job_release_claims(struct db *db, const char *owner, int64_t *ret_n);
/* Is this claim still ours: phase plan and the same epoch, the row locked. */
LOOM_MUST_CHECK int job_check_claim(struct db *db, const struct job *claimed, bool *ret_ours);

/* Who is at it: the scheduler that plans it, the user who has paused it. */
struct job_hold {
	char owner[256]; /* "" nobody yet */
	int64_t planned_until;
	char paused_by[256]; /* "" nobody */
	int64_t paused_at;
};
LOOM_MUST_CHECK int job_hold_get(struct db *db, int64_t cluster, int64_t num, struct job_hold *ret);
/* user NULL: it goes on. */
LOOM_MUST_CHECK int job_hold_pause(struct db *db, const struct job *j, const char *user,
                                   int64_t now);

#endif
