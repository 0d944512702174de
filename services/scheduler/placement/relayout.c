/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/relayout_private.h"

#include "services/scheduler/plan/depend.h"

#include <stdlib.h>

/* ---- the result ----------------------------------------------------------------------------- */

static void change_fini(struct relayout_change *c)
{
	strs_fini(&c->added);
	strs_fini(&c->removed);
	strs_fini(&c->services);
	strs_fini(&c->automators);
}

void relayout_free(struct relayout *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_added; i++)
		layout_node_fini(&t->added[i]);
	for (size_t i = 0; i < t->n_groups; i++)
		layout_group_fini(&t->groups[i]);
	for (size_t i = 0; i < t->n_changed; i++)
		change_fini(&t->changed[i]);
	loom_free(t->added);
	loom_free(t->groups);
	loom_free(t->removed);
	loom_free(t->changed);
	strs_fini(&t->services);
	loom_free(t);
}

void relayout_change(const struct site *s, struct relayout *t, size_t node, const bool *before,
                     const bool *after)
{
	struct relayout_change c = { .node = node };

	for (size_t i = 0; i < s->n_services; i++) {
		if (after[i] && !before[i])
			strs_add(&c.added, s->services[i].name);
		if (before[i] && !after[i])
			strs_add(&c.removed, s->services[i].name);
		if (!after[i])
			continue;
		strs_add(&c.services, s->services[i].name);
		service_add_automators(s->services[i].doc, &c.automators);
	}
	if (!c.added.n && !c.removed.n) {
		change_fini(&c);
		return;
	}
	strs_sort(&c.automators);
	if (!t->changed)
		t->changed = loom_calloc(s->in->n_nodes, sizeof(*t->changed));
	t->changed[t->n_changed++] = c;
}

/* What sorting by number needs. */
struct by_num {
	const struct relayout_node *nodes;
};

static int compare_changes(const void *a, const void *b, void *arg)
{
	const struct relayout_node *nodes = ((const struct by_num *)arg)->nodes;
	const int x = nodes[((const struct relayout_change *)a)->node].nodenum;
	const int y = nodes[((const struct relayout_change *)b)->node].nodenum;

	return (x > y) - (x < y);
}

static int compare_removed(const void *a, const void *b, void *arg)
{
	const struct relayout_node *nodes = ((const struct by_num *)arg)->nodes;
	const int x = nodes[*(const size_t *)a].nodenum;
	const int y = nodes[*(const size_t *)b].nodenum;

	return (x > y) - (x < y);
}

bool *relayout_present(const struct site *s)
{
	bool *on = loom_calloc(s->n_services + 1, sizeof(*on));

	for (size_t i = 0; i < s->n_services; i++)
		on[i] = s->services[i].present;
	return on;
}

int relayout_check_present(const struct site *s, const struct strs *names, struct loom_err *err)
{
	for (size_t i = 0; names && i < names->n; i++) {
		if (!s->services[site_find(s, names->v[i])].present) {
			return err_set(err, 400, "service %s is not on the cluster", names->v[i]);
		}
	}
	return 0;
}

/* ---- removing services ---------------------------------------------------------------------- */

/* Names what a service that stays would lack, if it has it now. */
static int check_needed(const struct site *s, const bool *before, const bool *after,
                        struct loom_err *err)
{
	struct strs had = { 0 };
	struct strs have = { 0 };
	struct strs lines = { 0 };
	int r = 0;

	site_add_provided(s, before, &had);
	site_add_provided(s, after, &have);
	for (size_t i = 0; i < s->n_services; i++) {
		struct strs needs = { 0 };

		if (!after[i])
			continue;
		service_add_names(s->services[i].doc, "install", "requires", &needs);
		service_add_names(s->services[i].doc, "runtime", "requires", &needs);
		for (size_t k = 0; k < needs.n; k++) {
			if (strs_has(&had, needs.v[k]) && !strs_has(&have, needs.v[k])) {
				strs_addf(
					&lines,
					"%s requires %s, which would no longer be on the cluster.",
					s->services[i].name, needs.v[k]);
			}
		}
		strs_fini(&needs);
	}
	if (lines.n) {
		LOOM_CLEANUP_STR char *text = strs_join(&lines, "\n");

		r = err_set(err, 400, "%s", text);
	}
	strs_fini(&had);
	strs_fini(&have);
	strs_fini(&lines);
	return r;
}

