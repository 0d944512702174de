/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_claims - begins the chosen tasks (batch_choose.c): loads the nodes of all their clusters at
 * once, then claims each task and makes its payload. A task whose configuration cannot be expanded
 * is postponed or given up.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/cluster/macro.h"
#include "common/model/keys/machine_secret.h"
#include "services/scheduler/job/unit_trace.h"
#include "services/scheduler/plan/planner.h"

#include <string.h>

/* The last payload and those before it go in one message: 11 MiB, of the 16 allowed. */
#define MAX_PAYLOAD  (8u << 20) /* bytes of one payload */
#define MAX_TOGETHER (3u << 20) /* most bytes in a take before its last task */
/* Once a batch has made this many bytes, it leaves tasks with a large configuration to the next
 * one, which follows at once, so that tasks of others chosen with them need not wait for all. */
#define MAX_BATCH    (1u << 20)
#define MAX_CLAIM_MS 500  /* most time until the last claim: the first lease, 8 s, runs already */
#define POSTPONE_MS  1000 /* a safety net: an address ends the wait as soon as it is known */

/* Loads the nodes of all clusters with chosen tasks. */
static int load_nodes(struct claims *k)
{
	int64_t *ids = loom_calloc(k->n + 1, sizeof(*ids));
	for (size_t i = 0; i < k->n; i++)
		ids[i] = k->v[i].t->cluster_id;
	int rc = unit_load_nodes(k->u, ids, k->n);
	loom_free(ids);
	return rc;
}

/* The nodes visible to a task: one that stays does not see those that are leaving. */
static struct node_view *view_without(const struct cluster_rows *r, const struct cluster *c,
                                      const struct json *leaving)
{
	const struct nodes *all = r->nodes;
	struct node *v = loom_calloc(all->n + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < all->n; i++) {
		if (!json_arr_has_str(leaving, all->v[i].id))
			v[n++] = all->v[i];
	}
	struct node_view *s = node_view_create(v, n, c->owner_id);
	loom_free(v);
	return s;
}

/* The view of all nodes, cached until the nodes change. */
static struct node_view *whole_view(struct claims *k, const struct unit_cluster *uc)
{
	struct cached_cluster *at = k->b->cached[uc - k->u->clusters];
	if (at->view && at->view_version == uc->rows.nodes_version)
		return at->view;
	node_view_destroy(at->view);
	at->view = view_without(&uc->rows, uc->tx.c, NULL);
	at->view_version = uc->rows.nodes_version;
	return at->view;
}

static int awaits_nodes(struct unit *u, const struct task *t, bool *ret)
{
	const struct job *j = &unit_job_of(u, t)->job;
	enum plan_step step;
	*ret = false;
	for (size_t i = 0; !*ret && i < u->n_items; i++) {
		const struct task *o = u->items[i].t;
		*ret = o->cluster_id == t->cluster_id && o->job_num == t->job_num &&
		       task_is_open(o->state) && plan_step_parse(o->name, &step) &&
		       (step == STEP_CREATE || step == STEP_CONFIRM);
	}
	return *ret || unit_has_all(u, j)
	               ? 0
	               : u->store->awaits_nodes(u->db, j->cluster_id, j->num, ret);
}

/* Postpones a task whose configuration needs an address that a node of this job does not have yet;
 * any other failure is final. */
static int refuse(struct claims *k, struct task *t, bool may_wait, const char *why)
{
	bool wait = false;
	k->b->more = true; /* its take may have another */
	int rc = may_wait ? awaits_nodes(k->u, t, &wait) : 0;
	if (rc || !wait)
		return rc ? rc : lifecycle_refuse(k->u, t, why);
	t->not_before = k->u->now + POSTPONE_MS;
	unit_task_changed(k->u, t);
	const struct task_ref ref = task_ref_of(t);
	batch_decided(k->b, &ref, NULL, HOLD_ADDRESSES);
	return 0;
}

/* The size of a text inside a message. */
static size_t on_its_way(const char *text)
{
	size_t n = 2;
	for (const char *c = text; *c; c++)
		n += 1 + (*c == '"' || *c == '\\');
	return n;
}

