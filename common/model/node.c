/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/node.h"

#include "common/base/str.h"
#include "common/model/row.h"

#include <stdio.h>
#include <string.h>

void node_fini(struct node *n)
{
	loom_free(n->hostname);
	loom_free(n->hardwaretype);
	loom_free(n->imagetype);
	loom_free(n->flavor);
	loom_free(n->image);
	loom_free(n->sshuser);
	json_free(n->services);
	json_free(n->automators);
	json_free(n->ipaddresses);
	json_free(n->results);
	json_free(n->states);
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
	for (size_t i = 0; i < ns->n; i++)
		if (str_eq(ns->v[i].id, id))
			return &ns->v[i];
	return NULL;
}

#define NEW_VALUES 11

int nodes_insert(struct db *db, int64_t cluster, const struct nodes *ns)
{
	static const struct db_many many = {
		"INSERT INTO node (id, cluster_id, num, hostname, hardwaretype, imagetype, flavor,"
		" image, sshuser, services, automators, ipaddresses, results, states) VALUES ",
		"(?,?,?,?,?,?,?,?,?,?,?,'{}','{}','{}')", ",", "", NEW_VALUES
	};
	struct db_value *values = loom_calloc(ns->n + 1, NEW_VALUES * sizeof(*values));
	char **texts = loom_calloc(ns->n + 1, 2 * sizeof(char *));
	for (size_t i = 0; i < ns->n; i++) {
		const struct node *n = &ns->v[i];
		texts[2 * i] = json_text(n->services);
		texts[2 * i + 1] = json_text(n->automators);
		const struct db_value row[NEW_VALUES] = {
			db_s(n->id),        db_i(cluster),          db_i(n->num),
			db_s(n->hostname),  db_s(n->hardwaretype),  db_s(n->imagetype),
			db_s(n->flavor),    db_s(n->image),         db_s(n->sshuser),
			db_s(texts[2 * i]), db_s(texts[2 * i + 1]),
		};
		memcpy(values + i * NEW_VALUES, row, sizeof(row));
	}
	int rc = db_exec_many(db, &many, values, ns->n);
	for (size_t i = 0; i < 2 * ns->n; i++)
		loom_free(texts[i]);
	loom_free(texts);
	loom_free(values);
	return rc;
}

static struct nodes *rows_to_nodes(const struct db_result *r)
{
	struct nodes *ns = loom_calloc(1, sizeof(*ns));
	ns->n = db_rows(r);
	ns->v = loom_calloc(ns->n ? ns->n : 1, sizeof(*ns->v));
	for (size_t i = 0; i < ns->n; i++) {
		struct node *n = &ns->v[i];
		snprintf(n->id, sizeof(n->id), "%s", db_str(r, i, 0));
		n->num = db_int(r, i, 1);
		n->hostname = loom_strdup(db_str(r, i, 2));
		n->hardwaretype = loom_strdup(db_str(r, i, 3));
		n->imagetype = loom_strdup(db_str(r, i, 4));
		n->flavor = loom_strdup(db_str(r, i, 5));
		n->image = loom_strdup(db_str(r, i, 6));
		n->sshuser = loom_strdup(db_str(r, i, 7));
		n->services = row_json_at(r, i, 8);
		n->automators = row_json_at(r, i, 9);
		n->ipaddresses = row_json_at(r, i, 10);
		n->results = row_json_at(r, i, 11);
		n->states = row_json_at(r, i, 12);
		n->cluster_id = db_int(r, i, 13);
	}
	return ns;
}

#define COLUMNS                                                                                     \
	"id, num, hostname, hardwaretype, imagetype, flavor, image, sshuser, services, automators," \
	" ipaddresses, results, states, cluster_id"

int nodes_load(struct db *db, int64_t cluster, struct nodes **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " COLUMNS " FROM node WHERE cluster_id=? ORDER BY num",
	                   "i", cluster);
	if (!rc)
		*ret = rows_to_nodes(r);
	return rc;
}

int node_load(struct db *db, const char *id, struct nodes **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " COLUMNS " FROM node WHERE id=?", "s", id);
	if (!rc)
		*ret = rows_to_nodes(r);
	return rc;
}

int node_save(struct db *db, const struct node *n)
{
	LOOM_CLEANUP_STR char *ips = json_text(n->ipaddresses);
	LOOM_CLEANUP_STR char *results = json_text(n->results);
	LOOM_CLEANUP_STR char *states = json_text(n->states);
	LOOM_CLEANUP_STR char *services = json_text(n->services);
	LOOM_CLEANUP_STR char *automators = json_text(n->automators);
	return db_exec(db,
	               "UPDATE node SET hostname=?, ipaddresses=?, results=?, states=?, services=?,"
	               " automators=? WHERE id=?",
	               "sssssss", n->hostname, ips, results, states, services, automators, n->id);
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
	if (!rc)
		*ret = rows_to_nodes(r);
	return rc;
}

#define VALUES 14

int nodes_save(struct db *db, struct node *const *v, size_t n)
{
	/* The rows are there and their clusters locked: none is ever inserted. */
	static const struct db_many many = {
		"INSERT INTO node (" COLUMNS ") VALUES ", "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", ",",
		" ON DUPLICATE KEY UPDATE hostname=VALUES(hostname),"
		" ipaddresses=VALUES(ipaddresses), results=VALUES(results),"
		" states=VALUES(states), services=VALUES(services), automators=VALUES(automators)",
		VALUES
	};
	struct db_value *values = loom_calloc(n + 1, VALUES * sizeof(*values));
	struct strs texts = { 0 };
	for (size_t i = 0; i < n; i++) {
		const struct json *const json[] = { v[i]->services, v[i]->automators,
			                            v[i]->ipaddresses, v[i]->results,
			                            v[i]->states };
		for (size_t k = 0; k < LOOM_COUNT(json); k++) {
			LOOM_CLEANUP_STR char *text = json_text(json[k]);
			strs_add(&texts, text);
		}
	}
	for (size_t i = 0; i < n; i++) {
		char **const t = texts.v + 5 * i;
		const struct db_value row[VALUES] = {
			db_s(v[i]->id),
			db_i(v[i]->num),
			db_s(v[i]->hostname),
			db_s(v[i]->hardwaretype),
			db_s(v[i]->imagetype),
			db_s(v[i]->flavor),
			db_s(v[i]->image),
			db_s(v[i]->sshuser),
			db_s(t[0]),
			db_s(t[1]),
			db_s(t[2]),
			db_s(t[3]),
			db_s(t[4]),
			db_i(v[i]->cluster_id),
		};
		memcpy(values + VALUES * i, row, sizeof(row));
	}
	int rc = db_upsert_many(db, &many, values, n);
	strs_fini(&texts);
	loom_free(values);
	return rc;
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

/* The only column of what is found in a cluster, added to ret. */
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
	/* Only those whose first task is still there to say so. */
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
	for (size_t i = 0; i < ns->n; i++) {
		const struct node *from = &ns->v[i];
		struct node *to = &out->v[i];
		*to = *from;
		to->hostname = loom_strdup(from->hostname);
		to->hardwaretype = loom_strdup(from->hardwaretype);
		to->imagetype = loom_strdup(from->imagetype);
		to->flavor = loom_strdup(from->flavor);
		to->image = loom_strdup(from->image);
		to->sshuser = loom_strdup(from->sshuser);
		to->services = json_copy(from->services);
		to->automators = json_copy(from->automators);
		to->ipaddresses = json_copy(from->ipaddresses);
		to->results = json_copy(from->results);
		to->states = json_copy(from->states);
	}
	return out;
}
