/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds nodes to a cluster; creating a cluster starts from no nodes.
 * The search sees only the new nodes: each service needs the part of its minimum that is still
 * missing and may use the part of its maximum that is left.
 */
#include "services/scheduler/placement/hostname.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/relayout_private.h"
#include "services/scheduler/placement/search.h"
#include "services/scheduler/placement/service_doc.h"

#include <inttypes.h>

#define NODES_MAX 1000000 /* the limit for requests, see job_params.c */

/* ---- what is asked -------------------------------------------------------------------------- */

static int check_number(const struct placement_state *s, bool create, struct loom_err *err)
{
	const struct relayout_input *in = s->in;
	if (in->count < 1) {
		return err_set(err, 400,
		               create ? "cluster size must be greater than 0"
		                      : "the number of nodes to add must be greater than 0");
	}
	if (in->count > NODES_MAX - (int64_t)in->n_nodes)
		return err_set(err, 400, "a cluster has at most %d nodes", NODES_MAX);
	return rules_check_size(&s->rules, (int64_t)in->n_nodes + in->count, err);
}

/* New nodes cannot repair a violation among the present ones. */
static int check_present(const struct placement_state *s, struct loom_err *err)
{
	bool *on = placement_present(s);
	const struct placement now = { s->kinds, s->n_kinds, on };
	int rc = placement_check_nodes(s, &now, err);
	for (size_t i = 0; i < s->rules.n_services && !rc; i++) {
		const struct rules_service *sv = &s->rules.services[i];
		const int64_t count = placement_count(s->kinds, s->n_kinds, i);
		if (count > sv->max) {
			rc = err_set(err, 400,
			             "service %s is on %" PRId64
			             " nodes but may be on at most %" PRId64,
			             sv->name, count, sv->max);
		}
	}
	loom_free(on);
	return rc;
}

static int check_asked(const struct placement_state *s, struct loom_err *err)
{
	const struct rules *r = &s->rules;
	const bool create = s->in->operation == RELAYOUT_CREATE;
	int rc = check_number(s, create, err);
	if (!rc && !r->n_services && create) {
		rc = err_set(err, 400,
		             "no services: the request names none and template %s has no default",
		             r->template);
	} else if (!rc && !r->n_services) {
		rc = err_set(err, 400, "the cluster has no services");
	}
	if (!create) {
		rc = rc ? rc : relayout_check_present(s, s->in->grow, err);
		rc = rc ? rc : check_present(s, err);
	}
	rc = rc ? rc : rules_check_compatible(r, NULL, err);
	rc = rc ? rc : rules_check_defined(r, NULL, err);
	rc = rc ? rc : rules_check_required(r, NULL, NULL, err);
	return rc ? rc : rules_check_conflicts(r, NULL, err);
}

/* ---- finding -------------------------------------------------------------------------------- */

struct expand {
	struct model m;
	int64_t need[MODEL_GROUPS_MAX]; /* as required by the minima */
	uint64_t grow;                  /* groups that must have new instances */
};

/* A group that no available node type accepts gets no room, and is an error if it should grow. */
static int read_room(struct expand *e, const struct strs *grow, struct loom_err *err)
{
	for (int i = 0; i < e->m.n; i++) {
		struct model_group *g = &e->m.groups[i];
		bool grows = false;
		e->need[i] = g->need;
		if (!model_permits(&e->m, group_bit(i)))
			g->room = 0;
		for (size_t k = 0; grow && k < grow->n && !grows; k++)
			grows = strs_has(&g->of.services, grow->v[k]);
		if (!grows)
			continue;
		e->grow |= group_bit(i);
		if (!g->room && g->of.max > g->have) {
			return err_set(
				err, 400,
				"service %s cannot be on a new node: no type of node that is "
				"available accepts it",
				g->of.services.v[0]);
		}
		if (!g->room) {
			return err_set(err, 400,
			               "service %s is on %" PRId64
			               " %s and may be on at most %" PRId64,
			               g->of.max_by, REASON_NODES(g->have), g->of.max);
		}
	}
	return 0;
}

/* Demands `by` new instances of each growing group, or as many as it may have. */
static int search(struct expand *e, int64_t by, struct search_result *ret, struct loom_err *err)
{
	for (int i = 0; i < e->m.n; i++) {
		struct model_group *g = &e->m.groups[i];
		const int64_t wish = by < g->room ? by : g->room;
		g->need = e->grow & group_bit(i) && wish > e->need[i] ? wish : e->need[i];
	}
	return search_counts(&e->m, ret, err);
}