static void give(struct claims *k, const struct choice *ch, const char *text, size_t size)
{
	struct batch_take *to = &k->b->takes[ch->take];
	const struct task_taker by = { to->take->provisioner, to->take->worker, ch->claim,
		                       to->take->lease_ms };
	if (!ch->again)
		lifecycle_claim(k->u, ch->t, &by);
	const struct task_ref ref = task_ref_of(ch->t);
	batch_decided(k->b, &ref, to->take, HOLD_NOT);
	if (!to->payloads)
		to->payloads = json_new_arr();
	json_push(to->payloads, json_new_str(text));
	to->size += size;
	k->bytes += size;
	struct handed *h = &k->b->handed[k->b->n_handed++];
	*h = (struct handed){ .take = ch->take, .ref = ref, .attempt = ch->t->attempt };
	memcpy(h->claim, ch->claim, sizeof(h->claim));
}

/* Prepares the claim as the payload reports it; it is made later. */
static void claim_copy(struct task *claimed, struct choice *ch, const struct take *take)
{
	claimed->attempt++;
	claimed->lease_ms = take->lease_ms;
	if (take->claim)
		claim_secret(ch->claim);
}

/* Writes the attempt's span; returns the trace state of its job, or NULL. */
static const char *name_span(const struct unit *u, const struct task *claimed, char ret[TRACE_TEXT])
{
	const struct unit_job *j = unit_job_of(u, claimed);
	struct trace at;
	*ret = '\0';
	if (j && task_trace(&j->job, claimed, &at))
		trace_text(&at, ret);
	return j ? j->job.params.trace_state : NULL;
}

static int open_machine(const struct claims *k, const struct task *t, const struct node *n,
                        struct json **ret, struct loom_err *err)
{
	const struct machine_of of = { k->u->policy->ring, k->u->db, t->tenant_id, t->node_id };
	return n && of.ring ? machine_secret_open(&of, n->results, ret, err) : 0;
}

static int begin_with(struct claims *k, struct choice *ch, const struct node_view *s,
                      const struct payload_parts *parts)
{
	LOOM_CLEANUP_STR char *config = NULL;
	char traceparent[TRACE_TEXT];
	struct loom_err err = { 0 };
	const char *locked = *ch->t->service ? parts->locked_services : parts->locked_provider;
	if (locked)
		return ch->again ? 0 : refuse(k, ch->t, false, locked);
	int reason = node_view_config(s, parts, ch->t, &config, &err);
	if (reason && ch->again)
		return 0;
	if (reason) {
		LOOM_CLEANUP_STR char *why =
			loom_asprintf("the configuration cannot be expanded: %s", err.msg);
		return refuse(k, ch->t, reason == MACRO_E_INCOMPLETE, why);
	}
	const struct node *n = unit_node(k->u, ch->t);
	LOOM_CLEANUP(json_free) struct json *open = NULL;
	reason = open_machine(k, ch->t, n, &open, &err);
	if (reason)
		return err_is_refusal(reason) ? refuse(k, ch->t, false, err.msg) : reason;
	struct task claimed = *ch->t;
	if (!ch->again)
		claim_copy(&claimed, ch, k->b->takes[ch->take].take);
	const char *tracestate = name_span(k->u, &claimed, traceparent);
	LOOM_CLEANUP_STR char *text =
		node_view_payload(s, parts,
	                          &(struct payload_task){ .t = &claimed,
	                                                  .n = n,
	                                                  .results = open ? open
	                                                             : n  ? n->results
	                                                                  : NULL,
	                                                  .config = config,
	                                                  .claim = ch->claim,
	                                                  .traceparent = traceparent,
	                                                  .tracestate = tracestate },
	                          MAX_PAYLOAD);
	size_t size = text ? on_its_way(text) : 0;
	if (!text || size > MAX_TOGETHER + MAX_PAYLOAD)
		return refuse(k, ch->t, false, "what it has to be told is larger than 8 MiB");
	give(k, ch, text, size);
	return 0;
}

