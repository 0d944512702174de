/* SPDX-License-Identifier: Apache-2.0 */
/* details - all that is read of a cluster to show it and its nodes (view.h). Inside db_read(). */
#ifndef LOOM_API_DETAILS_H
#define LOOM_API_DETAILS_H

#include "services/api/view.h"

struct details {
	struct cluster *c;
	struct job latest;
	struct nodes *nodes;
	struct tasks *tasks;
	struct db_result *failed;
	struct failure *failures; /* out of failed */
};

/* *ret is empty before; details_fini() it, whatever comes of it. CLUSTER_E_NONE. */
LOOM_MUST_CHECK int details_read_head(struct db *db, int64_t id,
                                      struct details *ret); /* cluster and job */
LOOM_MUST_CHECK int details_read(struct db *db, int64_t id, struct details *ret);
void details_fini(struct details *d); /* may be repeated */
struct view details_view(const struct details *d);

#endif
