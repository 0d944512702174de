/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch - one transaction that applies the results of many tasks, of any clusters, and hands out
 * ready tasks to those who wait for them, at once also what these results made ready. Rows are
 * read, and written, by a few statements however many there are.
 *
 * Clusters that somebody else holds are not waited for: their results are left for a batch of their
 * own, and their tasks for later. So a batch never holds one cluster while it waits for another.
 *
 * Runs on a worker, blocking. Batches with takes have payloads, edges_cache and candidate_cache of
 * their own; they share the cache.
 */
#ifndef LOOM_SCHEDULER_BATCH_H
#define LOOM_SCHEDULER_BATCH_H

#include "common/base/str.h"
#include "common/bus/messages.h"
#include "common/model/limit.h"
#include "common/model/queue.h"
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
	bool claim;       /* it wants a secret of each task, and shows it with all it says of it */
};

struct batch_result {
	const struct msg_finish *said; /* by the worker */
	int status;                    /* HTTP; 0: its cluster was held by somebody else */
};

/* What searches found out, for the batches after them; of one batch with takes at a time. */
struct candidate_cache {
	struct fair_queue *fair;         /* borrowed: one for all */
	struct limits *limits;           /* NULL: there are none */
	struct quarantines *quarantined; /* NULL: nobody */
	int64_t now;                     /* the database's clock at the last look */
	struct strs over_scan_limit;     /* tenants that have more ready than one look takes in */
	_Atomic bool limited;            /* any thread: there are limits */
	_Atomic bool shared;             /* any thread: more was ready, of several tenants */
	int64_t rules_at;                /* monotonic ms: when limits and quarantines were read */
};
struct candidate_cache *candidate_cache_create(struct fair_queue *fair);
void candidate_cache_destroy(struct candidate_cache *o);

struct batch_take {
	const struct take *take;
	const struct batch_result *with; /* it gets nothing unless this is applied; NULL */
	bool barred;                     /* it gets nothing */
	bool probe;            /* one task, to show whether its provisioner is well again */
	struct json *payloads; /* array of payloads, each as a text, owned; NULL: nothing */
	size_t size;           /* of them on their way, in bytes */
};

/* What an earlier run of the transaction handed out, in case that its commit went through. */
struct handed {
	size_t take;
	struct task_ref ref;
	int64_t attempt;
	char claim[CLAIM_SECRET];
};

struct batch {
	struct db_pool *db;
	struct job_policy policy;
	struct payload_cache *payloads;  /* NULL when there are no takes */
	struct edges_cache *edges_cache; /* NULL: nothing is kept for later batches */
	struct cluster_cache *cache;     /* as with edges_cache */
	struct candidate_cache *candidate_cache;
	struct batch_result *results;
	size_t n_results;
	struct batch_take *takes; /* who has waited longest first, those of results last */
	size_t n_takes;
	bool search;     /* look for ready tasks, too */
	bool wait;       /* all results are of one cluster, whose lock is waited for */
	bool unstorable; /* the database refuses what the result says: its task has failed */
	/* what became of it */
	bool more;       /* takes went without tasks that may be had soon */
	int64_t look_ms; /* takes went without tasks that may begin so long from now; -1 none */
	struct unit unit;
	struct cached_cluster **cached; /* as in unit.clusters */
	/* between runs of the transaction */
	struct task_ref *candidates;
	size_t n_candidates;
	struct handed *handed;
	size_t n_handed;
};

LOOM_MUST_CHECK int batch_run(struct batch *b); /* 0 or a DB_E_ code: nothing was done */
void batch_free_rows(struct batch *b);          /* the unit, when it is not needed any more */
void batch_fini(struct batch *b);               /* but for what was given to it */

#endif
