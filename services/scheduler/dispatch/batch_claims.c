/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims. First it is chosen which take gets which task: the fair queue says in which order, limits
 * what has to wait. Then all machines of the clusters
 * concerned are read at once, then each task is begun. A task that cannot be begun because its
 * configuration cannot be expanded is dealt with after the unit's rows are written.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/macro.h"

#define MAX_PAYLOAD  (8u << 20) /* bytes of one payload */
#define MAX_TOGETHER (3u << 20) /* no further task is given to a take after so much */
#define MAX_CLAIM_MS 500        /* nor to any after so long: the first one's lease runs */
#define POSTPONE_MS  1000

enum { QUARANTINE_E_TAKEN = 40 };

/* ---- choosing -------------------------------------------------------------------------------- */

static bool for_take(const struct take *take, const struct task *t)
{
	return str_eq(take->tenant, "*") || str_eq(take->tenant, t->tenant_id);
}

static size_t chosen_for(const struct unit *u, size_t take)
{
	size_t n = 0;
	for (size_t i = 0; i < u->n_choices; i++)
		n += u->choices[i].take == take;
	return n;
}

/* Paused and failed jobs hand nothing out. */
static bool may_begin(const struct unit *u, const struct item *it)
{
	const struct job_delta *m = unit_job(u, it->t);
	return !it->chosen && !it->slow_path && it->t->state == TASK_READY &&
	       it->t->not_before <= u->now && m && m->job.status == JOB_RUNNING;
}

static const char *gate_of(const struct unit *u, const struct task *t, char gate[TASK_GATE_MAX])
{
	const struct cluster *c = unit_held(u, t->cluster_id)->tx.c;
	task_gate(t->name, json_get_str(json_get(c->brief, "provider"), "name"), gate);
	return gate;
}

/* A failed task is for another provisioner to try, if there is one; but not for ever. */
static int keep_away(struct unit *u, const struct task *t, const struct take *take, bool *ret)
{
	const struct quarantine_config *cfg = u->batch->policy.quarantine;
	int64_t until = t->not_before + (cfg ? cfg->quarantine_avoid_ms : 0), others = 0;
	*ret = false;
	if (!t->failures || !str_eq(t->provisioner_id, take->provisioner) || u->now >= until)
		return 0;
	int rc = provisioners_beside(u->db, take->provisioner, t->tenant_id, &others);
	*ret = others > 0;
	if (*ret)
		batch_look_at(u->batch, until, u->now);
	return rc;
}

/* What a provisioner in quarantine gets is noted, so that there is one at a time. */
static int begin_probe(struct unit *u, struct batch_take *to, const struct task *t)
{
	const struct task_ref ref = task_ref_of(t);
	bool ours = false;
	int rc =
		quarantine_probe(u->db, to->take->provisioner, &ref, t->attempt + 1, u->now, &ours);
	to->barred = true; /* for all others of this batch */
	return rc ? rc : ours ? 0 : QUARANTINE_E_TAKEN;
}

static bool has_room(const struct unit *u, size_t take, const struct task *t)
{
	const struct batch_take *to = &u->batch->takes[take];
	return !to->barred && for_take(to->take, t) && (int64_t)chosen_for(u, take) < to->take->max;
}

static int choose(struct unit *u, struct item *it)
{
	struct batch *t = u->batch;
	char gate[TASK_GATE_MAX];
	for (size_t i = 0; i < t->n_takes; i++) {
		bool away;
		if (!has_room(u, i, it->t))
			continue;
		int rc = keep_away(u, it->t, t->takes[i].take, &away);
		if (rc)
			return rc;
		if (away)
			continue;
		if (!limits_allow(&u->limits, it->t->tenant_id, gate_of(u, it->t, gate)))
			return 0;
		rc = t->takes[i].probe ? begin_probe(u, &t->takes[i], it->t) : 0;
		if (rc == QUARANTINE_E_TAKEN)
			continue;
		if (rc)
			return rc;
		it->chosen = true;
		u->choices[u->n_choices++] = (struct choice){ .take = i, .t = it->t };
		fair_queue_given(t->candidate_cache->fair, it->t->tenant_id, it->t->cluster_id);
		return 0;
	}
	return 0;
}

/* The commit of an earlier run went through, but its answer was lost. */
static void choose_again(struct unit *u, const struct handed *h)
{
	struct item *it = unit_item(u, &h->ref);
	const struct take *take = u->batch->takes[h->take].take;
	if (!it || it->chosen || it->t->state != TASK_RUNNING || it->t->attempt != h->attempt ||
	    !str_eq(it->t->provisioner_id, take->provisioner) ||
	    !str_eq(it->t->worker_id, take->worker))
		return;
	it->chosen = true;
	u->choices[u->n_choices++] = (struct choice){ h->take, it->t, true };
}

