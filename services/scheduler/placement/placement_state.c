/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorts the nodes of a cluster into kinds and checks them against the rules of a template.
 * Kinds keep this fast: clusters have many nodes but few different ones.
 */
#include "services/scheduler/placement/placement_state.h"

#include "services/scheduler/placement/reason.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- kinds ---------------------------------------------------------------------------------- */

struct sorted_node {
	const char *hardware, *image;
	bool *has;
	size_t n_services, node;
	int nodenum;
};

/* Of two nodes with the same hardware and image, the one with the alphabetically first service
 * comes first. */
static int compare_kinds(const struct sorted_node *x, const struct sorted_node *y)
{
	int c = strcmp(x->hardware, y->hardware);
	c = c ? c : strcmp(x->image, y->image);
	return c ? c : -memcmp(x->has, y->has, x->n_services);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct sorted_node *x = a;
	const struct sorted_node *y = b;
	const int c = compare_kinds(x, y);
	return c ? c : (x->nodenum > y->nodenum) - (x->nodenum < y->nodenum);
}

static struct sorted_node *sort_nodes(const struct placement_state *s)
{
	const struct relayout_input *in = s->in;
	struct sorted_node *all = loom_calloc(in->n_nodes + 1, sizeof(*all));
	for (size_t i = 0; i < in->n_nodes; i++) {
		const struct relayout_node *n = &in->nodes[i];
		all[i] = (struct sorted_node){
			.hardware = n->hardwaretype ? n->hardwaretype : "",
			.image = n->imagetype ? n->imagetype : "",
			.has = loom_calloc(s->rules.n_services + 1, sizeof(bool)),
			.n_services = s->rules.n_services,
			.node = i,
			.nodenum = n->nodenum,
		};
		for (size_t k = 0; k < n->services.n; k++)
			all[i].has[rules_find(&s->rules, n->services.v[k])] = true;
	}
	qsort(all, in->n_nodes, sizeof(*all), compare_nodes);
	return all;
}

void placement_read(struct placement_state *s, const struct relayout_input *in,
                    const struct strs *named)
{
	*s = (struct placement_state){ .in = in };
	rules_read(&s->rules, in, named);
	struct sorted_node *all = sort_nodes(s);
	s->kinds = loom_calloc(in->n_nodes + 1, sizeof(*s->kinds));
	for (size_t i = 0, end; i < in->n_nodes; i = end) {
		struct node_kind *k = &s->kinds[s->n_kinds++];
		*k = (struct node_kind){ all[i].hardware, all[i].image, all[i].has, NULL, 0 };
		for (end = i + 1; end < in->n_nodes && !compare_kinds(&all[i], &all[end]); end++)
			loom_free(all[end].has);
		k->nodes = loom_calloc(end - i, sizeof(*k->nodes));
		for (; k->n < end - i; k->n++)
			k->nodes[k->n] = all[i + k->n].node;
	}
	loom_free(all);
}

void placement_fini(struct placement_state *s)
{
	for (size_t i = 0; i < s->n_kinds; i++) {
		loom_free(s->kinds[i].has);
		loom_free(s->kinds[i].nodes);
	}
	loom_free(s->kinds);
	rules_fini(&s->rules);
	*s = (struct placement_state){ 0 };
}

int64_t placement_count(const struct node_kind *kinds, size_t n, size_t service)
{
	int64_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += kinds[i].has[service] ? (int64_t)kinds[i].n : 0;
	return count;
}

bool *placement_present(const struct placement_state *s)
{
	bool *on = loom_calloc(s->rules.n_services + 1, sizeof(*on));
	for (size_t i = 0; i < s->rules.n_services; i++)
		on[i] = s->rules.services[i].present;
	return on;
}

/* ---- each node ------------------------------------------------------------------------------ */

/* The node that messages name for a kind. */
static int first_nodenum(const struct placement_state *s, const struct node_kind *k)
{
	return s->in->nodes[k->nodes[0]].nodenum;
}

static int check_types(const struct placement_state *s, const struct node_kind *k,
                       struct loom_err *err)
{
	for (size_t i = 0; i < s->rules.n_services; i++) {
		const struct rules_service *sv = &s->rules.services[i];
		const bool hardware = rules_accepts(sv->hardware, k->hardware);
		if (!k->has[i] || (hardware && rules_accepts(sv->images, k->image)))
			continue;
		return err_set(err, 400,
		               "service %s does not accept the %s type %s of node %d, which has it",
		               sv->name, hardware ? "image" : "hardware",
		               hardware ? k->image : k->hardware, first_nodenum(s, k));
	}
	return 0;
}

static int check_must(const struct placement_state *s, const struct node_kind *k, const bool *on,
                      struct loom_err *err)
{
	const struct rules *r = &s->rules;
	for (size_t i = 0; i < r->n_must; i++) {
		const struct rules_service *has = NULL;
		const struct rules_service *lacks = NULL;
		for (size_t j = r->must[i].n; j-- > 0;) {
			const size_t v = r->must[i].v[j];
			if (k->has[v])
				has = &r->services[v];
			else if (on[v])
				lacks = &r->services[v];
		}
		if (has && lacks) {
			return err_set(
				err, 400,
				"services %s and %s must be on the same nodes (mustcoexist), but "
				"node %d has only %s",
				has->name, lacks->name, first_nodenum(s, k), has->name);
		}
	}
	return 0;
}

static int check_cant(const struct placement_state *s, const struct node_kind *k,
                      struct loom_err *err)
{
	for (size_t i = 0; i < s->rules.n_cant; i++) {
		LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
		if (!rules_contains(&s->rules.cant[i], k->has, NULL))
			continue;
		reason_add_set(&who, &s->rules, &s->rules.cant[i]);
		return err_set(err, 400,
		               "services %s may not share a node (cantcoexist), but are on node %d",
		               buf_str(&who), first_nodenum(s, k));
	}
	return 0;
}

int placement_check_nodes(const struct placement_state *s, const struct placement *p,
                          struct loom_err *err)
{
	int rc = 0;
	if (s->rules.cant_empty && s->rules.n_services) {
		return err_set(
			err, 400,
			"template %s has an empty cantcoexist set, which forbids every set of "
			"services",
			s->rules.template);
	}
	for (size_t i = 0; i < p->n_kinds && !rc; i++) {
		if (!p->kinds[i].n)
			continue;
		rc = check_types(s, &p->kinds[i], err);
		rc = rc ? rc : check_must(s, &p->kinds[i], p->on, err);
		rc = rc ? rc : check_cant(s, &p->kinds[i], err);
	}
	return rc;
}

/* ---- numbers -------------------------------------------------------------------------------- */

int placement_check_counts(const struct placement_state *s, const struct placement *p,
                           struct loom_err *err)
{
	for (size_t i = 0; i < s->rules.n_services; i++) {
		const struct rules_service *sv = &s->rules.services[i];
		const int64_t count = placement_count(p->kinds, p->n_kinds, i);
		if (!p->on[i] || (count >= sv->min && count <= sv->max))
			continue;
		return err_set(err, 400, "service %s %s %" PRId64 " %s, but would be on %" PRId64,
		               sv->name, count < sv->min ? "needs at least" : "may be on at most",
		               REASON_NODES(count < sv->min ? sv->min : sv->max), count);
	}
	return 0;
}
