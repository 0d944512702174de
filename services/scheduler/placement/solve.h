/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solve - finds the layout of a new cluster: which services share a node, on which hardware and
 * image, and how many nodes of each kind.
 *
 * This is relayout.h for a cluster without nodes. The search is complete: it fails only if no
 * layout exists, and the reason names the constraints that contradict each other.
 *
 * Pure: no I/O, no clock, no shared state; any thread. The same input gives the same output.
 */
#ifndef LOOM_SCHEDULER_SOLVE_H
#define LOOM_SCHEDULER_SOLVE_H

#include "common/base/err.h"
#include "common/json/json.h"
#include "services/scheduler/placement/layout.h"

#include <stdint.h>

/* All documents are borrowed and only read. */
struct solve_input {
	const struct json *request;  /* services, hardwaretype, imagetype, numMachines, dnsSuffix */
	const struct json *template; /* cluster template */
	const struct json *provider; /* provider; its name selects flavors and images */
	const struct json *hardwaretypes; /* arrays: the tenant's latest documents */
	const struct json *imagetypes;
	const struct json *services;
	int64_t cluster_id;
	const char *cluster_name;
};

/* 0 with *ret owned. Otherwise err->status (400: impossible; 422: the constraints are too
 * intertwined to decide within the work limit), a reason in err->msg, and *ret untouched. */
LOOM_MUST_CHECK int solve(const struct solve_input *in, struct layout **ret, struct loom_err *err);

#endif
