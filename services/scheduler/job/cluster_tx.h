/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_tx - a transaction on one cluster, whose row it holds locked, and what is to be announced
 * once it has committed. Everything inside db_tx().
 */
#ifndef LOOM_SCHEDULER_CLUSTER_TX_H
#define LOOM_SCHEDULER_CLUSTER_TX_H

#include "common/model/cluster.h"

struct webhook_config;
struct quarantine_config;

struct job_policy {
	int64_t tries;  /* results that may fail before a task is given up */
	int64_t losses; /* workers that may vanish before a task is given up */
	int64_t retry_base_ms, retry_cap_ms;
	int64_t replacements; /* nodes of one job that others may take the place of */
	const struct webhook_config *callbacks;     /* the operator's target; NULL: none */
	const struct quarantine_config *quarantine; /* NULL: nobody is judged */
};

struct cluster_tx {
	const struct job_policy *policy;
	struct cluster *c;
	int64_t now;
	int ready;     /* tasks that became ready */
	int jobs;      /* jobs that want planning */
	int callbacks; /* messages for targets */
};

LOOM_MUST_CHECK int cluster_tx_begin(struct db *db, int64_t cluster, struct cluster_tx *tx);
LOOM_MUST_CHECK int cluster_tx_commit(struct db *db, struct cluster_tx *tx); /* saves its row */
void cluster_tx_fini(struct cluster_tx *tx);

#endif
