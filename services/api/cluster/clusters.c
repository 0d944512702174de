/* SPDX-License-Identifier: Apache-2.0 */
/* clusters - shows and deletes clusters (REST spec 5). */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/cluster/control.h"
#include "services/api/cluster/details.h"
#include "services/api/cluster/why.h"
#include "services/api/request/audit.h"
#include "services/api/request/legacy.h"
#include "services/api/request/request.h"
#include "services/api/request/tracing.h"
#include "services/api/request/visible.h"
#include "services/api/watch/blocking.h"

struct cluster_call {
	struct api *a;
	int64_t id;
	struct details d;
	char *why; /* what the cluster waits for, as a sentence */
};

static void call_fini(struct cluster_call *k)
{
	details_fini(&k->d);
	loom_free(k->why);
	k->why = NULL;
}

static int head_read(struct db *db, void *arg)
{
	struct cluster_call *k = arg;
	call_fini(k);
	return details_read_head(db, k->id, &k->d);
}

static int docs_read(struct db *db, void *arg)
{
	struct cluster_call *k = arg;
	int rc = head_read(db, k);
	return rc ? rc : cluster_load_docs(db, k->d.c);
}

static int all_read(struct db *db, void *arg)
{
	struct cluster_call *k = arg;
	call_fini(k);
	int rc = details_read(db, k->id, &k->d);
	return rc ? rc : why_sentence(k->a, db, k->d.c, &k->d.latest, &k->why);
}

/* Takes the cluster from the path and reads it; false when answered. */
static bool begin(struct http_req *req, struct cluster_call *k, db_tx_fn read)
{
	k->id = request_cluster(req);
	int rc = db_read(k->a->db, read, k);
	if (rc)
		visible_refuse(req, rc, k->id);
	return !rc;
}

static void give_details(struct http_req *req, void *ctx)
{
	struct cluster_call k = { .a = ctx };
	if (begin(req, &k, all_read)) {
		const struct view v = details_view(&k.d);
		LOOM_CLEANUP(json_free) struct json *o = view_details(&v);
		json_set_str(o, "why", k.why);
		if (legacy_is(req))
			o = legacy_details(o);
		char tag[TAG_MAX];
		cluster_tag(tag, k.d.c, k.why);
		blocking_index(req, k.d.c);
		if (!request_tagged(req, tag))
			http_reply_json(req, 200, o);
	}
	call_fini(&k);
}

void clusters_get(struct http_req *req, void *ctx)
{
	blocking_query(req, ctx, give_details);
}

static void give_status(struct http_req *req, void *ctx)
{
	struct cluster_call k = { .a = ctx };
	if (begin(req, &k, head_read)) {
		LOOM_CLEANUP(json_free) struct json *o = view_status(k.d.c, &k.d.latest);
		if (legacy_is(req))
			o = legacy_status(o);
		blocking_index(req, k.d.c);
		http_reply_json(req, 200, o);
	}
	call_fini(&k);
}

void clusters_status(struct http_req *req, void *ctx)
{
	blocking_query(req, ctx, give_status);
}

void clusters_config(struct http_req *req, void *ctx)
{
	struct cluster_call k = { .a = ctx };
	if (begin(req, &k, docs_read))
		http_reply_json(req, 200, k.d.c->config);
	call_fini(&k);
}

void clusters_services(struct http_req *req, void *ctx)
{
	struct cluster_call k = { .a = ctx };
	if (begin(req, &k, head_read))
		http_reply_json(req, 200, k.d.c->services);
	call_fini(&k);
}

struct deletion {
	const struct precondition *when;
	struct http_req *req;
	int64_t id, busy_job; /* busy_job: the running job that prevented the deletion */
	char ask[33];         /* identifies the job submitted by this call */
	struct outcome done;
};

static void note(const struct deletion *k, const struct cluster *c)
{
	LOOM_CLEANUP(json_free) struct json *before = json_new_obj();
	json_set_str(before, "name", c->name);
	json_set_str(before, "ownerId", c->owner_id);
	json_set_str(before, "status", cluster_status_name(c->status));
	json_set_int(before, "numNodes", c->num_nodes);
	json_set(before, "services", json_copy(c->services));
	audit_before(k->req, before);
}

static int delete_tx(struct db *db, void *arg)
{
	struct deletion *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t now, job;
	bool mine = false;
	int rc = visible_lock(db, k->id, &c, &k->done);
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = job_asked(db, c, k->ask, &mine);
	if (rc)
		return rc;
	/* The job of this call may exist already, if the reply to its commit was lost. */
	if (mine)
		return outcome_done(&k->done, c->id, c->event_seq);
	rc = visible_check(c, k->when, &k->done);
	if (rc)
		return rc;
	if (c->status == CLUSTER_TERMINATED)
		return outcome_done(&k->done, c->id, 0);
	k->busy_job = c->latest_job;
	if (c->status == CLUSTER_PENDING)
		return outcome_refuse(&k->done, 409, "the cluster is busy");
	LOOM_CLEANUP(job_params_fini)
	struct job_params params = { .ask = loom_strdup(k->ask) };
	tracing_keep(k->req, &params);
	job_params_set(&params.was, cluster_status_name(c->status));
	note(k, c);
	cluster_transition(c, CLUSTER_PENDING, NULL, now);
	rc = job_add(db, c, "cluster_delete", &params, now, &job);
	if (!rc)
		rc = cluster_save(db, c);
	return rc ? rc : outcome_done(&k->done, c->id, c->event_seq);
}

void clusters_delete(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct deletion k = { .req = req, .id = request_cluster(req) };
	k.when = request_precondition(req);
	const struct identity *who = request_who(req);
	id_random_hex(k.ask, 16);
	int rc = audit_outcome_tx(req, delete_tx, &k, &k.done);
	/* The first release refused this (409). A caller who deletes a cluster wants its nodes
	 * gone, so end the running job first. */
	if (!rc && k.done.status == 409)
		control_send(req, a, who, k.id, k.busy_job, "delete");
	else
		api_reply_outcome(req, rc, &k.done);
	if (k.done.seq)
		peers_committed(a, k.id, who->tenant_id, k.done.seq, true);
}
