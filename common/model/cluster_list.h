/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - which clusters somebody sees, and what a list shows of each (REST spec 5.4). A
 * list is read in two steps: the keys of all it shows, out of an index, and then the clusters of as
 * many keys as the caller likes at a time. Inside db_read(); worker threads.
 */
#ifndef LOOM_MODEL_CLUSTER_LIST_H
#define LOOM_MODEL_CLUSTER_LIST_H

#include "common/model/cluster.h"

/* A place in a list: newest first. */
struct cluster_key {
	int64_t create_time, id;
};

/* NULL owner means all of the tenant. All is borrowed. */
struct cluster_filter {
	const char *tenant_id, *owner_id;
	unsigned statuses;         /* bit per cluster_status; 0 = all */
	const struct json *labels; /* only clusters that have all of these; NULL: all */
	struct cluster_key after;  /* only what comes behind it; id 0: all */
	int64_t limit;             /* 0: all */
};

/* *ret owned, newest first. */
LOOM_MUST_CHECK int cluster_list_keys(struct db *db, const struct cluster_filter *f,
                                      struct cluster_key **ret, size_t *ret_n);

/* A summary as JSON text, with progress from the latest job; borrowed for the call. */
typedef void (*cluster_summary_fn)(int64_t id, const char *text, size_t len, void *arg);
/* Those of these clusters that the filter's tenant and owner may see, newest first among every
 * DB_MANY. */
LOOM_MUST_CHECK int cluster_list_summaries(struct db *db, const struct cluster_filter *f,
                                           const struct cluster_key *keys, size_t n,
                                           cluster_summary_fn fn, void *arg);

#endif
