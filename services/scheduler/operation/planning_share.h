/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planning_share - whose job is planned next: tenants that have jobs to plan take turns, one job
 * each, and none takes all threads that plan, nor has more than so many jobs under way while those
 * who may veto are asked. So one tenant's thousand jobs cost another, who has one, the time of a
 * few. It knows what this process is at and nothing else. Pure. Any thread.
 */
#ifndef LOOM_SCHEDULER_PLANNING_SHARE_H
#define LOOM_SCHEDULER_PLANNING_SHARE_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PLANNING_THREADS = 2,
	PLANNING_EACH = PLANNING_THREADS - 1, /* of these a tenant has at most */
	PLANNING_ASKED = 32,   /* and so many jobs under way, planned or asked about */
	PLANNING_TENANT = 260, /* bytes of a tenant's id, at most */
};

struct planning_share;

struct planning_share *planning_share_create(void);
void planning_share_destroy(struct planning_share *s);

/* Whose turn it was last; "" at first. The next is who comes behind it in the order of names. */
void planning_share_last(struct planning_share *s, char ret[PLANNING_TENANT]);
/* Its turn has come: true when it may begin a job, which counts until _end(). Either way the next
 * turn is another's. */
bool planning_share_begin(struct planning_share *s, const char *tenant);
/* Others are asked about its job, which needs no thread meanwhile; false: nobody was to be asked.
 */
void planning_share_ask(struct planning_share *s, const char *tenant, bool asked);
/* A job is over, one that others were asked about or not. True when somebody was refused a turn
 * since this last said so: then one who may begin now may have been left out. */
bool planning_share_end(struct planning_share *s, const char *tenant, bool asked);

LOOM_DEFINE_CLEANUP(struct planning_share *, planning_share_destroy)

#endif
