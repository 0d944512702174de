/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair_queue - orders ready tasks when there are more than can be handed out. First comes the
 * tenant with the fewest running tasks, in it the cluster with the fewest, in it the task that has
 * been ready longest. A tenant that was recently given more than the others ranks a little lower;
 * ties go to the one served longest ago. So every tenant with work gets an equal share of the
 * workers, and a small cluster does not wait behind all tasks of a large one.
 *
 * The number of running tasks is read from the database now and then, and tasks given since are
 * added. It is a hint: two schedulers that know little of each other are each fair on their own.
 * Pure apart from its memory. Any thread; fair_queue_use() and cursors belong to one search at a
 * time.
 */
#ifndef LOOM_SCHEDULER_FAIR_QUEUE_H
#define LOOM_SCHEDULER_FAIR_QUEUE_H

#include "common/model/worker/queue.h"

struct fair_queue;

struct fair_offer {
	const char *tenant; /* borrowed */
	int64_t cluster, not_before;
	size_t index; /* chosen by the caller */
};

struct fair_queue *fair_queue_create(void);
void fair_queue_destroy(struct fair_queue *s);

/* True if the usage data is older than max_age_ms. now: monotonic ms. */
bool fair_queue_stale(const struct fair_queue *s, int64_t now, int64_t max_age_ms);
void fair_queue_use(struct fair_queue *s, const struct queue_use *v, size_t n, int64_t now);
/* Sorts offers, the first to be served first. */
void fair_queue_order(struct fair_queue *s, struct fair_offer *v, size_t n);
/* {"tenants": [{"tenant", "running", "served"}], "clusters": n}: the data behind the order, for up
 * to `most` tenants. Returns owned. */
struct json *fair_queue_show(struct fair_queue *s, size_t most);
void fair_queue_given(struct fair_queue *s, const char *tenant, int64_t cluster);

/* Did the last search find more ready tasks of several tenants than it could hand out? Takes no
 * lock. */
bool fair_queue_contended(const struct fair_queue *s);
void fair_queue_set_contended(struct fair_queue *s, bool contended);

/* Where the next search continues in a tenant's clusters at a provider, if one search cannot read
 * them all: the last cluster read; 0: at the start. */
int64_t fair_queue_cursor(const struct fair_queue *s, const struct queue_job *group);
void fair_queue_set_cursor(struct fair_queue *s, const struct queue_job *group, int64_t cluster);

#endif
