/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/claim.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/expander.h"
#include "services/scheduler/planner.h"

#include <string.h>

#define MAX_DOCUMENT (8u << 20) /* bytes of one task's document */
#define MAX_TOGETHER (4u << 20) /* no further task is claimed after so much */
#define MAX_CLAIM_MS 500        /* nor after so long */
#define POSTPONE_MS  1000

struct claim_one {
	const struct engine_policy *policy;
	const struct take *take;
	const struct task_ref *ref;
	struct change ch;
	struct json *doc;     /* NULL: not claimed */
	size_t size;          /* of the document, in bytes */
	int64_t attempt;      /* that an earlier run of the transaction began */
	struct json *leaving; /* ids of the machines that the job takes away; NULL: none */
	bool changed;
};

/* Names of the task document that a plug-in's stored results must not replace. */
static const char *const fixed_keys[] = { "cluster", "service", "provider", "nodes", "nodenum" };

static bool is_fixed(const char *key)
{
	for (size_t i = 0; i < LOOM_COUNT(fixed_keys); i++)
		if (str_eq(fixed_keys[i], key))
			return true;
	return false;
}

/* The cluster's configuration as this node sees it: macros expanded, but for machine-level steps.
 */
static int expanded_config(const struct cluster *c, const struct nodes *ns, const struct task *t,
                           struct json **ret, struct loom_err *err)
{
	if (!*t->service) {
		*ret = json_copy(c->config);
		return 0;
	}
	LOOM_CLEANUP(expander_destroy) struct expander *e = expander_create(ns, c->owner_id);
	return expander_config(e, t->node_id, c->config, ret, err);
}

static struct json *service_action(const struct cluster *c, const struct task *t)
{
	enum plan_step step;
	if (!*t->service || !plan_step_parse(t->name, &step))
		return NULL;
	const struct json *actions =
		json_get(json_get(json_get(c->service_docs, t->service), "provisioner"), "actions");
	struct json *s = json_set_str(json_new_obj(), "name", t->service);
	return json_set(s, "action", json_copy(json_get(actions, plan_step_action(step))));
}

static struct json *all_properties(const struct nodes *ns)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < ns->n; i++)
		json_set(o, ns->v[i].id, node_properties(&ns->v[i]));
	return o;
}

static struct json *task_document(const struct cluster *c, const struct nodes *ns,
                                  const struct task *t, struct json *config)
{
	const struct node *n = nodes_find(ns, t->node_id);
	struct json *conf = n ? node_properties(n) : json_new_obj();
	json_set(conf, "cluster", config);
	json_set(conf, "service", service_action(c, t));
	json_set(conf, "provider", json_copy(c->provider));
	json_set(conf, "nodes", all_properties(ns));
	for (size_t i = 0; n && i < json_len(n->results); i++)
		if (!is_fixed(json_key_at(n->results, i)))
			json_set(conf, json_key_at(n->results, i),
			         json_copy(json_value_at(n->results, i)));
	char id[ID_MAX];
	struct json *d = json_new_obj();
	id_task(id, t->cluster_id, t->job_num, t->num);
	json_set_str(d, "taskId", id);
	id_job(id, t->cluster_id, t->job_num);
	json_set_str(d, "jobId", id);
	id_cluster(id, t->cluster_id);
	json_set_str(d, "clusterId", id);
	json_set_str(d, "taskName", t->name);
	json_set_str(d, "nodeId", t->node_id);
	json_set_int(d, "attempt", t->attempt);
	json_set_int(d, "leaseMs", t->lease_ms);
	return json_set(d, "config", conf);
}

/* Paused and failed jobs hand nothing out. */
static int job_hands_out(struct db *db, struct claim_one *cl, const struct task *t, bool *ret)
{
	struct job j = { 0 };
	bool found;
	int rc = job_get(db, t->cluster_id, t->job_num, &j, &found);
	*ret = !rc && found && j.status == JOB_RUNNING;
	json_free(cl->leaving);
	cl->leaving = found ? json_copy(json_get(j.params, "leaving")) : NULL;
	job_fini(&j);
	return rc;
}

/* Machines that stay do not count on those that go. */
static void drop_leaving(struct nodes *ns, const struct json *leaving, const struct task *t)
{
	if (!leaving || json_arr_has_str(leaving, t->node_id))
		return;
	size_t kept = 0;
	for (size_t i = 0; i < ns->n; i++) {
		if (json_arr_has_str(leaving, ns->v[i].id))
			node_fini(&ns->v[i]);
		else
			ns->v[kept++] = ns->v[i];
	}
	ns->n = kept;
}

/* The document of the attempt that t says, measured; false when it cannot be sent. */
static bool make_document(struct claim_one *cl, const struct nodes *ns, const struct task *t,
                          struct json *config)
{
	cl->doc = task_document(cl->ch.c, ns, t, config);
	LOOM_CLEANUP_STR char *text = json_text(cl->doc);
	cl->size = strlen(text);
	if (cl->size <= MAX_DOCUMENT)
		return true;
	json_free(cl->doc);
	cl->doc = NULL;
	return false;
}

