/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as rows, which of them exist or ever did, and the properties that tasks and details show.
 */
#include "common/model/cluster/node.h"

#include "common/base/str.h"
#include "common/model/row.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
#define NODE_ROW(X, SEP)                                   \
	X(id, row_chars, ROW_KEY) SEP                      \
	X(cluster_id, row_int, ROW_NEW) SEP                \
	X(num, row_int, ROW_NEW) SEP                       \
	X(hostname, row_str, ROW_NEW | ROW_SAVE) SEP       \
	X(hardwaretype, row_str, ROW_NEW) SEP              \
	X(imagetype, row_str, ROW_NEW) SEP                 \
	X(flavor, row_str, ROW_NEW) SEP                    \
	X(image, row_str, ROW_NEW) SEP                     \
	X(sshuser, row_str, ROW_NEW) SEP                   \
	X(services, row_json, ROW_NEW | ROW_SAVE) SEP      \
	X(automators, row_json, ROW_NEW | ROW_SAVE) SEP    \
	X(ipaddresses, row_object, ROW_NEW | ROW_SAVE) SEP \
	X(results, row_object, ROW_NEW | ROW_SAVE) SEP     \
	X(states, row_object, ROW_NEW | ROW_SAVE)
/* clang-format on */

#define NODE_COLUMN(col, type, flags) ROW_COLUMN(struct node, col, type, flags),
static const struct row_column columns[] = { NODE_ROW(NODE_COLUMN, ) };
const struct row_table node_table = ROW_TABLE("node", struct node, columns);

void node_fini(struct node *n)
{
	row_fini(&node_table, n);
}

void nodes_free(struct nodes *ns)
{
	if (!ns)
		return;
	for (size_t i = 0; i < ns->n; i++)
		node_fini(&ns->v[i]);
	loom_free(ns->v);
	loom_free(ns);
}

const struct node *nodes_find(const struct nodes *ns, const char *id)
{
	for (size_t i = 0; i < ns->n; i++) {
		if (str_eq(ns->v[i].id, id))
			return &ns->v[i];
	}
	return NULL;
}

int nodes_insert(struct db *db, int64_t cluster, struct nodes *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		ns->v[i].cluster_id = cluster;
	return rows_insert(db, &node_table, ns->v, ns->n);
}

#define COLUMNS ROW_NAMES(NODE_ROW)

static int rows_to_nodes(const struct db_result *r, struct nodes **ret)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = loom_calloc(1, sizeof(*ns));
	int rc = 0;
	ns->v = loom_calloc(db_rows(r) + 1, sizeof(*ns->v));
	for (; !rc && ns->n < db_rows(r); ns->n++)
		rc = row_read(&node_table, r, ns->n, &ns->v[ns->n]);
	if (!rc)
		*ret = loom_take(ns);
	return rc;
}

int nodes_load(struct db *db, int64_t cluster, struct nodes **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " COLUMNS " FROM node WHERE cluster_id=? ORDER BY num",
	                   "i", cluster);
	return rc ? rc : rows_to_nodes(r, ret);
}

int node_save(struct db *db, const struct node *n)
{
	return row_save(db, &node_table, ROW_SAVE, n);
}

int nodes_of(struct db *db, const int64_t *clusters, size_t n, struct nodes **ret)
{
	static const struct db_many many = { "SELECT " COLUMNS " FROM node WHERE cluster_id IN (",
		                             "?", ",", ") ORDER BY cluster_id, num", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = db_i(clusters[i]);
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	return rc ? rc : rows_to_nodes(r, ret);
}

int nodes_save(struct db *db, struct node *const *v, size_t n)
{
	return rows_save(db, &node_table, ROW_SAVE, (const void *const *)v, n);
}

struct json *node_properties(const struct node *n)
{
	struct json *p = json_set(json_new_obj(), "ipaddresses", json_copy(n->ipaddresses));
	json_set_str(p, "hostname", n->hostname);
	json_set_int(p, "nodenum", n->num);
	json_set_str(p, "hardwaretype", n->hardwaretype);
	json_set_str(p, "imagetype", n->imagetype);
	json_set_str(p, "flavor", n->flavor);
	json_set_str(p, "image", n->image);
	json_set_str(p, "sshuser", n->sshuser);
	json_set(p, "services", json_copy(n->services));
	return json_set(p, "automators", json_copy(n->automators));
}

int node_cluster(struct db *db, const char *id, int64_t *ret)
{
	*ret = 0;
	return db_select_int(db, ret, NULL, "SELECT cluster_id FROM node WHERE id=?", "s", id);
}

int node_delete(struct db *db, const char *id)
{
	return db_exec(db, "DELETE FROM node WHERE id=?", "s", id);
}

int nodes_count(struct db *db, int64_t cluster, int64_t *ret)
{
	return db_select_int(db, ret, NULL, "SELECT COUNT(*) FROM node WHERE cluster_id=?", "i",
	                     cluster);
}

int nodes_deleted(struct db *db, int64_t cluster, int64_t job, int64_t *ret_left)
{
	int rc = db_exec(db,
	                 "DELETE n FROM node n JOIN task t ON t.node_id=n.id"
	                 " AND t.state='complete' WHERE t.cluster_id=? AND t.job_num=?"
	                 " AND t.name='DELETE'",
	                 "ii", cluster, job);
	return rc ? rc : nodes_count(db, cluster, ret_left);
}

/* Adds the only column of a query about a cluster to ret. */
static int add_column(struct db *db, const char *sql, int64_t cluster, struct strs *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, sql, "i", cluster);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		strs_add(ret, db_str(r, i, 0));
	return rc;
}

int nodes_absent(struct db *db, int64_t cluster, struct strs *hostnames)
{
	return add_column(db,
	                  "SELECT n.hostname FROM node n WHERE n.cluster_id=? AND COALESCE("
	                  "(SELECT t.name FROM task t WHERE t.node_id=n.id AND t.state='complete'"
	                  " AND t.name IN ('CREATE','DELETE')"
	                  " ORDER BY t.job_num DESC, t.num DESC LIMIT 1),"
	                  "(SELECT 'NONE' FROM task t WHERE t.node_id=n.id AND t.name='CREATE'"
	                  " LIMIT 1), 'CREATE')<>'CREATE' ORDER BY n.num",
	                  cluster, hostnames);
}

int nodes_untouched(struct db *db, int64_t cluster, struct strs *ids)
{
	/* Only nodes whose first task still exists to prove it. */
	return add_column(db,
	                  "SELECT n.id FROM node n WHERE n.cluster_id=? AND EXISTS"
	                  " (SELECT 1 FROM task t WHERE t.node_id=n.id AND t.name='CREATE'"
	                  " AND t.attempt=0) AND NOT EXISTS"
	                  " (SELECT 1 FROM task t WHERE t.node_id=n.id AND t.attempt>0)",
	                  cluster, ids);
}

struct nodes *nodes_copy(const struct nodes *ns)
{
	struct nodes *out = loom_calloc(1, sizeof(*out));
	out->n = ns->n;
	out->v = loom_calloc(ns->n + 1, sizeof(*out->v));
	for (size_t i = 0; i < ns->n; i++)
		row_copy(&node_table, &out->v[i], &ns->v[i]);
	return out;
}
