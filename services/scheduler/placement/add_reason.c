/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether services can be added at all, and explains why not.
 * Separate from add.c because it varies the demands to find which of them contradict each other.
 */
#include "services/scheduler/placement/feasible.h"
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/relayout_private.h"

#include <inttypes.h>

static int refuse_numbers(const struct coexist_group *g, int64_t nodes, struct loom_err *err)
{
	if (g->max < 1) {
		return err_set(err, 400, "service %s may be on at most %" PRId64 " nodes",
		               g->max_by, g->max);
	}
	if (g->min > g->max) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64
		               " nodes, but service %s, which must be on the same nodes "
		               "(mustcoexist), may be on at most %" PRId64,
		               g->min_by, g->min, g->max_by, g->max);
	}
	return err_set(err, 400,
	               "service %s needs at least %" PRId64 " nodes, but the cluster has %" PRId64,
	               g->min_by, g->min, nodes);
}

/* Why a group may not be on the nodes of a kind. */
static void add_obstacle(const struct feasible *f, size_t kind, size_t group, struct strs *ret)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(REASON_LIST);
	const struct rules *r = &f->s->rules;
	const struct feasible_kind *k = &f->kinds[kind];
	const bool *has = f->groups[group].has;
	for (size_t v = 0; v < r->n_services && !b.len; v++) {
		const struct rules_service *sv = &r->services[v];
		if (has[v] && !rules_accepts(sv->hardware, k->from->hardware)) {
			buf_addf(&b, "%s does not accept hardware type %s", sv->name,
			         k->from->hardware);
		} else if (has[v] && !rules_accepts(sv->images, k->from->image)) {
			buf_addf(&b, "%s does not accept image type %s", sv->name, k->from->image);
		}
	}
	for (size_t i = 0; i < r->n_cant && !b.len; i++) {
		if (!rules_contains(&r->cant[i], k->has, has))
			continue;
		reason_add_set(&b, r, &r->cant[i]);
		buf_adds(&b, r->cant[i].n > 1 ? " may not share a node (cantcoexist)"
		                              : " may not be on any node (cantcoexist)");
	}
	if (b.len && !strs_has(ret, buf_str(&b)))
		strs_add(ret, buf_str(&b));
}

static int refuse_place(const struct feasible *f, size_t group, struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs why = { 0 };
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP_STR char *text = NULL;
	const struct coexist_group *g = &f->groups[group].of;
	const bool many = g->services.n > 1;
	for (size_t k = 0; k < f->n_kinds; k++)
		add_obstacle(f, k, group, &why);
	text = strs_join(&why, "; ");
	reason_add_list(&who, &g->services);
	return err_set(err, 400,
	               "service%s %s%s cannot be placed: at least %" PRId64
	               " %s needed, but of the %zu nodes of the cluster %" PRId64
	               " can take %s: %s",
	               many ? "s" : "", buf_str(&who),
	               many ? ", which must be on the same nodes (mustcoexist)," : "", g->min,
	               g->min == 1 ? "node is" : "nodes are", f->s->in->n_nodes,
	               feasible_capacity(f, group), many ? "them" : "it", text);
}

/* Lists the cant-coexist sets that name at least two of the groups with a demand. */
static void add_forbidden(const struct feasible *f, const int64_t *demand, struct strs *ret)
{
	const struct rules *r = &f->s->rules;
	for (size_t i = 0; i < r->n_cant; i++) {
		LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(REASON_LIST);
		size_t n = 0;
		for (size_t k = 0; k < f->n_groups; k++) {
			bool named = false;
			for (size_t j = 0; j < r->cant[i].n; j++)
				named |= f->groups[k].has[r->cant[i].v[j]];
			n += named && demand[k] > 0;
		}
		reason_add_set(&b, r, &r->cant[i]);
		if (n > 1)
			strs_add(ret, buf_str(&b));
	}
}

/* Drops every group whose demand does not contribute to the contradiction, and names the rest. */
static int refuse_together(const struct feasible *f, int64_t *demand, struct loom_err *err)
{
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP(strs_fini) struct strs sets = { 0 };
	LOOM_CLEANUP_STR char *text = NULL;
	const char *sep = "";
	for (size_t i = 0; i < f->n_groups; i++) {
		const int64_t asked = demand[i];
		demand[i] = 0;
		if (feasible_all(f, demand, NULL) != SET_COVER_NO)
			demand[i] = asked;
	}
	for (size_t i = 0; i < f->n_groups; i++) {
		LOOM_CLEANUP_STR char *names = strs_join(&f->groups[i].of.services, "+");
		if (!demand[i])
			continue;
		buf_addf(&who, "%s%s (min %" PRId64 ")", sep, names, demand[i]);
		sep = ", ";
	}
	add_forbidden(f, demand, &sets);
	text = strs_join(&sets, "; ");
	return err_set(err, 400,
	               "services %s cannot all be placed on the %zu nodes of the cluster: may not "
	               "share a node (cantcoexist): %s",
	               buf_str(&who), f->s->in->n_nodes, text);
}

int relayout_add_possible(struct feasible *f, int64_t *demand, struct loom_err *err)
{
	const int64_t nodes = (int64_t)f->s->in->n_nodes;
	for (size_t i = 0; i < f->n_groups; i++) {
		const struct coexist_group *g = &f->groups[i].of;
		demand[i] = g->min;
		if (g->max < 1 || g->min > g->max || g->min > nodes)
			return refuse_numbers(g, nodes, err);
		if (feasible_capacity(f, i) < g->min)
			return refuse_place(f, i, err);
	}
	switch (feasible_all(f, demand, NULL)) {
	case SET_COVER_NO:
		return refuse_together(f, demand, err);
	case SET_COVER_UNKNOWN:
		break;
	case SET_COVER_YES:
		return 0;
	}
	return err_set(err, 422,
	               "the constraints are too intertwined to place all services within the work "
	               "limit; add fewer at once");
}
