/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether a cluster, as it is, obeys another template.
 * No service is moved: the first broken rule refuses the operation.
 */
#include "services/scheduler/placement/relayout_private.h"

static int check_types(const struct placement_state *s, struct loom_err *err)
{
	const struct json *c = json_get(s->in->template, "compatibility");
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct node_kind *k = &s->kinds[i];
		const bool hardware = rules_accepts(json_get(c, "hardwaretypes"), k->hardware);
		if (hardware && rules_accepts(json_get(c, "imagetypes"), k->image))
			continue;
		return err_set(err, 400,
		               "the %s type %s of node %d is incompatible with template %s",
		               hardware ? "image" : "hardware", hardware ? k->image : k->hardware,
		               s->in->nodes[k->nodes[0]].nodenum, s->rules.template);
	}
	return 0;
}

int relayout_sync(const struct placement_state *s, struct relayout *t, struct loom_err *err)
{
	bool *on = placement_present(s);
	const struct placement now = { s->kinds, s->n_kinds, on };
	int rc = rules_check_compatible(&s->rules, on, err);
	rc = rc ? rc : check_types(s, err);
	rc = rc ? rc : rules_check_size(&s->rules, (int64_t)s->in->n_nodes, err);
	rc = rc ? rc : placement_check_nodes(s, &now, err);
	rc = rc ? rc : placement_check_counts(s, &now, err);
	if (!rc)
		relayout_note_services(s, t, NULL);
	loom_free(on);
	return rc;
}
