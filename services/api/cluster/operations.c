/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations - changes to an existing cluster: configure, add and remove services, start, stop,
 * restart, expand, shrink, and the template's newest version. A scheduler computes the change (or
 * why it is impossible); then the job is recorded, or the plan is returned with a token. Applying
 * the token executes exactly that plan, or answers 409.
 */
#include "services/api/cluster/operations.h"

#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/cluster/job.h"
#include "common/model/cluster/outcome.h"
#include "common/model/cluster/unfinished.h"
#include "common/operation/operation.h"
#include "services/api/catalog/templates.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/request/tracing.h"
#include "services/api/request/visible.h"
#include "services/api/resources.h"

#include <stdio.h>

#define CHANGE_MS 15000

struct operation {
	struct api *a;
	struct operation_request asked;
	struct http_req *req;
	struct identity who;
	int64_t id, revision;
	char action[40];
	char hash[33];
	bool synced;         /* an earlier run of the transaction has synced it */
	struct outcome done; /* the result, once decided */
};

void operation_request_fini(struct operation_request *o)
{
	job_params_fini(&o->params);
	loom_free(o->token);
}

static void operation_free(struct operation *o)
{
	operation_request_fini(&o->asked);
	loom_free(o);
}

static int changed_meanwhile(struct operation *o)
{
	return outcome_refuse(&o->done, 409,
	                      "something changed since this was planned; plan it again");
}

static int wrong_state(struct operation *o, enum cluster_status is)
{
	LOOM_CLEANUP(strs_fini) struct strs may = { 0 };
	for (int s = 0; s < CLUSTER_STATUSES_; s++) {
		const char *name = cluster_status_name((enum cluster_status)s);
		if (operation_kind_allowed(o->asked.kind, name))
			strs_add(&may, name);
	}
	LOOM_CLEANUP_STR char *all = strs_join(&may, " or ");
	return outcome_refuse(
		&o->done, 409,
		"Cluster is not in a state where service actions can be performed: it is "
		"%s, and %s wants it %s.",
		cluster_status_name(is), o->asked.kind->name, all);
}

static int sync_template(struct db *db, const struct operation *o, struct cluster *c, int64_t now)
{
	const struct json *t = o->asked.params.template;
	json_set(c->brief, "clusterTemplate", entity_brief(t));
	int rc = cluster_save_template(db, c, t);
	struct json *e = json_set_str(json_new_obj(), "template", json_get_str(t, "name"));
	json_set_int(e, "version", json_get_int(t, "version", 0));
	cluster_event(c, "template", e, now);
	return rc;
}

static bool is_synced(const struct operation *o, const struct cluster *c)
{
	const struct json *has = json_get(c->brief, "clusterTemplate");
	return json_get_int(has, "version", -1) ==
	       json_get_int(o->asked.params.template, "version", 0);
}

/* The cluster gets its new configuration at once; the job keeps the old one, so that the scheduler
 * can tell what differs. */
static int take_config(struct db *db, struct operation *o, struct cluster *c)
{
	struct job_params *p = &o->asked.params;
	if (!p->config)
		return 0;
	int rc = cluster_load_docs(db, c);
	if (rc)
		return rc;
	json_free(p->before); /* of an earlier run of the transaction */
	p->before = json_copy(c->config);
	return cluster_save_config(db, c, p->config);
}

/* Checks the present request only; the scheduler checks again when nodes are created. */
static int check_quota(struct db *db, struct operation *o, const struct cluster *c)
{
	int64_t nodes = str_eq(o->asked.kind->name, "expand") ? o->asked.params.count : 0;
	struct quota q;
	int rc = nodes > 0 ? cluster_quota(db, c->tenant_id, 0, nodes, &q) : 0;
	if (rc != CLUSTER_E_QUOTA)
		return rc;
	LOOM_CLEANUP_STR char *why = quota_words(&q);
	return outcome_refuse(&o->done, 409,
	                      "Expanding the cluster would cause node quotas to be violated: %s.",
	                      why);
}