/* What was found ready, and what this very batch made ready. */
static struct fair_offer *offers(struct unit *u, size_t *ret_n)
{
	struct batch *t = u->batch;
	struct fair_offer *v = loom_calloc(t->n_candidates + u->n_newly_ready + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < t->n_candidates + u->n_newly_ready; i++) {
		const struct task_ref ref =
			i < t->n_candidates ? t->candidates[i]
					    : task_ref_of(u->newly_ready[i - t->n_candidates]);
		struct item *it = unit_item(u, &ref);
		if (!unit_cluster(u, ref.cluster))
			t->more = true; /* held by somebody else now */
		if (it && may_begin(u, it))
			v[n++] = (struct fair_offer){ it->t->tenant_id, ref.cluster,
				                      it->t->not_before, (size_t)(it - u->items) };
	}
	fair_queue_order(t->candidate_cache->fair, v, n);
	*ret_n = n;
	return v;
}

/* Locks the limits that these tasks need. */
static int hold_limits(struct unit *u, const struct fair_offer *v, size_t n)
{
	struct limits_hold *h = &u->limits;
	h->known = u->batch->candidate_cache->limits;
	h->now = u->now;
	if (!h->known)
		return 0;
	struct limits_need *needs = loom_calloc(n + 1, sizeof(*needs));
	char(*gates)[TASK_GATE_MAX] = loom_calloc(n + 1, sizeof(*gates));
	for (size_t i = 0; i < n; i++)
		needs[i] = (struct limits_need){ v[i].tenant,
			                         gate_of(u, u->items[v[i].index].t, gates[i]) };
	int rc = limits_hold(u->db, h, needs, n);
	for (size_t i = 0; i < u->n_items; i++) {
		const struct task *t = u->items[i].t;
		if (u->items[i].changed && t->state == TASK_COMPLETE)
			limits_ended(h, t->tenant_id, gate_of(u, t, gates[n]));
	}
	loom_free(gates);
	loom_free(needs);
	return rc;
}

