/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/solve.h"

#include "services/scheduler/placement/hostname.h"
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/rules.h"
#include "services/scheduler/placement/search.h"
#include "services/scheduler/plan/depend.h"

static void copy_strs(struct strs *to, const struct strs *from)
{
	for (size_t i = 0; i < from->n; i++)
		strs_add(to, from->v[i]);
}

static void fill_group(const struct solve_facts *f, const struct search_kind *kind,
                       struct layout_group *g)
{
	const struct model *m = &f->model;

	g->count = (int)kind->count;
	g->hardwaretype = loom_strdup(m->hardware.v[kind->hardware].name);
	g->imagetype = loom_strdup(m->images.v[kind->image].name);
	copy_strs(&g->services, &m->everywhere);
	for (int i = 0; i < m->n; i++) {
		if (kind->atoms & atom_bit(i))
			copy_strs(&g->services, &m->atoms[i].services);
	}
	strs_sort(&g->services);
}

static void add_automators(const struct solve_facts *f, const struct strs *services,
                           struct strs *ret)
{
	for (size_t i = 0; i < services->n; i++)
		service_add_automators(map_get(f->definitions, services->v[i]), ret);
	strs_sort(ret);
}

static const char *dns_suffix(const struct solve_input *in)
{
	const char *asked = json_get_str(in->request, "dnsSuffix");

	return asked && *asked ? asked
	                       : json_get_str(json_get(in->template, "defaults"), "dnsSuffix");
}

/* What all nodes of a group share. */
struct group_facts {
	const struct layout_group *group;
	struct strs automators;
	const char *flavor, *image, *sshuser;
};

static void fill_node(const struct solve_facts *f, const struct group_facts *g, int nodenum,
                      struct layout_node *n)
{
	const struct solve_input *in = f->in;

	n->nodenum = nodenum;
	n->hostname = hostname_make(in->cluster_name ? in->cluster_name : "", in->cluster_id,
	                            nodenum, dns_suffix(in));
	n->hardwaretype = loom_strdup(g->group->hardwaretype);
	n->imagetype = loom_strdup(g->group->imagetype);
	n->flavor = loom_strdup(g->flavor);
	n->image = loom_strdup(g->image);
	n->sshuser = loom_strdup(g->sshuser && *g->sshuser ? g->sshuser : "root");
	copy_strs(&n->services, &g->group->services);
	copy_strs(&n->automators, &g->automators);
}

static void fill_nodes(const struct solve_facts *f, int first_nodenum, struct layout *l)
{
	const struct solve_input *in = f->in;

	l->nodes = loom_calloc((size_t)f->model.machines, sizeof(*l->nodes));
	for (size_t i = 0; i < l->n_groups; i++) {
		const struct layout_group *group = &l->groups[i];
		const struct json *hardware =
			facts_type_entry(f, in->hardwaretypes, group->hardwaretype);
		const struct json *image = facts_type_entry(f, in->imagetypes, group->imagetype);
		struct group_facts g = {
			.group = group,
			.flavor = json_get_str(hardware, "flavor"),
			.image = json_get_str(image, "image"),
			.sshuser = json_get_str(image, "sshuser"),
		};

		add_automators(f, &group->services, &g.automators);
		for (int k = 0; k < group->count; k++, l->n_nodes++)
			fill_node(f, &g, first_nodenum + (int)l->n_nodes, &l->nodes[l->n_nodes]);
		strs_fini(&g.automators);
	}
}

struct layout *solve_layout(const struct solve_facts *f, const struct search_result *found,
                            int first_nodenum)
{
	struct layout *l = loom_calloc(1, sizeof(*l));

	copy_strs(&l->services, &f->services);
	l->groups = loom_calloc(found->n, sizeof(*l->groups));
	for (; l->n_groups < found->n; l->n_groups++)
		fill_group(f, &found->kinds[l->n_groups], &l->groups[l->n_groups]);
	fill_nodes(f, first_nodenum, l);
	return l;
}

static int solve_facts(struct solve_facts *f, struct layout **ret, struct loom_err *err)
{
	struct search_result found = { 0 };
	int r = reason_check_atoms(&f->model, err);

	if (r)
		return r;
	if (!model_find_largest(&f->model)) {
		return err_set(
			err, 422,
			"the cantcoexist sets of template %s allow too many different kinds of "
			"nodes to choose from (more than %d)",
			f->template, MODEL_SETS_MAX);
	}
	r = search_counts(&f->model, &found, err);
	if (r)
		return r;
	*ret = solve_layout(f, &found, LAYOUT_FIRST_NODENUM);
	search_result_fini(&found);
	return 0;
}

int solve(const struct solve_input *in, struct layout **ret, struct loom_err *err)
{
	struct solve_facts f;
	int r = facts_read(&f, in, err);

	if (!r)
		r = solve_facts(&f, ret, err);
	facts_fini(&f);
	return r;
}