static void take_away(const struct site *s, struct relayout *t, const bool *stay)
{
	bool *after = loom_calloc(s->n_services + 1, sizeof(*after));

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct site_kind *k = &s->kinds[i];

		for (size_t v = 0; v < s->n_services; v++)
			after[v] = k->has[v] && stay[v];
		for (size_t j = 0; j < k->n; j++)
			relayout_change(s, t, k->nodes[j], k->has, after);
	}
	for (size_t v = 0; v < s->n_services; v++) {
		if (stay[v])
			strs_add(&t->services, s->services[v].name);
	}
	loom_free(after);
}

int relayout_remove(const struct site *s, struct relayout *t, struct loom_err *err)
{
	const struct strs *named = s->in->named;
	bool *before;
	bool *after;
	size_t left = 0;
	int r;

	if (!named || !named->n)
		return err_set(err, 400, "Services to remove must be specified.");
	r = relayout_check_present(s, named, err);
	if (r)
		return r;
	before = relayout_present(s);
	after = relayout_present(s);
	for (size_t i = 0; i < named->n; i++)
		after[site_find(s, named->v[i])] = false;
	for (size_t i = 0; i < s->n_services; i++)
		left += after[i];
	if (left)
		r = check_needed(s, before, after, err);
	else
		r = err_set(err, 400,
		            "that would leave the cluster without services; delete it instead");
	if (!r)
		take_away(s, t, after);
	loom_free(before);
	loom_free(after);
	return r;
}

/* ---- another template ----------------------------------------------------------------------- */

static int check_types(const struct site *s, struct loom_err *err)
{
	const struct json *c = json_get(s->in->template, "compatibility");

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct site_kind *k = &s->kinds[i];
		const bool hardware = site_accepts(json_get(c, "hardwaretypes"), k->hardware);

		if (hardware && site_accepts(json_get(c, "imagetypes"), k->image))
			continue;
		return err_set(err, 400,
		               "the %s type %s of node %d is incompatible with template %s",
		               hardware ? "image" : "hardware", hardware ? k->image : k->hardware,
		               s->in->nodes[k->nodes[0]].nodenum, s->template);
	}
	return 0;
}

int relayout_sync(const struct site *s, struct relayout *t, struct loom_err *err)
{
	bool *on = relayout_present(s);
	const struct site_layout now = { s->kinds, s->n_kinds, on };
	int r = site_check_compatible(s, on, err);

	r = r ? r : check_types(s, err);
	r = r ? r : site_check_size(s, (int64_t)s->in->n_nodes, err);
	r = r ? r : site_check_nodes(s, &now, err);
	r = r ? r : site_check_counts(s, &now, err);
	for (size_t i = 0; i < s->n_services && !r; i++)
		strs_add(&t->services, s->services[i].name);
	loom_free(on);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static const struct strs *asked_for(const struct relayout_input *in)
{
	if (in->operation == RELAYOUT_EXPAND)
		return in->grow;
	return in->operation == RELAYOUT_ADD_SERVICES || in->operation == RELAYOUT_REMOVE_SERVICES
	               ? in->named
	               : NULL;
}

int relayout_find(const struct relayout_input *in, struct relayout **ret, struct loom_err *err)
{
	static int (*const find[RELAYOUT_OPERATIONS_])(const struct site *, struct relayout *,
	                                               struct loom_err *) = {
		[RELAYOUT_ADD_SERVICES] = relayout_add,
		[RELAYOUT_REMOVE_SERVICES] = relayout_remove,
		[RELAYOUT_EXPAND] = relayout_expand,
		[RELAYOUT_SHRINK] = relayout_shrink,
		[RELAYOUT_SYNC] = relayout_sync,
	};
	LOOM_CLEANUP(relayout_free) struct relayout *t = loom_calloc(1, sizeof(*t));
	struct by_num by = { in->nodes };
	struct site s;
	int r;

	loom_assert(in->operation < RELAYOUT_OPERATIONS_);
	site_read(&s, in, asked_for(in));
	r = s.n_kinds ? find[in->operation](&s, t, err)
	              : err_set(err, 400, "the cluster has no nodes");
	site_fini(&s);
	if (r)
		return r;
	if (t->n_changed)
		qsort_r(t->changed, t->n_changed, sizeof(*t->changed), compare_changes, &by);
	if (t->n_removed)
		qsort_r(t->removed, t->n_removed, sizeof(*t->removed), compare_removed, &by);
	*ret = loom_take(t);
	return 0;
}