static int choose_all(struct unit *u)
{
	struct batch *t = u->batch;
	size_t n = 0;
	u->choices = loom_calloc(u->n_items + 1, sizeof(*u->choices));
	for (size_t i = 0; i < t->n_handed; i++)
		choose_again(u, &t->handed[i]);
	if (!t->n_takes)
		return 0;
	struct fair_offer *v = offers(u, &n);
	int rc = hold_limits(u, v, n);
	for (size_t i = 0; !rc && i < n; i++)
		rc = choose(u, &u->items[v[i].index]);
	loom_free(v);
	t->more = t->more || u->limits.busy;
	batch_look_at(t, u->limits.next_at, u->now);
	return rc;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The machines of all clusters that tasks are chosen of. */
static int load_nodes(struct unit *u)
{
	int64_t *ids = loom_calloc(u->n_choices + 1, sizeof(*ids));
	for (size_t i = 0; i < u->n_choices; i++)
		ids[i] = u->choices[i].t->cluster_id;
	int rc = rows_load_nodes(u, ids, u->n_choices);
	loom_free(ids);
	return rc;
}

/* The machines of a cluster; those that stay do not count on those that go. */
static struct node_view *look(const struct cached_cluster *p, const struct cluster *c,
                              const struct json *leaving)
{
	const struct nodes *all = p->nodes;
	struct node *v = loom_calloc(all->n + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < all->n; i++)
		if (!json_arr_has_str(leaving, all->v[i].id))
			v[n++] = all->v[i];
	struct node_view *s = node_view_create(v, n, c->owner_id);
	loom_free(v);
	return s;
}

static void refuse(struct unit *u, struct task *t, bool may_wait, const char *why)
{
	u->refusals[u->n_refusals++] = (struct refusal){ t, may_wait, loom_strdup(why) };
}

static void set_running(struct unit *u, struct task *t, const struct take *take)
{
	const struct task_ref ref = task_ref_of(t);
	struct item *it = unit_item(u, &ref);
	loom_assert(task_may_become(t->state, TASK_RUNNING));
	t->state = TASK_RUNNING;
	t->attempt++;
	t->lease_ms = take->lease_ms;
	t->lease_until = u->now + t->lease_ms;
	t->submit_time = u->now;
	loom_free(t->provisioner_id);
	loom_free(t->worker_id);
	loom_free(t->message);
	t->message = NULL;
	t->provisioner_id = loom_strdup(take->provisioner);
	t->worker_id = loom_strdup(take->worker);
	it->changed = true;
	task_event(unit_held(u, t->cluster_id)->tx.c, t, u->now);
}

/* The size of a text in a message. */
static size_t on_its_way(const char *text)
{
	size_t n = 2;
	for (const char *c = text; *c; c++)
		n += 1 + (*c == '"' || *c == '\\');
	return n;
}

static void give(struct unit *u, const struct choice *ch, const char *text)
{
	struct batch_take *to = &u->batch->takes[ch->take];
	if (!ch->again)
		set_running(u, ch->t, to->take);
	if (!to->payloads)
		to->payloads = json_new_arr();
	json_push(to->payloads, json_new_str(text));
	to->size += on_its_way(text);
	u->batch->handed[u->batch->n_handed++] =
		(struct handed){ ch->take, task_ref_of(ch->t), ch->t->attempt };
}

static void begin_with(struct unit *u, const struct choice *ch, const struct node_view *s,
                       const struct payload_parts *payloads)
{
	LOOM_CLEANUP_STR char *config = NULL;
	struct loom_err err = { 0 };
	int reason = node_view_config(s, payloads, ch->t, &config, &err);
	if (reason && ch->again)
		return;
	if (reason) {
		LOOM_CLEANUP_STR char *why =
			loom_asprintf("the configuration cannot be expanded: %s", err.msg);
		refuse(u, ch->t, reason == MACRO_E_INCOMPLETE, why);
		return;
	}
	const struct node *n = cached_cluster_node(unit_held(u, ch->t->cluster_id)->cached, ch->t);
	struct task told = *ch->t;
	told.attempt += !ch->again;
	if (!ch->again)
		told.lease_ms = u->batch->takes[ch->take].take->lease_ms;
	LOOM_CLEANUP_STR char *text = node_view_payload(s, payloads, &told, n, config, MAX_PAYLOAD);
	if (text && on_its_way(text) <= MAX_TOGETHER + MAX_PAYLOAD)
		give(u, ch, text);
	else
		refuse(u, ch->t, false, "what it has to be told is larger than 8 MiB");
}

static int begin_one(struct unit *u, const struct choice *ch)
{
	struct cluster *c = unit_held(u, ch->t->cluster_id)->tx.c;
	struct cached_cluster *p = unit_held(u, ch->t->cluster_id)->cached;
	const struct job_delta *m = unit_job(u, ch->t);
	const struct json *leaving = m ? json_get(m->job.params, "leaving") : NULL;
	struct payload_parts payloads;
	int rc = payload_cache_get(u->batch->payloads, u->db, c, ch->t->job_num, &payloads);
	if (rc)
		return rc;
	if (leaving && !json_arr_has_str(leaving, ch->t->node_id)) {
		LOOM_CLEANUP(node_view_destroy) struct node_view *s = look(p, c, leaving);
		begin_with(u, ch, s, &payloads);
		return 0;
	}
	if (!p->node_view)
		p->node_view = look(p, c, NULL);
	begin_with(u, ch, p->node_view, &payloads);
	return 0;
}

/* Where there are limits, the end of a CREATE may let another begin, at any scheduler. */
static bool frees(const struct unit *u, const struct task *t)
{
	return u->batch->candidate_cache && atomic_load(&u->batch->candidate_cache->limited) &&
	       str_eq(t->name, "CREATE");
}

/* What nobody took is for others, or for the next batch. */
static void count_left(struct unit *u)
{
	for (size_t i = 0; i < u->n_newly_ready; i++)
		if (u->newly_ready[i]->state == TASK_READY)
			unit_held(u, u->newly_ready[i]->cluster_id)->tx.ready++;
	for (size_t i = 0; i < u->n_items; i++) {
		const struct item *it = &u->items[i];
		bool ended = it->slow_path || (it->changed && it->t->state == TASK_COMPLETE);
		if (ended && frees(u, it->t))
			unit_held(u, it->t->cluster_id)->tx.ready++;
	}
}

int claims_make(struct unit *u)
{
	struct batch *t = u->batch;
	int64_t until = clock_mono_ms() + MAX_CLAIM_MS;
	int rc = choose_all(u);
	if (rc)
		return rc;
	t->n_handed = 0;
	t->handed = loom_realloc(t->handed, (u->n_choices + 1) * sizeof(*t->handed));
	u->refusals = loom_calloc(u->n_choices + 1, sizeof(*u->refusals));
	if (u->n_choices)
		rc = load_nodes(u);
	for (size_t i = 0; !rc && i < u->n_choices; i++) {
		const struct choice *ch = &u->choices[i];
		if (t->takes[ch->take].size < MAX_TOGETHER && clock_mono_ms() <= until)
			rc = begin_one(u, ch);
		else
			t->more = true;
	}
	count_left(u);
	return rc ? rc : limits_save(u->db, &u->limits);
}

/* A configuration that needs an address which a machine of this job does not have yet is expanded
 * later; any other failure is final. */
static int refuse_one(struct unit *u, const struct refusal *r)
{
	struct batch_cluster *to = unit_held(u, r->t->cluster_id);
	const struct task_ref ref = task_ref_of(r->t);
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	bool wait = false;
	u->batch->more = true; /* its take may have another */
	int rc = tasks_get(u->db, &ref, 1, &ts);
	/* A result of this very batch may have dropped it with its job. */
	if (rc || !ts->n || ts->v[0].state != TASK_READY)
		return rc;
	if (r->may_wait)
		rc = tasks_await_machines(u->db, ref.cluster, ref.job, &wait);
	if (rc)
		return rc;
	if (wait) {
		to->cache_invalid = true;
		return task_postpone(u->db, &ts->v[0], u->now + POSTPONE_MS);
	}
	to->save_whole_cluster = true;
	return lifecycle_refuse(u->db, &to->tx, &ts->v[0], r->why);
}

int claims_refuse(struct unit *u)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_refusals; i++)
		rc = refuse_one(u, &u->refusals[i]);
	return rc;
}
