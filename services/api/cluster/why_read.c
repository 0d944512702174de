/* SPDX-License-Identifier: Apache-2.0 */
/* why_read - all that the words about a cluster that does not move rest on. */
#include "common/model/identity/tenant.h"
#include "services/api/api.h"
#include "services/api/cluster/why.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/resources.h"

struct gathered {
	struct tasks *tasks;
	struct task_edge *edges;
	struct limits *limits;
	char *tenant, *unequal;
	struct why_input in;
};

static void gathered_fini(struct gathered *g)
{
	tasks_free(g->tasks);
	loom_free(g->edges);
	limits_free(g->limits);
	loom_free(g->tenant);
	loom_free(g->unequal);
	json_free(g->in.supply.bad);
	*g = (struct gathered){ 0 };
}

/* A cluster at rest needs few facts. */
static int gather(struct api *a, struct db *db, const struct cluster *c, const struct job *latest,
                  struct gathered *g)
{
	struct bus_skew skew;
	gathered_fini(g);
	g->in = (struct why_input){ .c = c, .latest = latest, .unheard = peers_unheard(a) };
	if (bus_clocks_apart(a->bus, &skew))
		g->unequal = bus_skew_words(&skew);
	g->in.unequal = g->unequal;
	bool pending = c->status == CLUSTER_PENDING;
	int rc = db_now(db, &g->in.now);
	if (!rc)
		rc = expiry_marks(db, c->id, &g->in.expiry);
	if (!rc)
		rc = job_hold_get(db, c->id, latest->num, &g->in.hold);
	if (!rc && pending)
		rc = tasks_load(db, c->id, latest->num, &g->tasks);
	if (!rc && pending)
		rc = task_edges_stored(db, c->id, latest->num, &g->edges, &g->in.n_edges);
	if (!rc && pending)
		rc = provisioners_supply(db, c->tenant_id, &g->in.supply);
	if (!rc && pending)
		rc = limits_load(db, c->tenant_id, &g->limits);
	if (!rc && pending)
		rc = tenant_name_of(db, c->tenant_id, &g->tenant);
	g->in.tasks = g->tasks;
	g->in.edges = g->edges;
	g->in.limits = g->limits;
	g->in.tenant = g->tenant;
	return rc;
}

int why_sentence(struct api *a, struct db *db, const struct cluster *c, const struct job *latest,
                 char **ret)
{
	struct gathered g = { 0 };
	int rc = gather(a, db, c, latest, &g);
	if (!rc) {
		LOOM_CLEANUP(json_free) struct json *o = why_answer(&g.in);
		*ret = loom_strdup(json_get_str(o, "reason"));
	}
	gathered_fini(&g);
	return rc;
}

struct why_call {
	struct api *a;
	int64_t id;
	struct json *answer;
};

static int why_read(struct db *db, void *arg)
{
	struct why_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	struct job latest = { 0 };
	struct gathered g = { 0 };
	bool found;
	json_free(k->answer);
	k->answer = NULL;
	int rc = cluster_get(db, k->id, &c);
	if (!rc)
		rc = job_get(db, k->id, c->latest_job, &latest, &found);
	if (!rc)
		rc = gather(k->a, db, c, &latest, &g);
	if (!rc)
		k->answer = why_answer(&g.in);
	gathered_fini(&g);
	job_fini(&latest);
	return rc;
}

void clusters_why(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct why_call k = { .a = a, .id = request_cluster(req) };
	int rc = db_read(a->db, why_read, &k);
	if (rc)
		visible_refuse(req, rc, k.id);
	else
		http_reply_json(req, 200, k.answer);
	json_free(k.answer);
}
