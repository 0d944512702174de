/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes services from all nodes of a cluster.
 * Refused only for newly broken requirements: a service that already lacked one may go on without
 * it.
 */
#include "services/scheduler/placement/relayout_private.h"

static void take_off(const struct placement_state *s, struct relayout *t, const bool *stay)
{
	bool *after = loom_calloc(s->rules.n_services + 1, sizeof(*after));
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct node_kind *k = &s->kinds[i];
		for (size_t v = 0; v < s->rules.n_services; v++)
			after[v] = k->has[v] && stay[v];
		for (size_t j = 0; j < k->n; j++)
			relayout_note_change(s, t, k->nodes[j], k->has, after);
	}
	loom_free(after);
	relayout_note_services(s, t, stay);
}

int relayout_remove(const struct placement_state *s, struct relayout *t, struct loom_err *err)
{
	const struct strs *named = s->in->named;
	bool left = false;
	if (!named || !named->n)
		return err_set(err, 400, "Services to remove must be specified.");
	int rc = relayout_check_present(s, named, err);
	if (rc)
		return rc;
	bool *before = placement_present(s);
	bool *after = placement_present(s);
	for (size_t i = 0; i < named->n; i++)
		after[rules_find(&s->rules, named->v[i])] = false;
	for (size_t i = 0; i < s->rules.n_services; i++)
		left |= after[i];
	if (left) {
		rc = rules_check_required(&s->rules, before, after, err);
	} else {
		rc = err_set(err, 400,
		             "that would leave the cluster without services; delete it instead");
	}
	if (!rc)
		take_off(s, t, after);
	loom_free(before);
	loom_free(after);
	return rc;
}
