/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planning_share - chooses whose job is planned next. Tenants with jobs to plan take turns, one job
 * each. No tenant takes all planning threads, nor has more than PLANNING_ASKED jobs under way while
 * targets with a veto are asked. So a thousand jobs of one tenant delay another's single job only
 * by the time of a few. Counts only this process. Pure. Any thread.
 */
#ifndef LOOM_SCHEDULER_PLANNING_SHARE_H
#define LOOM_SCHEDULER_PLANNING_SHARE_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PLANNING_THREADS = 2,
	PLANNING_EACH = PLANNING_THREADS - 1, /* threads per tenant */
	PLANNING_ASKED = 32,                  /* jobs per tenant, being planned or asked about */
	PLANNING_TENANT = 260,                /* most bytes of a tenant's id */
};

struct planning_share;

struct planning_share *planning_share_create(void);
void planning_share_destroy(struct planning_share *s);

/* The tenant that had the last turn; "" at first. The next turn goes to the tenant after it by
 * name. */
void planning_share_last(struct planning_share *s, char ret[PLANNING_TENANT]);
/* Gives a tenant its turn: true if it may begin a job, which counts until _end(). In any case the
 * next turn is another tenant's. */
bool planning_share_begin(struct planning_share *s, const char *tenant);
/* Moves a job to the asked ones, since it needs no thread meanwhile; false: moves it back. */
void planning_share_ask(struct planning_share *s, const char *tenant, bool asked);
/* Ends a job, asked about or not. True if a tenant was refused a turn since the last time this
 * returned true: then a tenant that may begin now may have been left out. */
bool planning_share_end(struct planning_share *s, const char *tenant, bool asked);

LOOM_DEFINE_CLEANUP(struct planning_share *, planning_share_destroy)

#endif