/* Finds the largest number by which all growing services can grow together. */
static int search_most(struct expand *e, struct search_result *ret, struct loom_err *err)
{
	int64_t good = 1;
	int64_t bad = e->m.nodes + 1;
	int rc = search(e, good, ret, err);
	while (!rc && e->grow && good + 1 < bad) {
		const int64_t middle = good + (bad - good) / 2;
		struct search_result better = { 0 };
		rc = search(e, middle, &better, err);
		if (rc == 400) {
			bad = middle;
			rc = 0;
		} else if (!rc) {
			search_result_fini(ret);
			*ret = better;
			good = middle;
		}
	}
	if (rc)
		search_result_fini(ret);
	return rc;
}

static int find(struct expand *e, const struct placement_state *s, struct search_result *ret,
                struct loom_err *err)
{
	int rc = model_read(&e->m, s, s->in->count, err);
	rc = rc ? rc : reason_check_groups(&e->m, err);
	rc = rc ? rc : read_room(e, s->in->grow, err);
	if (!rc && !model_find_largest(&e->m)) {
		rc = err_set(
			err, 422,
			"the cantcoexist sets of template %s allow too many different kinds of "
			"nodes to choose from (more than %d)",
			s->rules.template, MODEL_SETS_MAX);
	}
	return rc ? rc : search_most(e, ret, err);
}

/* ---- the result ----------------------------------------------------------------------------- */

static void copy_strs(struct strs *to, const struct strs *from)
{
	for (size_t i = 0; i < from->n; i++)
		strs_add(to, from->v[i]);
}

static void fill_group(const struct model *m, const struct search_kind *kind,
                       struct layout_group *g)
{
	g->count = (int)kind->count;
	g->hardwaretype = loom_strdup(m->hardware.v[kind->hardware].name);
	g->imagetype = loom_strdup(m->images.v[kind->image].name);
	copy_strs(&g->services, &m->everywhere);
	for (int i = 0; i < m->n; i++) {
		if (kind->groups & group_bit(i))
			copy_strs(&g->services, &m->groups[i].of.services);
	}
	strs_sort(&g->services);
}

static void fill_node(const struct model *m, const struct search_kind *kind,
                      const struct layout_group *g, const struct strs *automators,
                      struct layout_node *n)
{
	const struct relayout_input *in = m->rules->in;
	const struct json *image = m->images.v[kind->image].entry;
	const char *user = json_get_str(image, "sshuser");
	n->hostname = hostname_make(in->cluster_name ? in->cluster_name : "", in->cluster_id,
	                            n->nodenum, hostname_suffix(in->request, in->template));
	n->hardwaretype = loom_strdup(g->hardwaretype);
	n->imagetype = loom_strdup(g->imagetype);
	n->flavor = loom_strdup(json_get_str(m->hardware.v[kind->hardware].entry, "flavor"));
	n->image = loom_strdup(json_get_str(image, "image"));
	n->sshuser = loom_strdup(user && *user ? user : "root");
	copy_strs(&n->services, &g->services);
	copy_strs(&n->automators, automators);
}

static int last_nodenum(const struct relayout_input *in)
{
	int last = in->last_nodenum > LAYOUT_FIRST_NODENUM - 1 ? in->last_nodenum
	                                                       : LAYOUT_FIRST_NODENUM - 1;
	for (size_t i = 0; i < in->n_nodes; i++)
		last = in->nodes[i].nodenum > last ? in->nodes[i].nodenum : last;
	return last;
}

static void fill_layout(const struct model *m, const struct search_result *found, struct layout *l)
{
	int nodenum = last_nodenum(m->rules->in);
	l->groups = loom_calloc(found->n, sizeof(*l->groups));
	l->nodes = loom_calloc((size_t)m->nodes, sizeof(*l->nodes));
	for (; l->n_groups < found->n; l->n_groups++) {
		const struct search_kind *kind = &found->kinds[l->n_groups];
		struct layout_group *g = &l->groups[l->n_groups];
		LOOM_CLEANUP(strs_fini) struct strs automators = { 0 };
		fill_group(m, kind, g);
		for (size_t i = 0; i < g->services.n; i++) {
			const size_t v = rules_find(m->rules, g->services.v[i]);
			service_doc_add_automators(m->rules->services[v].doc, &automators);
		}
		strs_sort(&automators);
		for (int k = 0; k < g->count; k++) {
			l->nodes[l->n_nodes].nodenum = ++nodenum;
			fill_node(m, kind, g, &automators, &l->nodes[l->n_nodes++]);
		}
	}
}

int relayout_expand(const struct placement_state *s, struct relayout *t, struct loom_err *err)
{
	struct expand e = { .grow = 0 };
	struct search_result found = { 0 };
	int rc = check_asked(s, err);
	rc = rc ? rc : find(&e, s, &found, err);
	if (!rc) {
		fill_layout(&e.m, &found, &t->added);
		relayout_note_services(s, t, NULL);
	}
	search_result_fini(&found);
	model_fini(&e.m);
	return rc;
}
