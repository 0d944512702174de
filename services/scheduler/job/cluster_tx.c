/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_tx - begin, commit and release of a transaction on one cluster. */
#include "services/scheduler/job/cluster_tx.h"

int cluster_tx_begin(struct db *db, int64_t cluster, struct cluster_tx *tx)
{
	cluster_tx_fini(tx);
	tx->ready = tx->jobs = tx->callbacks = 0;
	int rc = cluster_lock(db, cluster, &tx->c);
	tx->now = rc ? 0 : tx->c->now;
	return rc;
}

int cluster_tx_commit(struct db *db, struct cluster_tx *tx)
{
	return cluster_save(db, tx->c);
}

void cluster_tx_fini(struct cluster_tx *tx)
{
	cluster_free(tx->c);
	tx->c = NULL;
}
