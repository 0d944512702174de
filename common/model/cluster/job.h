/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - one operation on a cluster. phase says what moves it: `plan`: a scheduler must solve or
 * plan it; `run`: task results drive it; `end`: it is over. Inside db_tx() with the cluster locked,
 * except job_claim().
 */
#ifndef LOOM_MODEL_JOB_H
#define LOOM_MODEL_JOB_H

#include "common/model/cluster/cluster.h"
#include "common/model/list_part.h"
#include "common/operation/job_params.h"

struct job {
	int64_t cluster_id, num;
	char action[40]; /* "cluster_create": lower case */
	enum job_status status;
	char phase[8];
	int64_t epoch, tasks_total, tasks_done, create_time;
	char *message;
	struct job_params params;
	char then_action[40]; /* action to submit if this job fails; "" for none */
	int64_t cancel;       /* 1: workers are asked to stop its running tasks */
	int64_t *waits;       /* waits[g - 1]: how many tasks of group g (task.h) are not
	                       * complete */
	size_t n_waits;
	int64_t end_time; /* 0: it has not ended */
	/* For new jobs, borrowed; lease_until: when planning may be claimed, the earliest first. */
	char *tenant_id;
	int64_t lease_until;
};
extern const struct row_table job_table;

void job_fini(struct job *j);

/* Inserts a new job in phase plan, makes it the cluster's latest, and appends its event. params may
 * be NULL. The caller saves the cluster. */
LOOM_MUST_CHECK int job_add(struct db *db, struct cluster *c, const char *action,
                            const struct job_params *params, int64_t now, int64_t *ret_num);
/* The two halves of job_add(): fills in the job, with its event; inserts its row. */
void job_new(struct cluster *c, const char *action, const struct job_params *params, int64_t now,
             struct job *ret);
LOOM_MUST_CHECK int job_insert(struct db *db, const struct cluster *c, const struct job *j);
LOOM_MUST_CHECK int job_save_params(struct db *db, const struct job *j);
/* Asks workers to stop its running tasks; then_action is submitted afterwards (NULL: nothing). In
 * memory. */
void job_set_cancelled(struct job *j, const char *then_action);
LOOM_MUST_CHECK int job_cancelled(struct db *db, int64_t cluster, int64_t num, bool *ret);
/* Was the cluster's newest job added with this text as "ask" in its params? A transaction whose
 * commit was not confirmed thus recognizes its own job. ask may be NULL. */
LOOM_MUST_CHECK int job_asked(struct db *db, const struct cluster *c, const char *ask, bool *ret);
LOOM_MUST_CHECK int job_lock(struct db *db, int64_t cluster, int64_t num, struct job *ret,
                             bool *found);
LOOM_MUST_CHECK int job_get(struct db *db, int64_t cluster, int64_t num, struct job *ret,
                            bool *found);
/* The numbers of a cluster's jobs; action: as shown, in capitals; NULL: any. part->after is a
 * number as text; *ret owned. */
LOOM_MUST_CHECK int job_numbers(struct db *db, int64_t cluster, const char *action,
                                const struct list_part *part, struct db_result **ret);
/* The only way to change a status: asserts that the step is allowed; sets the phase; appends the
 * event. The row is written by job_save(). */
void job_transition(struct cluster *c, struct job *j, enum job_status to, const char *message,
                    int64_t now);
/* Writes all columns that change. */
LOOM_MUST_CHECK int job_save(struct db *db, const struct job *j);

/* Jobs of locked clusters (ref.task is not used), unordered; *ret and its members are owned. */
LOOM_MUST_CHECK int jobs_get(struct db *db, const struct task_ref *refs, size_t n, struct job **ret,
                             size_t *ret_n);
/* Writes the counters of jobs read in this transaction; appends no events. */
LOOM_MUST_CHECK int jobs_save_progress(struct db *db, struct job *const *v, size_t n);
void job_event(struct cluster *c, const struct job *j, int64_t now);

/* Whose job to plan next: the tenant after `after` in the order of ids, or else the first, among
 * tenants with an unclaimed job in phase plan. *ret_found false when there is none. One index
 * look-up, however many jobs wait. */
LOOM_MUST_CHECK int job_turn(struct db_pool *p, const char *after, char *ret, size_t size,
                             bool *ret_found);
struct job_claimant {
	const char *owner, *tenant;
	int64_t lease_ms;
};
/* Claims the tenant's oldest job in phase plan with an expired lease, for owner, with a new epoch.
 * Its own transaction. *ret_found false when there is none. */
LOOM_MUST_CHECK int job_claim(struct db_pool *p, const struct job_claimant *by, struct job *ret,
                              bool *ret_found);
/* Extends the claim to lease_ms from now; *ret_ours false if another scheduler has claimed it. */
LOOM_MUST_CHECK int job_extend_claim(struct db *db, const struct job *claimed, int64_t lease_ms,
                                     bool *ret_ours);
/* The owner is gone: its claims become free at once. If it is alive after all, the epoch stops
 * it. */
LOOM_MUST_CHECK int job_release_claims(struct db *db, const char *owner, int64_t *ret_n);
/* The database's clock was set back to now: a job that would wait longer than for a claim, by more
 * than this, is claimed when that would end. */
#define JOB_REWIND_MS 10000
LOOM_MUST_CHECK int jobs_rewind(struct db *db, int64_t now, int64_t lease_ms);
/* Is the claim still ours (phase plan and the same epoch)? Locks the row. */
LOOM_MUST_CHECK int job_check_claim(struct db *db, const struct job *claimed, bool *ret_ours);

/* The scheduler that plans a job, and the user who paused it. */
struct job_hold {
	char owner[256]; /* "" nobody yet */
	int64_t planned_until;
	char paused_by[256]; /* "" nobody */
	int64_t paused_at;
};
LOOM_MUST_CHECK int job_hold_get(struct db *db, int64_t cluster, int64_t num, struct job_hold *ret);
/* user NULL: resumes it. */
LOOM_MUST_CHECK int job_hold_pause(struct db *db, const struct job *j, const char *user,
                                   int64_t now);

#endif
