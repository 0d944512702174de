/* SPDX-License-Identifier: Apache-2.0 */
/* config_fits - looks for nodes that a configuration names and that there will not be. */
#include "services/scheduler/operation/config_fits.h"

#include "common/model/cluster/expander.h"

/* Those that stay; their rows are borrowed. */
static struct nodes staying(const struct nodes *ns, const struct relayout *t)
{
	struct nodes left = { .v = loom_calloc(ns->n + 1, sizeof(*left.v)) };
	bool *gone = loom_calloc(ns->n + 1, sizeof(*gone));
	for (size_t i = 0; t && i < t->n_removed; i++)
		gone[t->removed[i]] = true;
	for (size_t i = 0; i < ns->n; i++) {
		if (!gone[i])
			left.v[left.n++] = ns->v[i];
	}
	loom_free(gone);
	return left;
}

int config_fits(const struct json *config, const struct nodes *ns, const struct relayout *t,
                struct loom_err *err)
{
	if (!config)
		return 0;
	struct nodes left = staying(ns, t);
	struct expander *e = expander_create(&left, NULL);
	struct loom_err why = { 0 };
	int rc = expander_check(e, config, &why);
	expander_destroy(e);
	loom_free(left.v);
	return rc == MACRO_E_INCOMPLETE
	               ? err_set(err, 400, "the configuration cannot be expanded: %s", why.msg)
	               : 0;
}
