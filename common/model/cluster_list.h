/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - which clusters somebody sees, and what a list shows of each (REST spec 5.4). A
 * list is read in two steps: the keys of all it shows, out of an index, and then the clusters of as
 * many keys as the caller likes at a time. Inside db_read(); worker threads.
 */
#ifndef LOOM_MODEL_CLUSTER_LIST_H
#define LOOM_MODEL_CLUSTER_LIST_H

#include "common/model/cluster.h"

enum cluster_order {
	CLUSTERS_NEWEST, /* by the time of their create */
	CLUSTERS_OLDEST,
	CLUSTERS_BY_NAME,
	CLUSTERS_BY_NAME_DOWN,
	CLUSTER_ORDERS_
};

/* A place in a list: behind it comes what is greater, or less, than this in its order. */
struct cluster_place {
	int64_t create_time; /* of the orders by time */
	char name[256];      /* of the others */
	int64_t id;          /* 0: the list's beginning */
};

/* NULL means any. All is borrowed. */
struct cluster_filter {
	const char *tenant_id, *owner_id; /* a tenant there must be */
	unsigned statuses;                /* bit per cluster_status; 0 = all */
	const struct json *labels;        /* only clusters that have all of these */
	const char *name;                 /* the whole of it */
	const char *template_name, *provider_name;
	const char *begins; /* of the name; in an order by name only */
	enum cluster_order order;
	struct cluster_place after;
	int64_t limit; /* 0: all */
};

struct cluster_keys {
	int64_t *ids; /* owned */
	size_t n;
	bool more;                 /* behind them */
	struct cluster_place last; /* that of the last one */
};

LOOM_MUST_CHECK int cluster_list_keys(struct db *db, const struct cluster_filter *f,
                                      struct cluster_keys *ret);

/* A summary as JSON text, with progress from the latest job; borrowed for the call. */
typedef void (*cluster_summary_fn)(int64_t id, const char *text, size_t len, void *arg);
/* Those of these clusters that the filter's tenant and owner may see, in this order. */
LOOM_MUST_CHECK int cluster_list_summaries(struct db *db, const struct cluster_filter *f,
                                           const int64_t *ids, size_t n, cluster_summary_fn fn,
                                           void *arg);

#endif
