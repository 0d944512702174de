/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which machines go. A service may lose as many machines as it has more than max(1, its minimum).
 */
#include "services/scheduler/placement/relayout_private.h"
#include "services/scheduler/placement/removal_search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORK INT64_C(300000000) /* under a second */

struct shrink {
	const struct site *s;
	struct pick pick;
	size_t *kind_of; /* by kind of the pick: the kind of the site */
	int64_t *have;   /* by service: machines now */
	int64_t *keep;   /* by service: machines at least */
	bool *gone;      /* by machine */
};

/* ---- reasons -------------------------------------------------------------------------------- */

static int refuse_service(const struct shrink *sh, size_t service, int64_t left,
                          struct loom_err *err)
{
	const char *name = sh->s->services[service].name;

	if (!left && sh->keep[service] == 1) {
		return err_set(err, 400, "service %s would be on no node; remove the service first",
		               name);
	}
	return err_set(err, 400,
	               "service %s needs at least %" PRId64 " %s, but would be on %" PRId64, name,
	               sh->keep[service], site_nodes_word(sh->keep[service]), left);
}

static int refuse_work(struct loom_err *err)
{
	return err_set(err, 422,
	               "the cluster's nodes are too different to find which can be removed within "
	               "the work limit; name the nodes to remove");
}

/* The most machines that can go. */
static enum pick_answer most_to_go(struct pick *p, int64_t below, int64_t *ret)
{
	int64_t *take = loom_calloc(p->n + 1, sizeof(*take));
	int64_t good = 0;
	int64_t bad = below;
	int64_t cost;
	enum pick_answer a = PICK_YES;

	while (good + 1 < bad && a != PICK_UNKNOWN) {
		const int64_t middle = good + (bad - good) / 2;

		a = pick_find(p, middle, INT64_MAX, true, take, &cost);
		if (a == PICK_YES)
			good = middle;
		else
			bad = middle;
	}
	loom_free(take);
	*ret = good;
	return a == PICK_UNKNOWN ? a : PICK_YES;
}

/* Names only the services without which it would be possible. */
static int refuse_count(struct shrink *sh, int64_t count, struct loom_err *err)
{
	struct pick *p = &sh->pick;
	struct buf who = BUF_INIT(SITE_TEXT);
	int64_t *take = loom_calloc(p->n + 1, sizeof(*take));
	int64_t most;
	int64_t cost;
	bool first = true;

	if (most_to_go(p, count, &most) == PICK_UNKNOWN) {
		loom_free(take);
		return refuse_work(err);
	}
	for (size_t i = 0; i < p->n_limits; i++) {
		const int64_t left = p->left[i];

		p->left[i] = INT64_MAX / 2;
		if (pick_find(p, count, INT64_MAX, true, take, &cost) != PICK_NO)
			p->left[i] = left;
		else
			continue;
		buf_addf(&who, "%sservice %s is on %" PRId64 " and needs at least %" PRId64,
		         first ? "" : ", ", sh->s->services[i].name, sh->have[i], sh->keep[i]);
		first = false;
	}
	err_set(err, 400,
	        "at most %" PRId64 " of the %zu nodes can be removed, not %" PRId64 ": %s", most,
	        sh->s->in->n_nodes, count, buf_str(&who));
	buf_fini(&who);
	loom_free(take);
	return 400;
}

/* ---- named machines ------------------------------------------------------------------------- */

