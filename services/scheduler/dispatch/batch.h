/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch - one transaction that applies the results of many tasks, of any clusters, and hands out
 * ready tasks to waiting takes, including the tasks that these results made ready. A few statements
 * read and write all rows, however many there are.
 *
 * It does not wait for clusters that another transaction holds: their results go to a separate
 * batch, and their tasks wait for a later one. So a batch never holds one cluster while it waits
 * for another.
 *
 * Runs on a worker thread, blocking. Batches with takes have their own payloads, edges_cache and
 * candidate_cache; they share the cache.
 */
#ifndef LOOM_SCHEDULER_BATCH_H
#define LOOM_SCHEDULER_BATCH_H

#include "common/base/str.h"
#include "common/bus/messages.h"
#include "common/model/worker/limit.h"
#include "common/model/worker/queue.h"
#include "services/scheduler/dispatch/cluster_cache.h"
#include "services/scheduler/dispatch/fair_queue.h"
#include "services/scheduler/dispatch/task_payload.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/job/quarantine_policy.h"

#include <stdatomic.h>

struct take {
	const char *id, *tenant, *provisioner, *worker;
	int64_t max;
	int64_t lease_ms; /* renewed by heartbeat, or the whole time limit */
	bool claim;       /* gives each task a secret, which the worker's later calls must show */
};

struct batch_result {
	const struct msg_finish *finish; /* as the worker sent it */
	int status;                      /* HTTP; 0: another transaction held its cluster */
};

/* A cluster that breaks every batch, and the end of its exclusion (monotonic ms). */
struct defect {
	int64_t cluster, until;
};

/* Findings of searches for later batches; used by one batch with takes at a time. */
struct candidate_cache {
	struct fair_queue *fair;         /* borrowed; shared by all */
	struct limits *limits;           /* NULL: no limits */
	struct quarantines *quarantined; /* NULL: none */
	int64_t now;                     /* the database's clock at the last look */
	struct strs over_scan_limit;     /* tenants with more ready tasks than one search reads */
	struct strs many_jobs;           /* tenants with more jobs that hand out tasks than that */
	_Atomic bool limited;            /* are there limits? any thread */
	struct defect *defects;
	size_t n_defects;
	int64_t rules_at; /* monotonic ms: when limits and quarantines were read */
};
struct candidate_cache *candidate_cache_create(struct fair_queue *fair);
void candidate_cache_destroy(struct candidate_cache *o);

struct batch_take {
	const struct take *take;
	const struct batch_result *with; /* it gets nothing unless this is applied; NULL: none */
	bool barred;                     /* it gets nothing */
	bool probe;                      /* gets one task, to test its quarantined provisioner */
	struct json *payloads;           /* array of payloads, each as a text, owned; NULL: none */
	size_t size;                     /* bytes of the payloads in the answer */
};

/* A task that an earlier run of the transaction handed out, in case its commit succeeded
 * unnoticed. */
struct handed {
	size_t take;
	struct task_ref ref;
	int64_t attempt;
	char claim[CLAIM_SECRET];
};

struct batch {
	struct db_pool *db;
	struct job_policy policy;
	struct payload_cache *payloads;  /* NULL if there are no takes */
	struct edges_cache *edges_cache; /* NULL: later batches get nothing cached */
	struct cluster_cache *cache;     /* NULL as for edges_cache */
	struct candidate_cache *candidate_cache;
	struct batch_result *results;
	size_t n_results;
	struct batch_take *takes; /* longest waiting first, those of results last */
	size_t n_takes;
	bool search;     /* also search for ready tasks */
	bool wait;       /* all results are of one cluster; wait for its lock */
	bool unstorable; /* the database refuses the result, so its task fails */
	/* the outcome */
	bool more;       /* takes got nothing, but may soon */
	int64_t look_ms; /* ms until a task may start for takes that got nothing; -1: none */
	struct unit unit;
	struct cached_cluster **cached; /* parallel to unit.clusters */
	/* kept between runs of the transaction */
	struct task_ref *candidates;
	size_t n_candidates;
	struct handed *handed;
	size_t n_handed;
};

LOOM_MUST_CHECK int batch_run(struct batch *b); /* 0, or a DB_E_ code and nothing was done */
void batch_free_rows(struct batch *b);          /* frees the unit when it is no longer needed */
void batch_fini(struct batch *b);               /* frees only what the batch made itself */

#endif
