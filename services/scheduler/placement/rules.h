/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules - the constraints that a template puts on the services of a cluster, read once per
 * operation; and the checks that need no nodes.
 *
 * Any thread; strings and documents are borrowed from the relayout_input.
 */
#ifndef LOOM_SCHEDULER_RULES_H
#define LOOM_SCHEDULER_RULES_H

#include "services/scheduler/placement/relayout.h"

#include <stdbool.h>

#define RULES_UNLIMITED INT32_MAX /* no maximum */

struct rules_service {
	const char *name;
	const struct json *doc;               /* NULL: no definition */
	const struct json *hardware, *images; /* accepted types; empty: all */
	int64_t min, max;                     /* nodes; min may be 0 */
	bool limited;                         /* the template has an entry for it */
	bool constrained;                     /* limited, or named by a coexist set */
	bool present;                         /* on a node now */
};

/* A must-coexist or cant-coexist set: services by index, ascending. */
struct rules_set {
	size_t *v;
	size_t n;
};

struct rules {
	const struct relayout_input *in;
	const char *template;           /* name, for messages */
	struct rules_service *services; /* by name: the cluster's services and the requested ones */
	size_t n_services;
	struct rules_set *must; /* reduced to the services in this list */
	size_t n_must;
	struct rules_set *cant; /* only sets whose services are all in this list */
	size_t n_cant;
	bool cant_empty; /* an empty cant-coexist set forbids every set of services */
};

/* named: further services, which need not be on the cluster, or NULL. Call rules_fini() in any
 * case. */
void rules_read(struct rules *r, const struct relayout_input *in, const struct strs *named);
void rules_fini(struct rules *r);

/* Index of a service, or SIZE_MAX. */
size_t rules_find(const struct rules *r, const char *name);
bool rules_accepts(const struct json *accepted, const char *type);
/* Is every service of the set in `has` or in `more` (NULL: nothing)? Both are flags by service. */
bool rules_contains(const struct rules_set *set, const bool *has, const bool *more);

/* ---- services that share nodes -------------------------------------------------------------- */

/*
 * Services tied together by must-coexist sets, directly or through others. A node has all of them
 * or none, so they are placed as one and the tightest of their limits applies to all.
 */
struct coexist_group {
	struct strs services;        /* sorted, owned */
	int64_t min, max;            /* number of nodes; min >= 1 */
	const char *min_by, *max_by; /* the service that sets this limit */
};

void coexist_group_add(struct coexist_group *g, const struct rules_service *sv);
/* Maps each service to its group, given as the index of one service in it. Only sets that name one
 * of `which` (flags; NULL: all) tie services together. Returned owned. */
size_t *rules_coexist(const struct rules *r, const bool *which);

/* ---- checks: 0, or 400 with err ------------------------------------------------------------- */

/* Flags by service, NULL: all. Does the template allow these services; are they all defined; do any
 * conflict? */
LOOM_MUST_CHECK int rules_check_compatible(const struct rules *r, const bool *which,
                                           struct loom_err *err);
LOOM_MUST_CHECK int rules_check_defined(const struct rules *r, const bool *which,
                                        struct loom_err *err);
LOOM_MUST_CHECK int rules_check_conflicts(const struct rules *r, const bool *on,
                                          struct loom_err *err);
/* Does every service have the services it requires? With `before`, only those present then count as
 * missing. */
LOOM_MUST_CHECK int rules_check_required(const struct rules *r, const bool *before, const bool *on,
                                         struct loom_err *err);
/* Does the template allow this number of nodes? */
LOOM_MUST_CHECK int rules_check_size(const struct rules *r, int64_t nodes, struct loom_err *err);

#endif
