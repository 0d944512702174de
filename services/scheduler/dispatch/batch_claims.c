/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_claims - which take gets which task. First it is chosen: the fair queue says in which
 * order, limits what has to wait. Then the nodes of all clusters concerned are read at once, then
 * each task is begun. One whose configuration cannot be expanded is put off, or given up.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/hold.h"
#include "common/model/macro.h"
#include "services/scheduler/plan/planner.h"

#define MAX_PAYLOAD  (8u << 20) /* bytes of one payload */
#define MAX_TOGETHER (3u << 20) /* no further task is given to a take after so much */
#define MAX_CLAIM_MS 500  /* nor to any after so long: the first one's lease, 8 s, runs already */
#define POSTPONE_MS  1000 /* a safety net: an address that becomes known ends it at once */

/* A task for a take; again: an earlier run of the transaction gave it. */
struct choice {
	size_t take;
	struct task *t;
	bool again;
};

struct claims {
	struct batch *b;
	struct unit *u;
	struct choice *v;
	size_t n;
	struct limits_hold limits;
};

/* ---- choosing -------------------------------------------------------------------------------- */

static bool for_take(const struct take *take, const struct task *t)
{
	return str_eq(take->tenant, "*") || str_eq(take->tenant, t->tenant_id);
}

static size_t chosen_for(const struct claims *k, size_t take)
{
	size_t n = 0;
	for (size_t i = 0; i < k->n; i++)
		n += k->v[i].take == take;
	return n;
}

static void held_back(const struct claims *k, const struct task *t, enum hold why)
{
	const struct task_ref ref = task_ref_of(t);
	batch_decided(k->b, &ref, NULL, why);
}

/* What holds a ready task before anybody is asked. */
static enum hold held(const struct claims *k, const struct unit_task *it)
{
	if (it->t->not_before > k->u->now)
		return it->t->failures ? HOLD_RETRY : HOLD_ADDRESSES;
	return unit_job_of(k->u, it->t)->job.status == JOB_PAUSED ? HOLD_PAUSED : HOLD_NOT;
}

/* Failed jobs hand nothing out. */
static bool is_offered(const struct claims *k, const struct unit_task *it)
{
	const struct unit_job *j = unit_job_of(k->u, it->t);
	return !it->chosen && it->t->state == TASK_READY && j && !job_ended(j->job.status);
}

static const char *gate_of(const struct claims *k, const struct task *t, char gate[TASK_GATE_MAX])
{
	const struct cluster *c = unit_held(k->u, t->cluster_id)->tx.c;
	task_gate(t->name, json_get_str(json_get(c->brief, "provider"), "name"), gate);
	return gate;
}

/* A failed task is for another provisioner to try, if there is one; but not for ever. */
static int keep_away(struct claims *k, const struct task *t, const struct take *take, bool *ret)
{
	const struct quarantine_config *cfg = k->b->policy.quarantine;
	int64_t until = t->not_before + (cfg ? cfg->quarantine_avoid_ms : 0), others = 0;
	*ret = false;
	if (!t->failures || !str_eq(t->provisioner_id, take->provisioner) || k->u->now >= until)
		return 0;
	int rc = provisioners_beside(k->u->db, take->provisioner, t->tenant_id, &others);
	*ret = others > 0;
	if (*ret)
		batch_look_at(k->b, until, k->u->now);
	return rc;
}

/* What a provisioner in quarantine gets is noted, so that there is one at a time. */
static int begin_probe(struct claims *k, struct batch_take *to, const struct task *t)
{
	const struct task_ref ref = task_ref_of(t);
	bool ours = false;
	int rc = quarantine_probe(k->u->db, to->take->provisioner, &ref, t->attempt + 1, k->u->now,
	                          &ours);
	to->barred = true; /* for all others of this batch */
	return rc ? rc : ours ? 0 : PROVISIONER_E_PROBED;
}

static bool has_room(const struct claims *k, size_t take)
{
	return (int64_t)chosen_for(k, take) < k->b->takes[take].take->max;
}

/* Gives a task to a take, if nothing holds it; else *why is what does. A take that cannot have it
 * leaves it to the next one. */
static int offer(struct claims *k, struct unit_task *it, size_t take, enum hold *why)
{
	struct batch_take *to = &k->b->takes[take];
	char gate[TASK_GATE_MAX];
	bool away;
	*why = to->barred ? HOLD_QUARANTINE : !has_room(k, take) ? HOLD_BUSY : HOLD_NOT;
	if (*why)
		return 0;
	int rc = keep_away(k, it->t, to->take, &away);
	if (rc || away) {
		*why = HOLD_AVOIDED;
		return rc;
	}
	*why = limits_allow(&k->limits, it->t->tenant_id, gate_of(k, it->t, gate));
	if (*why || !to->probe)
		return 0;
	rc = begin_probe(k, to, it->t);
	*why = rc == PROVISIONER_E_PROBED ? HOLD_QUARANTINE : HOLD_NOT;
	return *why ? 0 : rc;
}

