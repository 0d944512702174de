/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - the clusters that a caller sees, and their summaries for lists (REST spec 5.4). A
 * list is read in two steps: all its keys, from an index, and then the clusters of as many keys as
 * the caller likes at a time. Inside db_read(); worker threads.
 */
#ifndef LOOM_MODEL_CLUSTER_LIST_H
#define LOOM_MODEL_CLUSTER_LIST_H

#include "common/model/cluster/cluster.h"

enum cluster_order {
	CLUSTERS_NEWEST, /* by creation time */
	CLUSTERS_OLDEST,
	CLUSTERS_BY_NAME,
	CLUSTERS_BY_NAME_DOWN,
	CLUSTER_ORDERS_
};

/* A place in a list: the next item is greater, or less, than this in the list's order. */
struct cluster_place {
	int64_t create_time; /* for orders by time */
	char name[256];      /* for orders by name */
	int64_t id;          /* 0: start of the list */
};

/* NULL means any. Everything is borrowed. */
struct cluster_filter {
	const char *tenant_id, *owner_id; /* tenant_id must be set */
	unsigned statuses;                /* bit per cluster_status; 0 = all */
	const struct json *labels;        /* clusters that have all of these */
	const char *name;                 /* complete name */
	const char *template_name, *provider_name;
	const char *begins; /* prefix of the name; only in an order by name */
	enum cluster_order order;
	struct cluster_place after;
	int64_t limit; /* 0: unlimited */
	/* The caller needs only id, name, ownerId, times, status, numNodes and progress of a
	 * summary: the rest is not read, and empty. */
	bool brief;
};

struct cluster_keys {
	int64_t *ids; /* owned */
	size_t n;
	bool more;                 /* others follow */
	struct cluster_place last; /* of the last key */
};

LOOM_MUST_CHECK int cluster_list_keys(struct db *db, const struct cluster_filter *f,
                                      struct cluster_keys *ret);

/* A number that changes with each event of these clusters; owner NULL: all of the tenant. It is a
 * sum that grows, except when clusters are deleted. */
LOOM_MUST_CHECK int cluster_list_tally(struct db *db, const char *tenant, const char *owner,
                                       int64_t *ret);

/* A summary as JSON text, with progress from the latest job; borrowed for the call. */
typedef void (*cluster_summary_fn)(int64_t id, const char *text, size_t len, void *arg);
/* Calls fn for those of these clusters that the filter's tenant and owner may see, in this
 * order. */
LOOM_MUST_CHECK int cluster_list_summaries(struct db *db, const struct cluster_filter *f,
                                           const int64_t *ids, size_t n, cluster_summary_fn fn,
                                           void *arg);

#endif
