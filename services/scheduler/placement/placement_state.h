/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_state - the present nodes of a cluster, sorted into kinds, together with the rules of
 * its template; and the checks of these nodes against the rules.
 *
 * Any thread; strings and documents are borrowed from the relayout_input.
 */
#ifndef LOOM_SCHEDULER_PLACEMENT_STATE_H
#define LOOM_SCHEDULER_PLACEMENT_STATE_H

#include "services/scheduler/placement/rules.h"

/* Nodes that are alike. */
struct node_kind {
	const char *hardware, *image;
	bool *has;     /* by service */
	size_t *nodes; /* indexes into relayout_input.nodes, by nodenum */
	size_t n;
};

struct placement_state {
	const struct relayout_input *in;
	struct rules rules;
	struct node_kind *kinds;
	size_t n_kinds;
};

/* Call placement_fini() in any case. */
void placement_read(struct placement_state *s, const struct relayout_input *in,
                    const struct strs *named);
void placement_fini(struct placement_state *s);

/* How many nodes of the kinds have a service. */
int64_t placement_count(const struct node_kind *kinds, size_t n, size_t service);
/* The services on the cluster now: one flag each, owned. */
bool *placement_present(const struct placement_state *s);

/* ---- checks: 0, or 400 with err ------------------------------------------------------------- */

/* The placement to check: as it is now, or as an operation would leave it. */
struct placement {
	const struct node_kind *kinds; /* kinds without nodes are ignored */
	size_t n_kinds;
	const bool *on; /* by service: is it on the cluster? */
};

/* Checks each node: hardware, image, mustcoexist, cantcoexist. */
LOOM_MUST_CHECK int placement_check_nodes(const struct placement_state *s,
                                          const struct placement *p, struct loom_err *err);
/* Checks the number of nodes of each service. */
LOOM_MUST_CHECK int placement_check_counts(const struct placement_state *s,
                                           const struct placement *p, struct loom_err *err);

#endif
