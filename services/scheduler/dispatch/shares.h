/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares - who is next when more is ready than can be handed out: the tenant that has the fewest
 * tasks running, in it the cluster that has the fewest, in it the task that is ready for longest.
 * Among equals who was served longest ago. So each tenant gets an equal share of the workers while
 * it has something to do, and a small cluster does not stand behind all tasks of a large one.
 *
 * What runs is the database's word, read now and then; in between the tasks given are added. It is
 * a hint: two schedulers that know little of each other are fair each by itself. Pure but for its
 * memory; one thread at a time.
 */
#ifndef LOOM_SCHEDULER_SHARES_H
#define LOOM_SCHEDULER_SHARES_H

#include "common/model/queue.h"

struct shares;

struct share_offer {
	const char *tenant; /* borrowed */
	int64_t cluster, not_before;
	size_t index; /* the caller's */
};

struct shares *shares_create(void);
void shares_destroy(struct shares *s);

/* Is what it knows of running tasks older than so long? now: monotonic ms. */
bool shares_stale(const struct shares *s, int64_t now, int64_t max_age_ms);
void shares_use(struct shares *s, const struct queue_use *v, size_t n, int64_t now);
/* Sorts them: who is to be served first. */
void shares_order(const struct shares *s, struct share_offer *v, size_t n);
void shares_given(struct shares *s, const char *tenant, int64_t cluster);

/* How far a search has come in a tenant's clusters at a provider, which are more than one look
 * takes in: the last one looked at, 0 none. */
int64_t shares_place(const struct shares *s, const struct queue_job *group);
void shares_set_place(struct shares *s, const struct queue_job *group, int64_t cluster);

#endif
