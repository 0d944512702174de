/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_tx - a locked cluster in a transaction, the policy for its jobs, and the announcements to
 * make once the transaction has committed. Everything runs inside db_tx().
 */
#ifndef LOOM_SCHEDULER_CLUSTER_TX_H
#define LOOM_SCHEDULER_CLUSTER_TX_H

#include "common/base/str.h"
#include "common/model/callback/callback.h"
#include "common/model/cluster/job.h"
#include "common/model/keys/keyring.h"

struct cluster_tx;
struct webhook_config;
struct quarantine_config;

/* Further effects of the end of a job, each in the transaction that ends it; 0 or a DB_E_ code. */
struct job_effects {
	/* The job is complete: removes what it was to remove. */
	int (*completed)(struct db *db, struct cluster_tx *tx, const struct job *j);
	/* The job did nothing: undoes what its request or its start wrote. */
	int (*undone)(struct db *db, struct cluster_tx *tx, const struct job *j);
	/* Queues the messages for callback targets. */
	int (*announce)(struct db *db, struct cluster_tx *tx, const struct job *j,
	                enum callback_kind kind);
};

struct job_policy {
	int64_t tries;  /* failed results before a task is given up */
	int64_t losses; /* vanished workers before a task is given up */
	int64_t retry_base_ms, retry_cap_ms;
	int64_t replacements;                       /* nodes per job that may be replaced */
	const struct webhook_config *callbacks;     /* the operator's target; NULL: none */
	const struct quarantine_config *quarantine; /* NULL: no provisioner is quarantined */
	const struct job_effects *effects;
	struct keyring *ring; /* for secrets in documents; NULL: no secrets */
	bool traced;          /* are spans exported? */
};

struct cluster_tx {
	const struct job_policy *policy;
	struct cluster *c;
	int64_t now;
	int ready;         /* tasks that became ready */
	int jobs;          /* jobs to plan */
	int callbacks;     /* messages for targets */
	struct strs spans; /* spans that ended (unit_trace.h) */
};

void cluster_tx_fini(struct cluster_tx *tx);

#endif