static int mark_named(struct shrink *sh, struct loom_err *err)
{
	const struct relayout_input *in = sh->s->in;

	for (size_t k = 0; k < in->n_nodenums; k++) {
		size_t i = 0;

		while (i < in->n_nodes && in->nodes[i].nodenum != in->nodenums[k])
			i++;
		if (i == in->n_nodes) {
			return err_set(err, 400, "the cluster has no node with the number %d",
			               in->nodenums[k]);
		}
		sh->gone[i] = true;
	}
	for (size_t v = 0; v < sh->s->n_services; v++) {
		int64_t left = 0;

		for (size_t k = 0; k < sh->s->n_kinds; k++) {
			for (size_t j = 0; j < sh->s->kinds[k].n; j++)
				left += sh->s->kinds[k].has[v] &&
				        !sh->gone[sh->s->kinds[k].nodes[j]];
		}
		if (left < sh->keep[v] && left < sh->have[v])
			return refuse_service(sh, v, left, err);
	}
	return 0;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static int64_t size_of_kind(const struct site *s, size_t kind)
{
	int64_t n = 0;

	for (size_t v = 0; v < s->n_services; v++)
		n += s->kinds[kind].has[v];
	return n;
}

static void add_kind(struct shrink *sh, size_t kind, struct pick_kind *k)
{
	const struct site *s = sh->s;

	*k = (struct pick_kind){ .have = (int64_t)s->kinds[kind].n, .cost = size_of_kind(s, kind) };
	k->draws = loom_calloc(s->n_services + 1, sizeof(*k->draws));
	for (size_t v = 0; v < s->n_services; v++) {
		if (s->kinds[kind].has[v])
			k->draws[k->n_draws++] = v;
	}
}

/* Kinds of equal cost keep their order. */
static void make_pick(struct shrink *sh)
{
	const struct site *s = sh->s;
	struct pick *p = &sh->pick;
	int64_t most = 0;

	*p = (struct pick){ .n_limits = s->n_services, .work = WORK };
	p->kinds = loom_calloc(s->n_kinds + 1, sizeof(*p->kinds));
	p->left = loom_calloc(s->n_services + 1, sizeof(*p->left));
	sh->kind_of = loom_calloc(s->n_kinds + 1, sizeof(*sh->kind_of));
	for (size_t v = 0; v < s->n_services; v++)
		p->left[v] = sh->have[v] > sh->keep[v] ? sh->have[v] - sh->keep[v] : 0;
	for (size_t k = 0; k < s->n_kinds; k++)
		most = size_of_kind(s, k) > most ? size_of_kind(s, k) : most;
	for (int64_t cost = 0; cost <= most; cost++) {
		for (size_t k = 0; k < s->n_kinds; k++) {
			if (size_of_kind(s, k) != cost)
				continue;
			sh->kind_of[p->n] = k;
			add_kind(sh, k, &p->kinds[p->n++]);
		}
	}
}

/* A machine, by number from the highest on. */
struct turn {
	size_t node, kind; /* kind of the pick */
	int nodenum;
};

static int compare_turns(const void *a, const void *b)
{
	const int x = ((const struct turn *)a)->nodenum;
	const int y = ((const struct turn *)b)->nodenum;

	return (x < y) - (x > y);
}

static struct turn *make_turns(const struct shrink *sh)
{
	struct turn *all = loom_calloc(sh->s->in->n_nodes + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < sh->pick.n; i++) {
		const struct site_kind *k = &sh->s->kinds[sh->kind_of[i]];

		for (size_t j = 0; j < k->n; j++, n++) {
			all[n] = (struct turn){ k->nodes[j], i,
				                sh->s->in->nodes[k->nodes[j]].nodenum };
		}
	}
	qsort(all, n, sizeof(*all), compare_turns);
	return all;
}

/* Can one of a kind go, and the rest at no higher cost? *way is then the way to take the rest. */
static bool goes(struct pick *p, size_t kind, int64_t count, int64_t cost, int64_t **way)
{
	int64_t *other;

	if (!pick_take(p, kind))
		return false;
	if ((*way)[kind]) {
		(*way)[kind]--;
		return true;
	}
	cost -= p->kinds[kind].cost;
	other = loom_calloc(p->n + 1, sizeof(*other));
	if (cost >= 0 && pick_find(p, count - 1, cost, true, other, &cost) == PICK_YES) {
		loom_free(*way);
		*way = other;
		return true;
	}
	loom_free(other);
	pick_untake(p, kind);
	return false;
}

/*
 * From the highest number on, each machine goes that can go without making the whole dearer. way
 * is a cheapest way to take them all. A kind that could not go at its turn cannot go later, when
 * more is taken. Takes way.
 */
static void take_highest(struct shrink *sh, int64_t count, int64_t cost, int64_t *way)
{
	struct pick *p = &sh->pick;
	struct turn *turns = make_turns(sh);
	bool *closed = loom_calloc(p->n + 1, sizeof(*closed));

	for (size_t i = 0; count; i++) {
		const size_t kind = turns[i].kind;

		if (closed[kind])
			continue;
		closed[kind] = !goes(p, kind, count, cost, &way);
		if (closed[kind])
			continue;
		sh->gone[turns[i].node] = true;
		cost -= p->kinds[kind].cost;
		count--;
	}
	loom_free(closed);
	loom_free(turns);
	loom_free(way);
}

static int choose(struct shrink *sh, int64_t count, struct loom_err *err)
{
	int64_t *way;
	int64_t cost = 0;

	make_pick(sh);
	way = loom_calloc(sh->pick.n + 1, sizeof(*way));
	switch (pick_find(&sh->pick, count, INT64_MAX, false, way, &cost)) {
	case PICK_YES:
		take_highest(sh, count, cost, way);
		return 0;
	case PICK_NO:
		loom_free(way);
		return refuse_count(sh, count, err);
	case PICK_UNKNOWN:
		break;
	}
	loom_free(way);
	return refuse_work(err);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* How many are to go. Named ones may be named twice. */
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
		               in->n_nodes, site_nodes_word((int64_t)in->n_nodes));
	}
	return 0;
}

