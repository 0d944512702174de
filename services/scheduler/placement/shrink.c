/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the nodes to remove.
 * Every service keeps max(1, its minimum) nodes. Within that, the choice loses the fewest service
 * instances and prefers the newest nodes.
 */
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/relayout_private.h"
#include "services/scheduler/placement/removal_search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Search steps: 0.2 s, measured by tests/unit/test_scheduler_relayout.c (removal_gives_up). */
#define WORK INT64_C(300000000)

struct shrink {
	const struct placement_state *s;
	struct removal_search search;
	int64_t *have; /* by service: present nodes */
	int64_t *keep; /* by service: nodes it must keep */
	bool *removed; /* by node */
};

/* ---- reasons -------------------------------------------------------------------------------- */

static int refuse_service(const struct shrink *sh, size_t service, int64_t left,
                          struct loom_err *err)
{
	const char *name = sh->s->rules.services[service].name;
	if (!left && sh->keep[service] == 1) {
		return err_set(err, 400, "service %s would be on no node; remove the service first",
		               name);
	}
	return err_set(err, 400,
	               "service %s needs at least %" PRId64 " %s, but would be on %" PRId64, name,
	               REASON_NODES(sh->keep[service]), left);
}

static int refuse_work(struct loom_err *err)
{
	return err_set(err, 422,
	               "the cluster's nodes are too different to find which can be removed within "
	               "the work limit; name the nodes to remove");
}

/* Finds the largest number of nodes, below `below`, that can be removed. */
static enum removal_answer most_to_go(struct removal_search *p, int64_t below, int64_t *ret)
{
	int64_t *take = loom_calloc(p->n + 1, sizeof(*take));
	int64_t good = 0;
	int64_t bad = below;
	int64_t cost;
	enum removal_answer a = REMOVAL_YES;
	while (good + 1 < bad && a != REMOVAL_UNKNOWN) {
		const int64_t middle = good + (bad - good) / 2;
		a = removal_find(p, middle, INT64_MAX, true, take, &cost);
		if (a == REMOVAL_YES)
			good = middle;
		else
			bad = middle;
	}
	loom_free(take);
	*ret = good;
	return a == REMOVAL_UNKNOWN ? a : REMOVAL_YES;
}

/* Names only the services that prevent the removal. */
static int refuse_count(struct shrink *sh, int64_t count, struct loom_err *err)
{
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	struct removal_search *p = &sh->search;
	int64_t *take;
	int64_t most;
	int64_t cost;
	if (most_to_go(p, count, &most) == REMOVAL_UNKNOWN)
		return refuse_work(err);
	take = loom_calloc(p->n + 1, sizeof(*take));
	for (size_t i = 0; i < p->n_limits; i++) {
		const int64_t left = p->left[i];
		p->left[i] = INT64_MAX / 2;
		if (removal_find(p, count, INT64_MAX, true, take, &cost) == REMOVAL_NO)
			continue;
		p->left[i] = left;
		buf_addf(&who, "%sservice %s is on %" PRId64 " and needs at least %" PRId64,
		         who.len ? ", " : "", sh->s->rules.services[i].name, sh->have[i],
		         sh->keep[i]);
	}
	loom_free(take);
	return err_set(err, 400,
	               "at most %" PRId64 " of the %zu nodes can be removed, not %" PRId64 ": %s",
	               most, sh->s->in->n_nodes, count, buf_str(&who));
}

/* ---- named nodes ---------------------------------------------------------------------------- */

