/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depend - which steps of which services must wait for which.
 *
 * Any thread; a struct depend may be read by several at once.
 */
#ifndef LOOM_SCHEDULER_DEPEND_H
#define LOOM_SCHEDULER_DEPEND_H

#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/scheduler/placement/service_doc.h"

#include <stdbool.h>

/* A relation between the services of a cluster, by index. */
enum depend_relation {
	DEPEND_INSTALL, /* INSTALL waits for INSTALL */
	DEPEND_RUNTIME, /* START and INITIALIZE wait for START */
	DEPEND_STOP,    /* STOP waits for the STOP of those that depend on this service */
	DEPEND_REMOVE,  /* REMOVE waits for the REMOVE of those that depend on it in any way, but
	                 * not in a circle: what was installed can always be removed */
	DEPEND_RELATIONS_
};

struct depend;

/*
 * names: the services on the cluster, without doubles, kept by reference; docs: by
 * service_doc_map(), only used here. A dependency on a provided name is one on all that provide it,
 * but not on itself.
 */
struct depend *depend_create(const struct strs *names, const struct map *docs);
void depend_destroy(struct depend *d);

bool depend_has_action(const struct depend *d, size_t service, const char *action);

struct depend_list {
	size_t *v; /* indexes of services, ascending */
	size_t n;
};

/*
 * Of which services must the relation's action be done before service acts: the nearest ones that
 * act (the others are passed through). acts: one flag per service. Those that another one implies
 * are left out, or with `all`, not. Returned owned: free v.
 */
struct depend_list depend_nearest(struct depend *d, enum depend_relation rel, size_t service,
                                  const bool *acts, bool all);
/* Which services have the relation's action: one flag each. Borrowed. */
const bool *depend_acts(const struct depend *d, enum depend_relation rel);

/* Does a need b at run time, directly or not. False for a service and itself, unless in a circle.
 */
bool depend_runtime(struct depend *d, size_t a, size_t b);

/* 400 with the services named in err when those from which `start` reach each other in a circle
 * that would leave the relation without an order; else 0. start: flags, one per service. */
LOOM_MUST_CHECK int depend_check(struct depend *d, enum depend_relation rel, const bool *start,
                                 struct loom_err *err);

LOOM_DEFINE_CLEANUP(struct depend *, depend_destroy)

#endif
