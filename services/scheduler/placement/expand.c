/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New machines beside those that are there. To the solver, it is a cluster of just the new ones, in
 * which each service needs what its minimum still lacks and may have what its maximum leaves.
 */
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/relayout_private.h"
#include "services/scheduler/placement/rules.h"
#include "services/scheduler/placement/search.h"

#include <inttypes.h>

struct expand {
	const struct site *s;
	struct solve_facts facts;
	int64_t have[MODEL_ATOMS];
	int64_t need[MODEL_ATOMS], room[MODEL_ATOMS]; /* on the new machines */
	uint64_t grow;                                /* atoms that must have new instances */
};

/* ---- what the solver is asked --------------------------------------------------------------- */

static struct json *make_request(const struct site *s)
{
	struct json *q = s->in->request ? json_copy(s->in->request) : json_new_obj();
	struct json *list = json_new_arr();

	for (size_t i = 0; i < s->n_services; i++)
		json_push(list, json_new_str(s->services[i].name));
	json_set(q, "services", list);
	return json_set_int(q, "numMachines", s->in->count);
}

/* The definitions as the cluster knows them. */
static struct json *make_docs(const struct site *s)
{
	struct json *list = json_new_arr();

	for (size_t i = 0; i < s->n_services; i++) {
		struct json *doc = json_copy(s->services[i].doc);

		if (doc)
			json_push(list, json_set_str(doc, "name", s->services[i].name));
	}
	return list;
}

/* ---- what is left of the limits ------------------------------------------------------------- */

static void find_grown(struct expand *e)
{
	const struct model *m = &e->facts.model;
	const struct strs *grow = e->s->in->grow;

	for (size_t k = 0; grow && k < grow->n; k++) {
		for (int i = 0; i < m->n; i++) {
			if (strs_has(&m->atoms[i].services, grow->v[k]))
				e->grow |= atom_bit(i);
		}
	}
}

static int check_grown(const struct expand *e, struct loom_err *err)
{
	const struct model *m = &e->facts.model;

	for (int i = 0; i < m->n; i++) {
		const struct model_atom *a = &m->atoms[i];

		if (!(e->grow & atom_bit(i)) || e->room[i] > 0)
			continue;
		if (a->max > e->have[i]) {
			return err_set(
				err, 400,
				"service %s cannot be on a new node: no type of machine that "
				"is available accepts it",
				a->services.v[0]);
		}
		return err_set(err, 400,
		               "service %s is on %" PRId64 " %s and may be on at most %" PRId64,
		               a->max_by, e->have[i], site_nodes_word(e->have[i]), a->max);
	}
	return 0;
}

static void read_room(struct expand *e)
{
	const struct model *m = &e->facts.model;

	for (int i = 0; i < m->n; i++) {
		const struct model_atom *a = &m->atoms[i];
		const size_t service = site_find(e->s, a->services.v[0]);

		e->have[i] = site_count(e->s->kinds, e->s->n_kinds, service);
		e->need[i] = a->min > e->have[i] ? a->min - e->have[i] : 0;
		e->room[i] = a->max > e->have[i] ? a->max - e->have[i] : 0;
	}
	/* what no type of machine that is available accepts */
	for (int i = 0; i < m->n; i++) {
		if (!model_permits(m, atom_bit(i)))
			e->room[i] = 0;
	}
	find_grown(e);
}

/* ---- finding -------------------------------------------------------------------------------- */

static void add_room(struct buf *b, const struct expand *e)
{
	const struct model *m = &e->facts.model;

	for (int i = 0; i < m->n; i++) {
		const struct model_atom *a = &m->atoms[i];
		LOOM_CLEANUP_STR char *names = strs_join(&a->services, "+");

		buf_addf(b, "%s%s ", i ? ", " : "", names);
		if (e->room[i] || a->max <= e->have[i])
			buf_addf(b, "(on %" PRId64 " of at most %" PRId64 ")", e->have[i], a->max);
		else
			buf_adds(b, "(accepted by no type of machine that is available)");
	}
}

/* A machine without services is not made: can each new one have one? */
static int check_room(struct expand *e, struct loom_err *err)
{
	const struct model *m = &e->facts.model;
	struct buf who = BUF_INIT(SITE_TEXT);
	int64_t sum = 0;

	for (int i = 0; i < m->n; i++)
		sum += e->room[i];
	if (m->everywhere.n || sum >= m->machines)
		return 0;
	add_room(&who, e);
	err_set(err, 400,
	        "at most %" PRId64 " %s can be added: there would be no service for more: %s", sum,
	        site_nodes_word(sum), buf_str(&who));
	buf_fini(&who);
	return 400;
}

