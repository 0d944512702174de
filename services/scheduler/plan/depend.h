/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depend - the order in which dependent services must take their steps.
 *
 * Any thread; several threads may read one struct depend.
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
	DEPEND_STOP,    /* STOP waits for the STOP of the services that depend on this one */
	DEPEND_REMOVE,  /* REMOVE waits for the REMOVE of all services that depend on this one,
	                 * except  in a cycle: an installed service can always be removed */
	DEPEND_RELATIONS_
};

struct depend;

/*
 * names: the services on the cluster, without duplicates, kept by reference; docs: by
 * service_doc_map(), used only during this call. A dependency on a provided name is a dependency on
 * every service that provides it, except on itself and, if it provides the name too, on those
 * that need it as well.
 */
struct depend *depend_create(const struct strs *names, const struct map *docs);
void depend_destroy(struct depend *d);

bool depend_has_action(const struct depend *d, size_t service, const char *action);

struct depend_list {
	size_t *v; /* indexes of services, ascending */
	size_t n;
};

/*
 * Returns the services that must take the relation's action before `service` acts: the nearest ones
 * that act (services that do not act are passed through). acts: one flag per service. Services
 * already implied by another one in the list are left out unless `all`. Returned owned: free v.
 */
struct depend_list depend_nearest(struct depend *d, enum depend_relation rel, size_t service,
                                  const bool *acts, bool all);
/* The services that have the relation's action: one flag each. Borrowed. */
const bool *depend_acts(const struct depend *d, enum depend_relation rel);

/* Does a need b at run time, directly or not? False if a is b. */
bool depend_runtime(struct depend *d, size_t a, size_t b);

/* 400, with the services named in err, if the services reachable from `start` contain a cycle,
 * which leaves the relation without an order; else 0. start: flags, one per service. */
LOOM_MUST_CHECK int depend_check(struct depend *d, enum depend_relation rel, const bool *start,
                                 struct loom_err *err);

LOOM_DEFINE_CLEANUP(struct depend *, depend_destroy)

#endif