static int check_rest(const struct shrink *sh, struct loom_err *err)
{
	const struct site *s = sh->s;
	struct site_kind *kinds = loom_calloc(s->n_kinds + 1, sizeof(*kinds));
	bool *on = relayout_present(s);
	const struct site_layout rest = { kinds, s->n_kinds, on };
	int r;

	for (size_t k = 0; k < s->n_kinds; k++) {
		const struct site_kind *from = &s->kinds[k];

		kinds[k] = *from;
		kinds[k].n = 0;
		kinds[k].nodes = loom_calloc(from->n, sizeof(*from->nodes));
		for (size_t j = 0; j < from->n; j++) {
			if (!sh->gone[from->nodes[j]])
				kinds[k].nodes[kinds[k].n++] = from->nodes[j];
		}
	}
	r = site_check_nodes(s, &rest, err);
	r = r ? r : site_check_counts(s, &rest, err);
	for (size_t k = 0; k < s->n_kinds; k++)
		loom_free(kinds[k].nodes);
	loom_free(kinds);
	loom_free(on);
	return r;
}

static void report(const struct shrink *sh, struct relayout *t)
{
	const struct site *s = sh->s;

	t->removed = loom_calloc(s->in->n_nodes + 1, sizeof(*t->removed));
	for (size_t i = 0; i < s->in->n_nodes; i++) {
		if (sh->gone[i])
			t->removed[t->n_removed++] = i;
	}
	for (size_t v = 0; v < s->n_services; v++)
		strs_add(&t->services, s->services[v].name);
}

int relayout_shrink(const struct site *s, struct relayout *t, struct loom_err *err)
{
	struct shrink sh = { .s = s };
	int64_t count = 0;
	int r = read_count(s->in, &count, err);

	r = r ? r : site_check_size(s, (int64_t)s->in->n_nodes - count, err);
	if (r)
		return r;
	sh.gone = loom_calloc(s->in->n_nodes + 1, sizeof(*sh.gone));
	sh.have = loom_calloc(s->n_services + 1, sizeof(*sh.have));
	sh.keep = loom_calloc(s->n_services + 1, sizeof(*sh.keep));
	for (size_t v = 0; v < s->n_services; v++) {
		sh.have[v] = site_count(s->kinds, s->n_kinds, v);
		sh.keep[v] = s->services[v].min > 1 ? s->services[v].min : 1;
	}
	r = s->in->n_nodenums ? mark_named(&sh, err) : choose(&sh, count, err);
	r = r ? r : check_rest(&sh, err);
	if (!r)
		report(&sh, t);
	pick_fini(&sh.pick);
	loom_free(sh.kind_of);
	loom_free(sh.gone);
	loom_free(sh.have);
	loom_free(sh.keep);
	return r;
}
