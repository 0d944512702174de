/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair_queue - who is next when more is ready than can be handed out: the tenant that has the
 * fewest tasks running, in it the cluster that has the fewest, in it the task that is ready for
 * longest. A tenant that was given more than the others lately stands a little behind; among equals
 * it is who was served longest ago. So each tenant gets an equal share of the
 * workers while it has something to do, and a small cluster does not stand behind all tasks of a
 * large one.
 *
 * What runs is the database's word, read now and then; in between the tasks given are added. It is
 * a hint: two schedulers that know little of each other are fair each by itself. Pure but for its
 * memory. Any thread; use and cursors belong to one search at a time.
 */
#ifndef LOOM_SCHEDULER_FAIR_QUEUE_H
#define LOOM_SCHEDULER_FAIR_QUEUE_H

#include "common/model/queue.h"

struct fair_queue;

struct fair_offer {
	const char *tenant; /* borrowed */
	int64_t cluster, not_before;
	size_t index; /* the caller's */
};

struct fair_queue *fair_queue_create(void);
void fair_queue_destroy(struct fair_queue *s);

/* Is what it knows of running tasks older than so long? now: monotonic ms. */
bool fair_queue_stale(const struct fair_queue *s, int64_t now, int64_t max_age_ms);
void fair_queue_use(struct fair_queue *s, const struct queue_use *v, size_t n, int64_t now);
/* Sorts them: who is to be served first. */
void fair_queue_order(struct fair_queue *s, struct fair_offer *v, size_t n);
/* {"tenants": [{"tenant", "running", "served"}], "clusters": n}: what it goes by; up to `most`
 * tenants. Returns owned. */
struct json *fair_queue_show(struct fair_queue *s, size_t most);
void fair_queue_given(struct fair_queue *s, const char *tenant, int64_t cluster);

/* How far a search has come in a tenant's clusters at a provider, which are more than one look
 * takes in: the last one looked at, 0 none. */
int64_t fair_queue_cursor(const struct fair_queue *s, const struct queue_job *group);
void fair_queue_set_cursor(struct fair_queue *s, const struct queue_job *group, int64_t cluster);

#endif
