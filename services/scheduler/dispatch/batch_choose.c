/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_choose - assigns tasks to takes. The fair queue gives the order of the tasks; limits and
 * quarantines hold some back; a take that cannot have a task leaves it to the next take. Each held
 * task records the reason, by one name for dispatcher and `loom cluster why` (hold.h).
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/str.h"

#include <string.h>

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

static void held_back(const struct claims *k, struct unit_task *it, enum hold why)
{
	const struct task_ref ref = task_ref_of(it->t);
	it->hold = why;
	batch_decided(k->b, &ref, NULL, why);
}

/* Why a ready task is held, before any take is considered. */
static enum hold held(const struct claims *k, const struct unit_task *it)
{
	if (it->t->not_before > k->u->now)
		return it->t->failures ? HOLD_RETRY : HOLD_ADDRESSES;
	return unit_job_of(k->u, it->t)->job.status == JOB_PAUSED ? HOLD_PAUSED : HOLD_NOT;
}

/* Failed jobs hand out no tasks. */
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

/* A failed task should go to another provisioner, if there is one; but only for a while. */
static int keep_away(struct claims *k, const struct task *t, const struct take *take, bool *ret)
{
	const struct quarantine_config *cfg = k->b->policy.quarantine;
	int64_t until = t->not_before + (cfg ? cfg->quarantine_avoid_ms : 0), others = 0;
	*ret = false;
	if (!t->failures || !str_eq(t->provisioner_id, take->provisioner) || k->u->now >= until)
		return 0;
	int rc = k->u->store->provisioners_beside(k->u->db, take->provisioner, t->tenant_id,
	                                          &others);
	*ret = others > 0;
	if (*ret)
		batch_look_at(k->b, until, k->u->now);
	return rc;
}

/* Records the probe of a quarantined provisioner, so that it has only one at a time. */
static int begin_probe(struct claims *k, struct batch_take *to, const struct task *t)
{
	const struct task_ref ref = task_ref_of(t);
	bool ours = false;
	int rc = k->u->store->probe(k->u->db, to->take->provisioner, &ref, t->attempt + 1,
	                            k->u->now, &ours);
	to->barred = true; /* no further tasks from this batch */
	return rc ? rc : ours ? 0 : PROVISIONER_E_PROBED;
}

/* A worker that sends a result gets tasks only if its result is applied in this batch. */
static bool has_room(const struct claims *k, size_t take)
{
	const struct batch_take *to = &k->b->takes[take];
	if (to->with && to->with->status != 200)
		return false;
	return (int64_t)chosen_for(k, take) < to->take->max;
}

/* Gives a task to a take, if nothing holds it; else *why tells the reason. */
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

/* Do these reasons hold a task from every take? */
static bool holds_from_all(enum hold why)
{
	return why == HOLD_PROVIDER_CREATES || why == HOLD_PROVIDER_CALLS || why == HOLD_CONTENDED;
}

static bool is_large(const struct claims *k, const struct task *t)
{
	const struct cached_cluster *at = batch_cached(k->b, t->cluster_id);
	return at && at->config_job == t->job_num && at->config_size > LARGE_CONFIG;
}

/* While several tenants compete, a batch makes only one large configuration: small tasks of others
 * must not wait for several of them, and get the places. */
static bool is_too_much(const struct claims *k, const struct task *t)
{
	return k->large && fair_queue_contended(k->b->candidate_cache->fair) && is_large(k, t);
}

static int choose(struct claims *k, struct unit_task *it)
{
	struct batch *b = k->b;
	if (is_too_much(k, it->t)) {
		b->more = true;
		held_back(k, it, HOLD_BUSY);
		return 0;
	}
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
			k->large += is_large(k, it->t);
			fair_queue_given(b->candidate_cache->fair, it->t->tenant_id,
			                 it->t->cluster_id);
			return 0;
		}
		why = why == HOLD_BUSY ? one : why;
		if (holds_from_all(one))
			break;
	}
	held_back(k, it, why);
	return 0;
}

/* Hands out a task again whose claim was committed, but whose answer was lost. */
static void choose_again(struct claims *k, const struct handed *h)
{
	struct unit_task *it = unit_item(k->u, &h->ref);
	const struct take *take = k->b->takes[h->take].take;
	if (!it || it->chosen || it->t->state != TASK_RUNNING || it->t->attempt != h->attempt ||
	    !str_eq(it->t->provisioner_id, take->provisioner) ||
	    !str_eq(it->t->worker_id, take->worker))
		return;
	it->chosen = true;
	struct choice *ch = &k->v[k->n++];
	*ch = (struct choice){ .take = h->take, .t = it->t, .again = true };
	memcpy(ch->claim, h->claim, sizeof(ch->claim));
}

/* While tenants compete, tasks made ready by a batch without a search wait for the next search:
 * this batch knows no other tenant's tasks, and busy workers would just go on with their own
 * tenant. */
static size_t newly_ready(struct claims *k)
{
	struct batch *b = k->b;
	if (b->search || !fair_queue_contended(b->candidate_cache->fair))
		return k->u->n_newly_ready;
	b->more = b->more || k->u->n_newly_ready;
	return 0;
}

/* The tasks found ready, and those that this batch made ready. */
static struct fair_offer *offers(struct claims *k, size_t *ret_n)
{
	struct batch *b = k->b;
	size_t n = 0, all = b->n_candidates + newly_ready(k);
	struct fair_offer *v = loom_calloc(all + 1, sizeof(*v));
	for (size_t i = 0; i < all; i++) {
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
			held_back(k, it, why);
		else
			v[n++] = (struct fair_offer){ it->t->tenant_id, ref.cluster,
				                      it->t->not_before,
				                      (size_t)(it - k->u->items) };
	}
	fair_queue_order(b->candidate_cache->fair, v, n);
	*ret_n = n;
	return v;
}

bool batch_has_ended(const struct unit_task *it)
{
	return it->was == TASK_RUNNING && it->t->state != TASK_RUNNING;
}

/* Locks the limits that apply to these tasks. */
static int hold_limits(struct claims *k, const struct fair_offer *v, size_t n)
{
	struct limits_hold *h = &k->limits;
	h->known = k->b->candidate_cache->limits;
	h->lock = k->u->store->lock_limits;
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
		if (batch_has_ended(&k->u->items[i]))
			limits_ended(h, t->tenant_id, gate_of(k, t, gates[n]));
	}
	loom_free(gates);
	loom_free(needs);
	return rc;
}

int batch_choose(struct claims *k)
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
