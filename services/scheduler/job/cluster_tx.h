/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_tx - a locked cluster in a transaction, by what policy its jobs run, and what is to be
 * announced once the transaction has committed. Everything inside db_tx().
 */
#ifndef LOOM_SCHEDULER_CLUSTER_TX_H
#define LOOM_SCHEDULER_CLUSTER_TX_H

#include "common/base/str.h"
#include "common/model/callback.h"
#include "common/model/job.h"

struct cluster_tx;
struct webhook_config;
struct quarantine_config;

/* What else the end of a job means. Each in the transaction that ends it; 0 or a DB_E_ code. */
struct job_effects {
	/* What was to go is gone. */
	int (*completed)(struct db *db, struct cluster_tx *tx, const struct job *j);
	/* Nothing of it was done: what it wrote when it was asked for, or started, is taken back.
	 */
	int (*undone)(struct db *db, struct cluster_tx *tx, const struct job *j);
	/* Who wants to be told is told. */
	int (*announce)(struct db *db, struct cluster_tx *tx, const struct job *j,
	                enum callback_kind kind);
};

struct job_policy {
	int64_t tries;  /* results that may fail before a task is given up */
	int64_t losses; /* workers that may vanish before a task is given up */
	int64_t retry_base_ms, retry_cap_ms;
	int64_t replacements; /* nodes of one job that others may take the place of */
	const struct webhook_config *callbacks;     /* the operator's target; NULL: none */
	const struct quarantine_config *quarantine; /* NULL: nobody is judged */
	const struct job_effects *effects;
	const struct seal_key *secret_key; /* of secrets in documents; NULL: there are none */
	bool traced;                       /* somebody is told of spans */
};

struct cluster_tx {
	const struct job_policy *policy;
	struct cluster *c;
	int64_t now;
	int ready;         /* tasks that became ready */
	int jobs;          /* jobs that want planning */
	int callbacks;     /* messages for targets */
	struct strs spans; /* what has ended (unit_trace.h) */
};

void cluster_tx_fini(struct cluster_tx *tx);

#endif