static int search(struct expand *e, int64_t grow, struct search_result *ret, struct loom_err *err)
{
	struct model *m = &e->facts.model;

	for (int i = 0; i < m->n; i++) {
		const int64_t wish = grow < e->room[i] ? grow : e->room[i];

		m->atoms[i].min = e->need[i];
		m->atoms[i].max = e->room[i];
		if (e->grow & atom_bit(i) && wish > e->need[i])
			m->atoms[i].min = wish;
	}
	return search_counts(m, ret, err);
}

/* The most that all services which are to grow can grow by. */
static int search_most(struct expand *e, struct search_result *ret, struct loom_err *err)
{
	int64_t good = 1;
	int64_t bad = e->facts.model.machines + 1;
	int r = search(e, good, ret, err);

	while (!r && e->grow && good + 1 < bad) {
		const int64_t middle = good + (bad - good) / 2;
		struct search_result better = { 0 };

		r = search(e, middle, &better, err);
		if (r == 400) {
			bad = middle;
			r = 0;
		} else if (!r) {
			search_result_fini(ret);
			*ret = better;
			good = middle;
		}
	}
	if (r)
		search_result_fini(ret);
	return r;
}

static int find(struct expand *e, struct search_result *ret, struct loom_err *err)
{
	struct model *m = &e->facts.model;
	int r;

	if (!model_find_largest(m)) {
		return err_set(err, 422,
		               "the cantcoexist sets of template %s allow too many different kinds "
		               "of nodes to choose from (more than %d)",
		               e->facts.template, MODEL_SETS_MAX);
	}
	read_room(e);
	r = check_grown(e, err);
	r = r ? r : check_room(e, err);
	return r ? r : search_most(e, ret, err);
}

/* ---- the result ----------------------------------------------------------------------------- */

static int next_nodenum(const struct relayout_input *in)
{
	int last = in->last_nodenum > LAYOUT_FIRST_NODENUM - 1 ? in->last_nodenum
	                                                       : LAYOUT_FIRST_NODENUM - 1;

	for (size_t i = 0; i < in->n_nodes; i++)
		last = in->nodes[i].nodenum > last ? in->nodes[i].nodenum : last;
	return last + 1;
}

static void take_layout(struct layout *l, struct relayout *t)
{
	t->added = loom_take(l->nodes);
	t->n_added = l->n_nodes;
	t->groups = loom_take(l->groups);
	t->n_groups = l->n_groups;
	t->services = l->services;
	l->services = (struct strs){ 0 };
	l->n_nodes = 0;
	l->n_groups = 0;
}

/* The maxima of services that are on too many machines already are not the solver's matter. */
static int check_present(const struct site *s, struct loom_err *err)
{
	bool *on = relayout_present(s);
	const struct site_layout now = { s->kinds, s->n_kinds, on };
	int r = site_check_nodes(s, &now, err);

	for (size_t i = 0; i < s->n_services && !r; i++) {
		const int64_t count = site_count(s->kinds, s->n_kinds, i);

		if (count > s->services[i].max) {
			r = err_set(err, 400,
			            "service %s is on %" PRId64
			            " nodes but may be on at most %" PRId64,
			            s->services[i].name, count, s->services[i].max);
		}
	}
	loom_free(on);
	return r;
}

int relayout_expand(const struct site *s, struct relayout *t, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *request = make_request(s);
	LOOM_CLEANUP(json_free) struct json *docs = make_docs(s);
	const struct relayout_input *in = s->in;
	const struct solve_input ask = {
		.request = request,
		.template = in->template,
		.provider = in->provider,
		.hardwaretypes = in->hardwaretypes,
		.imagetypes = in->imagetypes,
		.services = docs,
		.cluster_id = in->cluster_id,
		.cluster_name = in->cluster_name,
	};
	struct expand e = { .s = s };
	struct search_result found = { 0 };
	int r;

	if (in->count < 1)
		return err_set(err, 400, "the number of nodes to add must be greater than 0");
	if (!s->n_services)
		return err_set(err, 400, "the cluster has no services");
	r = relayout_check_present(s, in->grow, err);
	r = r ? r : site_check_size(s, (int64_t)in->n_nodes + in->count, err);
	r = r ? r : check_present(s, err);
	if (r)
		return r;
	r = facts_read(&e.facts, &ask, err);
	r = r ? r : find(&e, &found, err);
	if (!r) {
		LOOM_CLEANUP(layout_free)
		struct layout *l = solve_layout(&e.facts, &found, next_nodenum(in));

		take_layout(l, t);
		search_result_fini(&found);
	}
	facts_fini(&e.facts);
	return r;
}
