/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the requested operation and sorts its result.
 * Holds what all operations share; each has its own file.
 */
#include "services/scheduler/placement/relayout_private.h"

#include "services/scheduler/placement/service_doc.h"

#include <stdlib.h>

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
	for (size_t i = 0; i < t->n_changed; i++)
		change_fini(&t->changed[i]);
	layout_fini(&t->added);
	loom_free(t->removed);
	loom_free(t->changed);
	strs_fini(&t->services);
	loom_free(t);
}

void relayout_note_change(const struct placement_state *s, struct relayout *t, size_t node,
                          const bool *before, const bool *after)
{
	struct relayout_change c = { .node = node };
	for (size_t i = 0; i < s->rules.n_services; i++) {
		const struct rules_service *sv = &s->rules.services[i];
		if (after[i] && !before[i])
			strs_add(&c.added, sv->name);
		if (before[i] && !after[i])
			strs_add(&c.removed, sv->name);
		if (!after[i])
			continue;
		strs_add(&c.services, sv->name);
		service_doc_add_automators(sv->doc, &c.automators);
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

void relayout_note_services(const struct placement_state *s, struct relayout *t, const bool *on)
{
	for (size_t i = 0; i < s->rules.n_services; i++) {
		if (!on || on[i])
			strs_add(&t->services, s->rules.services[i].name);
	}
}

int relayout_check_present(const struct placement_state *s, const struct strs *names,
                           struct loom_err *err)
{
	const struct rules *r = &s->rules;
	for (size_t i = 0; names && i < names->n; i++) {
		if (!r->services[rules_find(r, names->v[i])].present)
			return err_set(err, 400, "service %s is not on the cluster", names->v[i]);
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* The argument of the sort functions. */
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

/* The services that may be missing on the cluster: those in `named` or in `grow`. */
static const struct {
	int (*find)(const struct placement_state *, struct relayout *, struct loom_err *);
	enum { NONE, NAMED, GROW } names;
} operations[RELAYOUT_OPERATIONS_] = {
	[RELAYOUT_ADD_SERVICES] = { relayout_add, NAMED },
	[RELAYOUT_REMOVE_SERVICES] = { relayout_remove, NAMED },
	[RELAYOUT_EXPAND] = { relayout_expand, GROW },
	[RELAYOUT_SHRINK] = { relayout_shrink, NONE },
	[RELAYOUT_SYNC] = { relayout_sync, NONE },
	[RELAYOUT_CREATE] = { relayout_expand, NAMED },
};

int relayout_find(const struct relayout_input *in, struct relayout **ret, struct loom_err *err)
{
	LOOM_CLEANUP(relayout_free) struct relayout *t = loom_calloc(1, sizeof(*t));
	struct by_num by = { in->nodes };
	struct placement_state s;
	loom_assert(in->operation < RELAYOUT_OPERATIONS_);
	if (!in->n_nodes && in->operation != RELAYOUT_CREATE)
		return err_set(err, 400, "the cluster has no nodes");
	const struct strs *names = operations[in->operation].names == NAMED  ? in->named
	                           : operations[in->operation].names == GROW ? in->grow
	                                                                     : NULL;
	placement_read(&s, in, names);
	int rc = operations[in->operation].find(&s, t, err);
	placement_fini(&s);
	if (rc)
		return rc;
	if (t->n_changed)
		qsort_r(t->changed, t->n_changed, sizeof(*t->changed), compare_changes, &by);
	if (t->n_removed)
		qsort_r(t->removed, t->n_removed, sizeof(*t->removed), compare_removed, &by);
	*ret = loom_take(t);
	return 0;
}