/* These hold it from whoever asks. */
static bool holds_from_all(enum hold why)
{
	return why == HOLD_PROVIDER_CREATES || why == HOLD_PROVIDER_CALLS || why == HOLD_CONTENDED;
}

static int choose(struct claims *k, struct unit_task *it)
{
	struct batch *b = k->b;
	enum hold why = HOLD_BUSY, one;
	for (size_t i = 0; i < b->n_takes; i++) {
		if (!for_take(b->takes[i].take, it->t))
			continue;
		int rc = offer(k, it, i, &one);
		if (rc)
			return rc;
		if (!one) {
			it->chosen = true;
			k->v[k->n++] = (struct choice){ .take = i, .t = it->t };
			fair_queue_given(b->candidate_cache->fair, it->t->tenant_id,
			                 it->t->cluster_id);
			return 0;
		}
		why = why == HOLD_BUSY ? one : why;
		if (holds_from_all(one))
			break;
	}
	held_back(k, it->t, why);
	return 0;
}

/* The commit of an earlier run went through, but its answer was lost. */
static void choose_again(struct claims *k, const struct handed *h)
{
	struct unit_task *it = unit_item(k->u, &h->ref);
	const struct take *take = k->b->takes[h->take].take;
	if (!it || it->chosen || it->t->state != TASK_RUNNING || it->t->attempt != h->attempt ||
	    !str_eq(it->t->provisioner_id, take->provisioner) ||
	    !str_eq(it->t->worker_id, take->worker))
		return;
	it->chosen = true;
	k->v[k->n++] = (struct choice){ h->take, it->t, true };
}

/* What was found ready, and what this very batch made ready. */
static struct fair_offer *offers(struct claims *k, size_t *ret_n)
{
	struct batch *b = k->b;
	struct fair_offer *v = loom_calloc(b->n_candidates + k->u->n_newly_ready + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < b->n_candidates + k->u->n_newly_ready; i++) {
		const struct task_ref ref =
			i < b->n_candidates ? b->candidates[i]
					    : task_ref_of(k->u->newly_ready[i - b->n_candidates]);
		struct unit_task *it = unit_item(k->u, &ref);
		if (!unit_cluster(k->u, ref.cluster)) {
			b->more = true;
			batch_decided(b, &ref, NULL, HOLD_CONTENDED);
		}
		if (!it || !is_offered(k, it))
			continue;
		enum hold why = held(k, it);
		if (why)
			held_back(k, it->t, why);
		else
			v[n++] = (struct fair_offer){ it->t->tenant_id, ref.cluster,
				                      it->t->not_before,
				                      (size_t)(it - k->u->items) };
	}
	fair_queue_order(b->candidate_cache->fair, v, n);
	*ret_n = n;
	return v;
}

static bool has_ended(const struct unit_task *it)
{
	return it->was == TASK_RUNNING && it->t->state != TASK_RUNNING;
}

/* Locks the limits that these tasks need. */
static int hold_limits(struct claims *k, const struct fair_offer *v, size_t n)
{
	struct limits_hold *h = &k->limits;
	h->known = k->b->candidate_cache->limits;
	h->now = k->u->now;
	if (!h->known)
		return 0;
	struct limits_need *needs = loom_calloc(n + 1, sizeof(*needs));
	char(*gates)[TASK_GATE_MAX] = loom_calloc(n + 1, sizeof(*gates));
	for (size_t i = 0; i < n; i++)
		needs[i] = (struct limits_need){ v[i].tenant,
			                         gate_of(k, k->u->items[v[i].index].t, gates[i]) };
	int rc = limits_hold(k->u->db, h, needs, n);
	for (size_t i = 0; i < k->u->n_items; i++) {
		const struct task *t = k->u->items[i].t;
		if (has_ended(&k->u->items[i]))
			limits_ended(h, t->tenant_id, gate_of(k, t, gates[n]));
	}
	loom_free(gates);
	loom_free(needs);
	return rc;
}

static int choose_all(struct claims *k)
{
	struct batch *b = k->b;
	size_t n = 0;
	k->v = loom_calloc(k->u->n_items + 1, sizeof(*k->v));
	for (size_t i = 0; i < b->n_handed; i++)
		choose_again(k, &b->handed[i]);
	if (!b->n_takes)
		return 0;
	struct fair_offer *v = offers(k, &n);
	int rc = hold_limits(k, v, n);
	for (size_t i = 0; !rc && i < n; i++)
		rc = choose(k, &k->u->items[v[i].index]);
	loom_free(v);
	b->more = b->more || k->limits.busy;
	batch_look_at(b, k->limits.next_at, k->u->now);
	return rc;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The nodes of all clusters that tasks are chosen of. */
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

/* The view of all nodes, which is kept for as long as they stay what they are. */
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
		       o->state <= TASK_RUNNING && plan_step_parse(o->name, &step) &&
		       (step == STEP_CREATE || step == STEP_CONFIRM);
	}
	return *ret || unit_has_all(u, j)
	               ? 0
	               : u->store->awaits_nodes(u->db, j->cluster_id, j->num, ret);
}