static int mark_named(struct shrink *sh, struct loom_err *err)
{
	const struct relayout_input *in = sh->s->in;
	for (size_t k = 0; k < in->n_nodenums; k++) {
		size_t i = 0;
		while (i < in->n_nodes && in->nodes[i].nodenum != in->nodenums[k])
			i++;
		if (i == in->n_nodes) {
			return err_set(err, 400, "the cluster has no node with the number %" PRId64,
			               in->nodenums[k]);
		}
		sh->removed[i] = true;
	}
	for (size_t v = 0; v < sh->s->rules.n_services; v++) {
		int64_t left = 0;
		for (size_t k = 0; k < sh->s->n_kinds; k++) {
			const struct node_kind *kind = &sh->s->kinds[k];
			for (size_t j = 0; j < kind->n; j++)
				left += kind->has[v] && !sh->removed[kind->nodes[j]];
		}
		if (left < sh->keep[v] && left < sh->have[v])
			return refuse_service(sh, v, left, err);
	}
	return 0;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static struct removal_kind removal_kind(const struct placement_state *s, size_t kind)
{
	const struct node_kind *from = &s->kinds[kind];
	struct removal_kind k = { .id = kind, .have = (int64_t)from->n };
	k.draws = loom_calloc(s->rules.n_services + 1, sizeof(*k.draws));
	for (size_t v = 0; v < s->rules.n_services; v++) {
		if (from->has[v])
			k.draws[k.n_draws++] = v;
	}
	k.cost = (int64_t)k.n_draws;
	return k;
}

static int compare_costs(const void *a, const void *b)
{
	const struct removal_kind *x = a;
	const struct removal_kind *y = b;
	if (x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static void make_search(struct shrink *sh)
{
	const struct placement_state *s = sh->s;
	struct removal_search *p = &sh->search;
	*p = (struct removal_search){ .n_limits = s->rules.n_services, .work = WORK };
	p->kinds = loom_calloc(s->n_kinds + 1, sizeof(*p->kinds));
	p->left = loom_calloc(p->n_limits + 1, sizeof(*p->left));
	for (size_t v = 0; v < p->n_limits; v++)
		p->left[v] = sh->have[v] > sh->keep[v] ? sh->have[v] - sh->keep[v] : 0;
	for (; p->n < s->n_kinds; p->n++)
		p->kinds[p->n] = removal_kind(s, p->n);
	qsort(p->kinds, p->n, sizeof(*p->kinds), compare_costs);
}

struct candidate {
	size_t node, kind; /* index of the node; index into search.kinds */
	int nodenum;
};

static int compare_candidates(const void *a, const void *b)
{
	const int x = ((const struct candidate *)a)->nodenum;
	const int y = ((const struct candidate *)b)->nodenum;
	return (x < y) - (x > y);
}

/* All nodes, highest number first. */
static struct candidate *make_candidates(const struct shrink *sh)
{
	struct candidate *all = loom_calloc(sh->s->in->n_nodes + 1, sizeof(*all));
	size_t n = 0;
	for (size_t i = 0; i < sh->search.n; i++) {
		const struct node_kind *k = &sh->s->kinds[sh->search.kinds[i].id];
		for (size_t j = 0; j < k->n; j++, n++) {
			const int nodenum = sh->s->in->nodes[k->nodes[j]].nodenum;
			all[n] = (struct candidate){ k->nodes[j], i, nodenum };
		}
	}
	qsort(all, n, sizeof(*all), compare_candidates);
	return all;
}

/* Can a node of this kind be removed, and the rest within the cost? *way then removes the rest. */
static bool goes(struct removal_search *p, size_t kind, int64_t count, int64_t cost, int64_t **way)
{
	int64_t *other;
	if (!removal_take(p, kind))
		return false;
	if ((*way)[kind]) {
		(*way)[kind]--;
		return true;
	}
	cost -= p->kinds[kind].cost;
	other = loom_calloc(p->n + 1, sizeof(*other));
	if (cost >= 0 && removal_find(p, count - 1, cost, true, other, &cost) == REMOVAL_YES) {
		loom_free(*way);
		*way = other;
		return true;
	}
	loom_free(other);
	removal_put_back(p, kind);
	return false;
}

/*
 * Goes through the nodes from the highest number down and removes each one that does not make the
 * whole dearer. way is a cheapest choice for all of them. If one node of a kind cannot be removed,
 * no later one of that kind can, because even more has been removed by then. Takes way.
 */
static void take_highest(struct shrink *sh, int64_t count, int64_t cost, int64_t *way)
{
	struct removal_search *p = &sh->search;
	struct candidate *all = make_candidates(sh);
	bool *closed = loom_calloc(p->n + 1, sizeof(*closed));
	for (size_t i = 0; count; i++) {
		const size_t kind = all[i].kind;
		if (closed[kind])
			continue;
		closed[kind] = !goes(p, kind, count, cost, &way);
		if (closed[kind])
			continue;
		sh->removed[all[i].node] = true;
		cost -= p->kinds[kind].cost;
		count--;
	}
	loom_free(closed);
	loom_free(all);
	loom_free(way);
}

static int choose(struct shrink *sh, int64_t count, struct loom_err *err)
{
	int64_t *way;
	int64_t cost = 0;
	make_search(sh);
	way = loom_calloc(sh->search.n + 1, sizeof(*way));
	switch (removal_find(&sh->search, count, INT64_MAX, false, way, &cost)) {
	case REMOVAL_YES:
		take_highest(sh, count, cost, way);
		return 0;
	case REMOVAL_NO:
		loom_free(way);
		return refuse_count(sh, count, err);
	case REMOVAL_UNKNOWN:
		break;
	}
	loom_free(way);
	return refuse_work(err);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Reads how many nodes to remove. The request may name a node twice. */
static int read_count(const struct relayout_input *in, int64_t *ret, struct loom_err *err)
{
	int64_t named = 0;
	for (size_t i = 0; i < in->n_nodenums; i++) {
		bool before = false;
		for (size_t k = 0; k < i && !before; k++)
			before = in->nodenums[k] == in->nodenums[i];
		named += !before;
	}
	if (named && in->count && in->count != named) {
		return err_set(err, 400,
		               "%" PRId64 " nodes are named, but %" PRId64 " are to be removed",
		               named, in->count);
	}
	*ret = named ? named : in->count;
	if (*ret < 1)
		return err_set(err, 400, "the number of nodes to remove must be greater than 0");
	if (*ret >= (int64_t)in->n_nodes) {
		return err_set(err, 400,
		               "the cluster has %zu %s and must keep one; delete it instead",
		               REASON_NODES(in->n_nodes));
	}
	return 0;
}

static int check_rest(const struct shrink *sh, struct loom_err *err)
{
	const struct placement_state *s = sh->s;
	struct node_kind *kinds = loom_calloc(s->n_kinds + 1, sizeof(*kinds));
	bool *on = placement_present(s);
	const struct placement rest = { kinds, s->n_kinds, on };
	for (size_t k = 0; k < s->n_kinds; k++) {
		const struct node_kind *from = &s->kinds[k];
		kinds[k] = *from;
		kinds[k].n = 0;
		kinds[k].nodes = loom_calloc(from->n, sizeof(*from->nodes));
		for (size_t j = 0; j < from->n; j++) {
			if (!sh->removed[from->nodes[j]])
				kinds[k].nodes[kinds[k].n++] = from->nodes[j];
		}
	}
	int rc = placement_check_nodes(s, &rest, err);
	rc = rc ? rc : placement_check_counts(s, &rest, err);
	for (size_t k = 0; k < s->n_kinds; k++)
		loom_free(kinds[k].nodes);
	loom_free(kinds);
	loom_free(on);
	return rc;
}

static void report(const struct shrink *sh, struct relayout *t)
{
	const size_t n = sh->s->in->n_nodes;
	t->removed = loom_calloc(n + 1, sizeof(*t->removed));
	for (size_t i = 0; i < n; i++) {
		if (sh->removed[i])
			t->removed[t->n_removed++] = i;
	}
	relayout_note_services(sh->s, t, NULL);
}

int relayout_shrink(const struct placement_state *s, struct relayout *t, struct loom_err *err)
{
	const size_t services = s->rules.n_services;
	struct shrink sh = { .s = s };
	int64_t count = 0;
	int rc = read_count(s->in, &count, err);
	rc = rc ? rc : rules_check_size(&s->rules, (int64_t)s->in->n_nodes - count, err);
	if (rc)
		return rc;
	sh.removed = loom_calloc(s->in->n_nodes + 1, sizeof(*sh.removed));
	sh.have = loom_calloc(services + 1, sizeof(*sh.have));
	sh.keep = loom_calloc(services + 1, sizeof(*sh.keep));
	for (size_t v = 0; v < services; v++) {
		sh.have[v] = placement_count(s->kinds, s->n_kinds, v);
		sh.keep[v] = s->rules.services[v].min > 1 ? s->rules.services[v].min : 1;
	}
	rc = s->in->n_nodenums ? mark_named(&sh, err) : choose(&sh, count, err);
	rc = rc ? rc : check_rest(&sh, err);
	if (!rc)
		report(&sh, t);
	removal_search_fini(&sh.search);
	loom_free(sh.removed);
	loom_free(sh.have);
	loom_free(sh.keep);
	return rc;
}