static int check_room(struct db *db, struct operation *o, const struct cluster *c)
{
	LOOM_CLEANUP_STR char *full = NULL;
	if (!o->asked.kind->makes_job)
		return 0;
	int rc = unfinished_room(db, c->tenant_id, o->a->cfg.max_unfinished_jobs, &full);
	return rc == JOB_E_MANY ? outcome_refuse(&o->done, 429, "%s", full) : rc;
}

/* The cluster before the operation, for the audit log; the request's body says what it wants. */
static struct json *before_of(const struct cluster *c)
{
	struct json *v = json_set_str(json_new_obj(), "status", cluster_status_name(c->status));
	json_set_int(v, "numNodes", c->num_nodes);
	json_set(v, "services", json_copy(c->services));
	json_set(v, "clusterTemplate", json_copy(json_get(c->brief, "clusterTemplate")));
	return v;
}

static int submit_job(struct db *db, struct operation *o, struct cluster *c, int64_t now)
{
	int64_t job;
	job_params_set(&o->asked.params.was, cluster_status_name(c->status));
	int rc = take_config(db, o, c);
	cluster_transition(c, CLUSTER_PENDING, NULL, now);
	return rc ? rc : job_add(db, c, o->action, &o->asked.params, now, &job);
}

/* With the row locked, no other operation can start on this cluster. */
static int submit_tx(struct db *db, void *arg)
{
	struct operation *o = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t now;
	int rc = visible_lock(db, o->id, &c, &o->done);
	if (!rc)
		rc = db_now(db, &now);
	/* The job of this call may exist already, if the reply to its commit was lost. */
	bool mine = false;
	if (!rc)
		rc = job_asked(db, c, o->asked.params.ask, &mine);
	if (rc)
		return rc;
	if (mine || (o->synced && is_synced(o, c)))
		return outcome_done(&o->done, c->id, c->event_seq);
	if (!operation_kind_allowed(o->asked.kind, cluster_status_name(c->status)))
		return wrong_state(o, c->status);
	if (o->asked.token && c->latest_job != o->revision)
		return changed_meanwhile(o);
	rc = check_room(db, o, c);
	if (!rc)
		rc = check_quota(db, o, c);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *before = before_of(c);
	o->synced = !o->asked.kind->makes_job;
	rc = o->synced ? sync_template(db, o, c, now) : submit_job(db, o, c, now);
	if (o->asked.params.before)
		json_set(before, "config", json_copy(o->asked.params.before));
	audit_before(o->req, before);
	if (!rc)
		rc = cluster_save(db, c);
	return rc ? rc : outcome_done(&o->done, c->id, c->event_seq);
}

static void submit_work(void *arg)
{
	struct operation *o = arg;
	char ask[33];
	id_random_hex(ask, 16);
	job_params_set(&o->asked.params.ask, ask);
	tracing_keep(o->req, &o->asked.params);
	if (repeat_outcome_tx(o->req, submit_tx, o, &o->done, NULL))
		(void)outcome_refuse(&o->done, 503, "the database is away; try again");
}

static void refuse(struct operation *o)
{
	if (o->done.status == 503)
		http_reply_problem(o->req, o->done.status, "%s", o->done.msg);
	else
		http_reply_text(o->req, o->done.status, "%s", o->done.msg);
}

static void submit_done(void *arg)
{
	struct operation *o = arg;
	if (o->done.status == 200) {
		if (o->done.seq)
			peers_committed(o->a, o->id, o->who.tenant_id, o->done.seq, true);
		repeat_reply(o->req, NULL);
	} else {
		refuse(o);
	}
	operation_free(o);
}

static char *make_token(const struct operation *o)
{
	return loom_asprintf("%lld-%s", (long long)o->revision, o->hash);
}

static void show(struct operation *o, const struct json *plan)
{
	LOOM_CLEANUP(json_free) struct json *out = json_copy(plan);
	LOOM_CLEANUP_STR char *token = make_token(o);
	json_set_str(out, "token", token);
	http_reply_json(o->req, 200, out);
	operation_free(o);
}

