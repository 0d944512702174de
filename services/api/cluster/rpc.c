/* SPDX-License-Identifier: Apache-2.0 */
/* rpc - calls of the original's clients that return nodes or properties in bulk (REST spec 7). */
#include "services/api/resources.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/cluster/node.h"
#include "services/api/request/legacy.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"

struct rpc_call {
	const struct identity *who;
	int64_t cluster;
	struct nodes *nodes;
};

/* A cluster that the caller may not see has no nodes. */
static int nodes_read(struct db *db, void *arg)
{
	struct rpc_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	nodes_free(k->nodes);
	k->nodes = NULL;
	int rc = visible_get(db, k->who, k->cluster, &c);
	if (!rc)
		rc = nodes_load(db, k->cluster, &k->nodes);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

static bool has_all(const struct node *n, const struct json *services)
{
	for (size_t i = 0; i < json_len(services); i++) {
		if (!json_arr_has_str(n->services, json_str(json_at(services, i))))
			return false;
	}
	return true;
}

/* Without names: all. */
static struct json *wanted(struct json *all, const struct json *names)
{
	if (!json_len(names))
		return all;
	struct json *some = json_new_obj();
	for (size_t i = 0; i < json_len(names); i++) {
		const char *name = json_str(json_at(names, i));
		json_set(some, name, json_copy(json_get(all, name)));
	}
	json_free(all);
	return some;
}

static struct json *shown(const struct http_req *req, const struct node *n)
{
	struct json *all = node_properties(n);
	if (!legacy_is(req))
		return all;
	struct json *old = legacy_properties(all, n->results);
	json_free(all);
	return old;
}

void rpc_node_properties(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct json *body = request_body(req);
	const char *id = json_get_str(body, "clusterId");
	struct rpc_call k = { .who = request_who(req) };
	if (id_parse_cluster(id, &k.cluster)) {
		http_reply_text(req, 400, "clusterId '%.32s' is not a number, as 00000012", id);
		return;
	}
	int rc = db_read(a->db, nodes_read, &k);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	LOOM_CLEANUP(json_free) struct json *out = json_new_obj();
	for (size_t i = 0; k.nodes && i < k.nodes->n; i++) {
		const struct node *n = &k.nodes->v[i];
		if (has_all(n, json_get(body, "services")))
			json_set(out, n->id, wanted(shown(req, n), json_get(body, "properties")));
	}
	http_reply_json(req, 200, out);
	nodes_free(k.nodes);
}