/* A configuration that needs an address which a node of this job does not have yet is expanded
 * later; any other failure is final. */
static int refuse(struct claims *k, struct task *t, bool may_wait, const char *why)
{
	bool wait = false;
	k->b->more = true; /* its take may have another */
	int rc = may_wait ? awaits_nodes(k->u, t, &wait) : 0;
	if (rc || !wait)
		return rc ? rc : lifecycle_refuse(k->u, t, why);
	t->not_before = k->u->now + POSTPONE_MS;
	unit_task_changed(k->u, t);
	held_back(k, t, HOLD_ADDRESSES);
	return 0;
}

/* The size of a text in a message. */
static size_t on_its_way(const char *text)
{
	size_t n = 2;
	for (const char *c = text; *c; c++)
		n += 1 + (*c == '"' || *c == '\\');
	return n;
}

static void give(struct claims *k, const struct choice *ch, const char *text)
{
	struct batch_take *to = &k->b->takes[ch->take];
	if (!ch->again)
		lifecycle_claim(k->u, ch->t, to->take->provisioner, to->take->worker,
		                to->take->lease_ms);
	const struct task_ref ref = task_ref_of(ch->t);
	batch_decided(k->b, &ref, to->take, HOLD_NOT);
	if (!to->payloads)
		to->payloads = json_new_arr();
	json_push(to->payloads, json_new_str(text));
	to->size += on_its_way(text);
	k->b->handed[k->b->n_handed++] =
		(struct handed){ ch->take, task_ref_of(ch->t), ch->t->attempt };
}

static int begin_with(struct claims *k, const struct choice *ch, const struct node_view *s,
                      const struct payload_parts *parts)
{
	LOOM_CLEANUP_STR char *config = NULL;
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
	struct task told = *ch->t;
	told.attempt += !ch->again;
	if (!ch->again)
		told.lease_ms = k->b->takes[ch->take].take->lease_ms;
	LOOM_CLEANUP_STR char *text =
		node_view_payload(s, parts, &told, unit_node(k->u, ch->t), config, MAX_PAYLOAD);
	if (!text || on_its_way(text) > MAX_TOGETHER + MAX_PAYLOAD)
		return refuse(k, ch->t, false, "what it has to be told is larger than 8 MiB");
	give(k, ch, text);
	return 0;
}

static int begin_one(struct claims *k, const struct choice *ch)
{
	struct unit_cluster *uc = unit_held(k->u, ch->t->cluster_id);
	const struct unit_job *j = unit_job_of(k->u, ch->t);
	const struct json *leaving = j ? j->job.params.leaving : NULL;
	struct payload_parts parts;
	int rc = payload_cache_get(k->b->payloads, k->u->db, uc->tx.c, ch->t->job_num, &parts);
	if (rc)
		return rc;
	if (leaving && !json_arr_has_str(leaving, ch->t->node_id)) {
		LOOM_CLEANUP(node_view_destroy)
		struct node_view *s = view_without(&uc->rows, uc->tx.c, leaving);
		return begin_with(k, ch, s, &parts);
	}
	return begin_with(k, ch, whole_view(k, uc), &parts);
}

/* One that was refused may have ended the job of others that were chosen with it. */
static int begin_all(struct claims *k)
{
	int64_t until = clock_mono_ms() + MAX_CLAIM_MS;
	int rc = k->n ? load_nodes(k) : 0;
	for (size_t i = 0; !rc && i < k->n; i++) {
		const struct choice *ch = &k->v[i];
		bool open = ch->again || ch->t->state == TASK_READY;
		if (open && k->b->takes[ch->take].size < MAX_TOGETHER && clock_mono_ms() <= until)
			rc = begin_one(k, ch);
		else
			k->b->more = true;
	}
	return rc;
}

/* Where there are limits, the end of a CREATE may let another begin, at any scheduler. */
static void count_freed(struct claims *k)
{
	const struct candidate_cache *o = k->b->candidate_cache;
	if (!o || !atomic_load(&o->limited))
		return;
	for (size_t i = 0; i < k->u->n_items; i++) {
		if (has_ended(&k->u->items[i]) &&
		    str_eq(k->u->items[i].t->name, plan_step_name(STEP_CREATE)))
			unit_held(k->u, k->u->items[i].t->cluster_id)->tx.ready++;
	}
}

int batch_claim(struct batch *b)
{
	struct claims k = { .b = b, .u = &b->unit };
	int rc = choose_all(&k);
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