static int start_task(struct db *db, struct claim_one *cl, const struct nodes *ns, struct task *t,
                      struct json *config)
{
	struct change *ch = &cl->ch;
	t->attempt++;
	t->lease_ms = cl->take->lease_ms;
	if (!make_document(cl, ns, t, config)) {
		t->attempt--;
		return engine_refuse(db, ch, t, "what it has to be told is larger than 8 MiB");
	}
	t->lease_until = ch->now + t->lease_ms;
	t->submit_time = ch->now;
	loom_free(t->provisioner_id);
	loom_free(t->worker_id);
	loom_free(t->message);
	t->message = NULL;
	t->provisioner_id = loom_strdup(cl->take->provisioner);
	t->worker_id = loom_strdup(cl->take->worker);
	cl->attempt = t->attempt;
	return task_set_state(db, ch->c, t, TASK_RUNNING, ch->now);
}

/* A configuration that needs an address which a machine of this job does not have yet is expanded
 * later; any other failure is final. */
static int cannot_expand(struct db *db, struct claim_one *cl, struct task *t, int reason,
                         const struct loom_err *err)
{
	bool wait = false;
	int rc = reason == MACRO_E_INCOMPLETE
	                 ? tasks_await_machines(db, t->cluster_id, t->job_num, &wait)
	                 : 0;
	if (rc)
		return rc;
	if (wait)
		return task_postpone(db, t, cl->ch.now + POSTPONE_MS);
	LOOM_CLEANUP_STR char *why =
		loom_asprintf("the configuration cannot be expanded: %s", err->msg);
	cl->changed = true;
	return engine_refuse(db, &cl->ch, t, why);
}

static int claim_locked(struct db *db, struct claim_one *cl, struct task *t)
{
	struct change *ch = &cl->ch;
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = cluster_load_docs(db, ch->c);
	if (!rc)
		rc = nodes_load(db, ch->c->id, &ns);
	if (rc)
		return rc;
	drop_leaving(ns, cl->leaving, t);
	struct loom_err err = { 0 };
	struct json *config = NULL;
	int reason = expanded_config(ch->c, ns, t, &config, &err);
	if (reason) {
		rc = cannot_expand(db, cl, t, reason, &err);
	} else if (t->state == TASK_RUNNING) {
		(void)make_document(cl, ns, t, config);
	} else {
		cl->changed = true;
		rc = start_task(db, cl, ns, t, config);
	}
	return rc || !cl->changed ? rc : engine_commit(db, ch);
}

/* The commit of an earlier run went through, but its answer was lost. */
static bool begun_before(const struct claim_one *cl, const struct task *t)
{
	return cl->attempt && t->state == TASK_RUNNING && t->attempt == cl->attempt &&
	       str_eq(t->provisioner_id, cl->take->provisioner) &&
	       str_eq(t->worker_id, cl->take->worker);
}

static int claim_tx(struct db *db, void *arg)
{
	struct claim_one *cl = arg;
	json_free(cl->doc);
	cl->doc = NULL;
	cl->changed = false;
	int rc = engine_begin(db, cl->ref->cluster, &cl->ch);
	if (rc)
		return rc == CLUSTER_E_NONE ? 0 : rc;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	rc = task_lock(db, cl->ref, &ts);
	if (rc || !ts->n)
		return rc;
	struct task *t = &ts->v[0];
	bool begun = begun_before(cl, t), hands_out = false;
	if (begun || (t->state == TASK_READY && t->not_before <= cl->ch.now))
		rc = job_hands_out(db, cl, t, &hands_out);
	return rc || !(begun || hands_out) ? rc : claim_locked(db, cl, t);
}

struct candidates {
	const struct take *take;
	int limit;
	struct task_ref *refs;
	size_t n;
};

static int candidates_read(struct db *db, void *arg)
{
	struct candidates *cs = arg;
	loom_free(cs->refs);
	cs->refs = NULL;
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc : tasks_claimable(db, cs->take->tenant, now, cs->limit, &cs->refs, &cs->n);
}

int claim_tasks(struct db_pool *p, const struct engine_policy *policy, const struct take *take,
                struct json **ret, claim_changed changed, void *arg)
{
	/* A few more than wanted: another scheduler may be claiming the same ones. */
	struct candidates cs = { .take = take, .limit = (int)take->max + 8 };
	int rc = db_read(p, candidates_read, &cs);
	LOOM_CLEANUP(json_free) struct json *docs = json_new_arr();
	int64_t until = clock_mono_ms() + MAX_CLAIM_MS;
	size_t size = 0;
	for (size_t i = 0; !rc && i < cs.n && (int64_t)json_len(docs) < take->max; i++) {
		/* One message carries them all, while the first one's lease runs. */
		if (size >= MAX_TOGETHER || clock_mono_ms() > until)
			break;
		struct claim_one cl = { .policy = policy, .take = take, .ref = &cs.refs[i] };
		cl.ch.policy = policy;
		rc = db_tx(p, claim_tx, &cl);
		if (!rc && cl.changed)
			changed(&cl.ch, arg);
		size += cl.doc ? cl.size : 0;
		if (!rc && cl.doc)
			json_push(docs, loom_take(cl.doc));
		json_free(cl.doc);
		json_free(cl.leaving);
		engine_fini(&cl.ch);
	}
	loom_free(cs.refs);
	/* What was claimed is handed out even if the database went away in between. */
	if (rc && !json_len(docs))
		return rc;
	*ret = loom_take(docs);
	return 0;
}