static void planned(int error, const void *m, void *arg)
{
	struct operation *o = arg;
	const struct msg_answer *p = m;
	int status = peers_status(error, p);
	if (status != 200) {
		(void)outcome_refuse(&o->done, status, "%s",
		                     error        ? "no scheduler answers; try again"
		                     : p->message ? p->message
		                                  : "refused");
		refuse(o);
		operation_free(o);
		return;
	}
	o->revision = p->revision;
	snprintf(o->hash, sizeof(o->hash), "%s", p->hash ? p->hash : "");
	snprintf(o->action, sizeof(o->action), "%s", p->action ? p->action : "");
	if (o->asked.plan_only) {
		show(o, p->plan);
		return;
	}
	LOOM_CLEANUP_STR char *token = make_token(o);
	if (o->asked.token)
		job_params_set(&o->asked.params.hash, o->hash);
	if (o->asked.token && !str_eq(o->asked.token, token)) {
		(void)changed_meanwhile(o);
		submit_done(o);
	} else if (pool_submit(o->a->pool, submit_work, submit_done, o)) {
		(void)outcome_refuse(&o->done, 503, "the server is busy; try again");
		submit_done(o);
	}
}

static void ask(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct operation *o = arg;
	LOOM_CLEANUP(json_free) struct json *params = job_params_encode(&o->asked.params);
	const struct msg_change m = { .cluster = o->id,
		                      .params = params,
		                      .tenant = o->who.tenant_id };
	peers_ask(o->a, MSG_CHANGE, &m, CHANGE_MS, planned, o);
}

struct look {
	struct operation *o;
	struct cluster *c;
	struct json *template; /* the resolved newest version; for sync */
};

static int look_read(struct db *db, void *arg)
{
	struct look *l = arg;
	cluster_free(l->c);
	json_free(l->template);
	l->c = NULL;
	l->template = NULL;
	l->o->done = (struct outcome){ 0 };
	int rc = cluster_get(db, l->o->id, &l->c);
	if (rc || !str_eq(l->o->asked.kind->name, "sync"))
		return rc;
	const char *name = json_get_str(json_get(l->c->brief, "clusterTemplate"), "name");
	struct loom_err err;
	LOOM_CLEANUP(json_free) struct json *stored = NULL;
	rc = entity_get(db, l->c->tenant_id, ENTITY_CLUSTERTEMPLATE, name, &stored);
	if (rc == ENTITY_E_NONE)
		return outcome_refuse(&l->o->done, 404,
		                      "the cluster's template does not exist any more");
	if (!rc)
		rc = templates_resolve(db, l->c->tenant_id, stored, &l->template, &err);
	return err_is_refusal(rc) ? outcome_refuse(&l->o->done, err_http_status(rc), "%s", err.msg)
	                          : rc;
}

/* Checks the cluster's own state before a scheduler is asked; false when answered. */
static bool look_at(struct operation *o)
{
	struct look l = { .o = o };
	int rc = db_read(o->a->db, look_read, &l);
	const char *service = json_str(json_at(o->asked.params.services, 0));
	if (o->done.status)
		refuse(o);
	else if (rc)
		visible_refuse(o->req, rc, o->id);
	else if (o->asked.kind->one_path && service && !json_arr_has_str(l.c->services, service)) {
		(void)outcome_refuse(&o->done, 404, "service %s is not on cluster %08lld", service,
		                     (long long)o->id);
		refuse(o);
	} else if (!operation_kind_allowed(o->asked.kind, cluster_status_name(l.c->status))) {
		(void)wrong_state(o, l.c->status);
		refuse(o);
	} else if (!*o->asked.kind->action) { /* takes the action of the job that failed */
		o->asked.params.job = l.c->latest_job;
	} else if (l.template) {
		o->asked.params.template = loom_take(l.template);
	}
	bool go = !rc && !o->done.status;
	cluster_free(l.c);
	json_free(l.template);
	return go;
}

void operation_start(struct http_req *req, struct api *a, struct operation_request *asked)
{
	struct operation *o = loom_calloc(1, sizeof(*o));
	*o = (struct operation){ .a = a,
		                 .asked = *asked,
		                 .req = req,
		                 .who = *request_who(req),
		                 .id = request_cluster(req) };
	*asked = (struct operation_request){ 0 };
	if (look_at(o)) {
		http_defer(req, ask, o);
		return;
	}
	operation_free(o);
}
