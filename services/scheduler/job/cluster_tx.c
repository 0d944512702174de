/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_tx - release of what a transaction on a cluster holds. */
#include "services/scheduler/job/cluster_tx.h"

void cluster_tx_fini(struct cluster_tx *tx)
{
	cluster_free(tx->c);
	tx->c = NULL;
}
