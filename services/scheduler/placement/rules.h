/* SPDX-License-Identifier: Apache-2.0 */
/* rules - from documents to a model, with the checks that come before solving.  Any thread.
 */
#ifndef LOOM_SCHEDULER_RULES_H
#define LOOM_SCHEDULER_RULES_H

#include "common/base/map.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/solve.h"

struct solve_facts {
	const struct solve_input *in;
	const char *template, *provider; /* names */
	struct strs services;            /* of the cluster: sorted, no doubles */
	struct map *definitions;         /* of services, by name */
	struct model model;
};

/* 0, or 400 with err (solver spec 1.2, checks 9 to 14). Call facts_fini() in any case. */
LOOM_MUST_CHECK int facts_read(struct solve_facts *f, const struct solve_input *in,
                               struct loom_err *err);
void facts_fini(struct solve_facts *f);

/* A type's entry for the provider, as {"flavor": ".."}; NULL if there is none. */
const struct json *facts_type_entry(const struct solve_facts *f, const struct json *types,
                                    const char *name);

#endif
