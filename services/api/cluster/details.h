/* SPDX-License-Identifier: Apache-2.0 */
/* details - reads what is needed to show a cluster and its nodes (view.h). Inside db_read(). */
#ifndef LOOM_API_DETAILS_H
#define LOOM_API_DETAILS_H

#include "services/api/cluster/view.h"

struct details {
	struct cluster *c;
	struct job latest;
	struct nodes *nodes;
	struct tasks *tasks;
	struct db_result *failed;
	struct failure *failures; /* texts borrowed from `failed` */
};

/* *ret must be empty; call details_fini() whatever the result. CLUSTER_E_NONE. */
LOOM_MUST_CHECK int details_read_head(struct db *db, int64_t id,
                                      struct details *ret); /* the cluster and its latest job */
LOOM_MUST_CHECK int details_read(struct db *db, int64_t id, struct details *ret);
void details_fini(struct details *d); /* may be called twice */
struct view details_view(const struct details *d);

#endif
