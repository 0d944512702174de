/* SPDX-License-Identifier: Apache-2.0 */
/* node - the nodes of a cluster. Inside db_tx() with the cluster locked, or db_read(). */
#ifndef LOOM_MODEL_NODE_H
#define LOOM_MODEL_NODE_H

#include "common/base/str.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/row.h"

struct node {
	char id[37];
	int64_t num, cluster_id; /* nodes_insert() sets cluster_id */
	char *hostname, *hardwaretype, *imagetype, *flavor, *image, *sshuser;
	struct json *services, *automators; /* arrays of names */
	struct json *ipaddresses, *results; /* objects */
	struct json *states; /* object: service -> "installed", "running", "stopped" */
};
extern const struct row_table node_table;

struct nodes {
	struct node *v;
	size_t n;
};

void node_fini(struct node *n);
void nodes_free(struct nodes *ns);
const struct node *nodes_find(const struct nodes *ns, const char *id); /* NULL if it does not
                                                                        * exist */

LOOM_MUST_CHECK int nodes_insert(struct db *db, int64_t cluster, struct nodes *ns);
/* Sorted by number. */
LOOM_MUST_CHECK int nodes_load(struct db *db, int64_t cluster, struct nodes **ret);
/* The nodes of several clusters, sorted by cluster and number. */
LOOM_MUST_CHECK int nodes_of(struct db *db, const int64_t *clusters, size_t n, struct nodes **ret);
/* Writes rows that were read in this transaction, the same columns as node_save(). */
LOOM_MUST_CHECK int nodes_save(struct db *db, struct node *const *v, size_t n);
/* Writes hostname, ipaddresses, results, states, services and automators. */
LOOM_MUST_CHECK int node_save(struct db *db, const struct node *n);

/* The cluster of a node; 0: none. */
LOOM_MUST_CHECK int node_cluster(struct db *db, const char *id, int64_t *ret);
LOOM_MUST_CHECK int node_delete(struct db *db, const char *id);
LOOM_MUST_CHECK int nodes_count(struct db *db, int64_t cluster, int64_t *ret);
/* Deletes the rows of nodes that a job has deleted; *ret_left: how many nodes remain. */
LOOM_MUST_CHECK int nodes_deleted(struct db *db, int64_t cluster, int64_t job, int64_t *ret_left);
/* Host names of nodes that are known not to exist: never created, or deleted since. */
LOOM_MUST_CHECK int nodes_absent(struct db *db, int64_t cluster, struct strs *hostnames);
/* Ids of nodes that were certainly never begun: none of their tasks was handed out. */
LOOM_MUST_CHECK int nodes_untouched(struct db *db, int64_t cluster, struct strs *ids);
struct nodes *nodes_copy(const struct nodes *ns);

/* The ten properties that tasks and details show (REST spec 5.5, 10.1). */
struct json *node_properties(const struct node *n);

LOOM_DEFINE_CLEANUP(struct nodes *, nodes_free)

#endif
