/* SPDX-License-Identifier: Apache-2.0 */
/* add_reason - whether services can be added at all, and in words why not. */
#include "services/scheduler/placement/feasible.h"
#include "services/scheduler/placement/relayout_private.h"

#include <inttypes.h>

static void add_names(struct buf *b, const struct fit_atom *at)
{
	buf_adds(b, at->names.n > 1 ? "services " : "service ");
	site_list(b, &at->names);
	if (at->names.n > 1)
		buf_adds(b, ", which must be on the same nodes (mustcoexist),");
}

static int refuse_numbers(const struct fit_atom *at, int64_t machines, struct loom_err *err)
{
	if (at->max < 1) {
		return err_set(err, 400, "service %s may be on at most %" PRId64 " nodes",
		               at->max_by, at->max);
	}
	if (at->min > at->max) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64
		               " nodes, but service %s, which must be on the same nodes "
		               "(mustcoexist), may be on at most %" PRId64,
		               at->min_by, at->min, at->max_by, at->max);
	}
	return err_set(err, 400,
	               "service %s needs at least %" PRId64 " nodes, but the cluster has %" PRId64,
	               at->min_by, at->min, machines);
}

/* Why an atom may not be on the machines of a group. */
static void add_obstacle(const struct fit *f, size_t group, size_t atom, struct strs *ret)
{
	const struct site *s = f->s;
	const struct fit_group *g = &f->groups[group];
	const struct fit_atom *at = &f->atoms[atom];
	struct buf b = BUF_INIT(SITE_TEXT);

	for (size_t v = 0; v < s->n_services && !b.len; v++) {
		const struct site_service *sv = &s->services[v];

		if (!at->has[v])
			continue;
		if (!site_accepts(sv->hardware, g->kind->hardware))
			buf_addf(&b, "%s does not accept hardware type %s", sv->name,
			         g->kind->hardware);
		else if (!site_accepts(sv->images, g->kind->image))
			buf_addf(&b, "%s does not accept image type %s", sv->name, g->kind->image);
	}
	for (size_t i = 0; i < s->n_cant && !b.len; i++) {
		if (!site_contains(&s->cant[i], g->has, at->has))
			continue;
		site_list_set(&b, s, &s->cant[i]);
		buf_adds(&b, s->cant[i].n > 1 ? " may not share a node (cantcoexist)"
		                              : " may not be on any node (cantcoexist)");
	}
	if (b.len && !strs_has(ret, buf_str(&b)))
		strs_add(ret, buf_str(&b));
	buf_fini(&b);
}

static int refuse_place(const struct fit *f, size_t atom, struct loom_err *err)
{
	const struct fit_atom *at = &f->atoms[atom];
	struct strs why = { 0 };
	struct buf who = BUF_INIT(SITE_TEXT);
	LOOM_CLEANUP_STR char *text = NULL;

	for (size_t g = 0; g < f->n_groups; g++)
		add_obstacle(f, g, atom, &why);
	text = strs_join(&why, "; ");
	add_names(&who, at);
	err_set(err, 400,
	        "%s cannot be placed: at least %" PRId64 " %s needed, but of the %zu nodes of the "
	        "cluster %" PRId64 " can take %s: %s",
	        buf_str(&who), at->min, at->min == 1 ? "node is" : "nodes are", f->s->in->n_nodes,
	        fit_capacity(f, atom), at->names.n > 1 ? "them" : "it", text);
	buf_fini(&who);
	strs_fini(&why);
	return 400;
}

/* Cant-coexist sets that name two of the atoms with a demand. */
static void add_forbidden(const struct fit *f, const int64_t *demand, struct strs *ret)
{
	const struct site *s = f->s;

	for (size_t i = 0; i < s->n_cant; i++) {
		struct buf b = BUF_INIT(SITE_TEXT);
		size_t n = 0;

		for (size_t k = 0; k < f->n_atoms; k++) {
			bool named = false;

			for (size_t j = 0; j < s->cant[i].n; j++)
				named |= f->atoms[k].has[s->cant[i].v[j]];
			n += named && demand[k] > 0;
		}
		site_list_set(&b, s, &s->cant[i]);
		if (n > 1)
			strs_add(ret, buf_str(&b));
		buf_fini(&b);
	}
}

/* Names only those that are needed for the refusal. */
static int refuse_together(const struct fit *f, int64_t *demand, struct loom_err *err)
{
	struct buf who = BUF_INIT(SITE_TEXT);
	struct strs sets = { 0 };
	LOOM_CLEANUP_STR char *text = NULL;
	const char *sep = "";

	for (size_t i = 0; i < f->n_atoms; i++) {
		const int64_t asked = demand[i];

		demand[i] = 0;
		if (fit_all(f, demand, NULL) != SET_COVER_NO)
			demand[i] = asked;
	}
	for (size_t i = 0; i < f->n_atoms; i++) {
		LOOM_CLEANUP_STR char *names = strs_join(&f->atoms[i].names, "+");

		if (!demand[i])
			continue;
		buf_addf(&who, "%s%s (min %" PRId64 ")", sep, names, demand[i]);
		sep = ", ";
	}
	add_forbidden(f, demand, &sets);
	text = strs_join(&sets, "; ");
	err_set(err, 400,
	        "services %s cannot all be placed on the %zu nodes of the cluster: may not share a "
	        "node (cantcoexist): %s",
	        buf_str(&who), f->s->in->n_nodes, text);
	buf_fini(&who);
	strs_fini(&sets);
	return 400;
}

int relayout_add_possible(struct fit *f, int64_t *demand, struct loom_err *err)
{
	const int64_t machines = (int64_t)f->s->in->n_nodes;

	for (size_t i = 0; i < f->n_atoms; i++) {
		const struct fit_atom *at = &f->atoms[i];

		demand[i] = at->min;
		if (at->max < 1 || at->min > at->max || at->min > machines)
			return refuse_numbers(at, machines, err);
		if (fit_capacity(f, i) < at->min)
			return refuse_place(f, i, err);
	}
	switch (fit_all(f, demand, NULL)) {
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