static void note_config(const struct claims *k, const struct task *t, int64_t size)
{
	struct cached_cluster *at = batch_cached(k->b, t->cluster_id);
	at->config_job = t->job_num;
	at->config_size = size;
}

/* Leaves a large configuration to a later batch. Each batch makes one, so that none waits for ever,
 * and more only if there is time. Only the size is read before that is known. */
static int leave_for_later(struct claims *k, const struct cluster *c, const struct task *t,
                           bool *ret)
{
	const struct cached_cluster *at = batch_cached(k->b, t->cluster_id);
	int64_t size = at->config_size;
	bool contended = fair_queue_contended(k->b->candidate_cache->fair);
	if (!k->large_made || (!contended && k->bytes < MAX_BATCH))
		return 0;
	int rc = at->config_job == t->job_num ? 0
	                                      : payload_cache_config_size(k->b->payloads, k->u->db,
	                                                                  c, t->job_num, &size);
	if (rc)
		return rc;
	note_config(k, t, size);
	*ret = size > LARGE_CONFIG;
	k->b->more = k->b->more || *ret;
	return 0;
}

static int begin_one(struct claims *k, struct choice *ch)
{
	struct unit_cluster *uc = unit_held(k->u, ch->t->cluster_id);
	const struct unit_job *j = unit_job_of(k->u, ch->t);
	const struct json *leaving = j ? j->job.params.leaving : NULL;
	struct payload_parts parts;
	bool later = false;
	int rc = ch->again ? 0 : leave_for_later(k, uc->tx.c, ch->t, &later);
	if (rc || later)
		return rc;
	rc = payload_cache_get(k->b->payloads, k->u->db, uc->tx.c, ch->t->job_num, &parts);
	if (rc)
		return rc;
	size_t size = strlen(parts.config);
	note_config(k, ch->t, (int64_t)size);
	k->large_made += size > LARGE_CONFIG;
	if (leaving && !json_arr_has_str(leaving, ch->t->node_id)) {
		LOOM_CLEANUP(node_view_destroy)
		struct node_view *s = view_without(&uc->rows, uc->tx.c, leaving);
		return begin_with(k, ch, s, &parts);
	}
	return begin_with(k, ch, whole_view(k, uc), &parts);
}

/* A refused task may have ended the job of others chosen with it. */
static int begin_all(struct claims *k)
{
	int64_t until = clock_mono_ms() + MAX_CLAIM_MS;
	int rc = k->n ? load_nodes(k) : 0;
	for (size_t i = 0; !rc && i < k->n; i++) {
		struct choice *ch = &k->v[i];
		bool open = ch->again || ch->t->state == TASK_READY;
		if (open && k->b->takes[ch->take].size < MAX_TOGETHER && clock_mono_ms() <= until)
			rc = begin_one(k, ch);
		else
			k->b->more = true;
	}
	return rc;
}

/* With limits, the end of a CREATE may let another one begin, at any scheduler. */
static void count_freed(struct claims *k)
{
	const struct candidate_cache *o = k->b->candidate_cache;
	if (!o || !atomic_load(&o->limited))
		return;
	for (size_t i = 0; i < k->u->n_items; i++) {
		if (batch_has_ended(&k->u->items[i]) &&
		    str_eq(k->u->items[i].t->name, plan_step_name(STEP_CREATE)))
			unit_held(k->u, k->u->items[i].t->cluster_id)->tx.ready++;
	}
}

int batch_claim(struct batch *b)
{
	struct claims k = { .b = b, .u = &b->unit };
	int rc = batch_choose(&k);
	if (!rc) {
		b->n_handed = 0;
		b->handed = loom_realloc(b->handed, (k.n + 1) * sizeof(*b->handed));
		rc = begin_all(&k);
		count_freed(&k);
	}
	if (!rc)
		rc = limits_save(b->unit.db, &k.limits);
	limits_hold_fini(&k.limits);
	loom_free(k.v);
	return rc;
}
