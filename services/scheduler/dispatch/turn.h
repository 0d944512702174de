/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn - one transaction that applies the results of many tasks, of any clusters, and hands out
 * ready tasks to those who wait for them, at once also what these results made ready. Rows are
 * read, and written, by a few statements however many there are.
 *
 * Clusters that somebody else holds are not waited for: their results are left for a turn of their
 * own, and their tasks for later. So a turn never holds one cluster while it waits for another.
 *
 * Runs on a worker, blocking. Turns with takes have documents, successors and outlook of their own;
 * they share the book.
 */
#ifndef LOOM_SCHEDULER_TURN_H
#define LOOM_SCHEDULER_TURN_H

#include "common/base/str.h"
#include "common/model/limit.h"
#include "common/model/queue.h"
#include "services/scheduler/dispatch/book.h"
#include "services/scheduler/dispatch/document.h"
#include "services/scheduler/dispatch/shares.h"
#include "services/scheduler/dispatch/successors.h"
#include "services/scheduler/job/engine.h"
#include "services/scheduler/job/quarantine.h"

#include <stdatomic.h>

struct take {
	char *id, *tenant, *provisioner, *worker;
	int64_t max;
	int64_t lease_ms; /* renewed by heartbeat, or the whole time limit */
	bool texts;       /* the API passes documents on as texts; an older one wants values */
};

struct turn_result {
	const struct json *body; /* as the worker sent it */
	int status;              /* HTTP; 0: its cluster was held by somebody else */
};

/* What searches found out, for the turns after them; of one turn with takes at a time. */
struct outlook {
	struct shares *shares;
	struct limits *limits;           /* NULL: there are none */
	struct quarantines *quarantined; /* NULL: nobody */
	int64_t now;                     /* the database's clock at the last look */
	struct strs crowded;             /* tenants that have more ready than one look takes in */
	_Atomic bool limited;            /* any thread: there are limits */
	int64_t rules_at;                /* monotonic ms: when limits and quarantines were read */
	struct task_ref spare[128];      /* ready tasks that were found but not wanted */
	size_t n_spare;
	int64_t spare_at; /* monotonic ms */
};
struct outlook *outlook_create(void);
void outlook_destroy(struct outlook *o);

struct turn_take {
	const struct take *take;
	bool barred;       /* it gets nothing */
	bool probe;        /* one task, to show whether its provisioner is well again */
	struct json *docs; /* array of documents, each as a text, owned; NULL: nothing */
	size_t size;       /* of them on their way, in bytes */
};

struct touched {
	struct change ch;
	int64_t seq;  /* number of the last event before */
	bool whole;   /* more than events changed */
	bool strange; /* rows changed that the page does not know of */
	struct page *page;
};

/* What an earlier run of the transaction handed out, in case that its commit went through. */
struct handed {
	size_t take;
	struct task_ref ref;
	int64_t attempt;
};

struct turn {
	struct db_pool *db;
	struct engine_policy policy;
	struct documents *documents;   /* NULL when there are no takes */
	struct successors *successors; /* NULL: nothing is kept for later turns */
	struct book *book;             /* as with successors */
	struct outlook *outlook;
	struct turn_result *results;
	size_t n_results;
	struct turn_take *takes; /* who has waited longest first */
	size_t n_takes;
	bool search;     /* look for ready tasks, too */
	bool wait;       /* all results are of one cluster, whose lock is waited for */
	bool unstorable; /* the database refuses what the result says: its task has failed */
	/* what became of it */
	bool more;       /* takes went without tasks that may be had soon */
	int64_t look_ms; /* takes went without tasks that may begin so long from now; -1 none */
	struct touched *touched;
	size_t n_touched;
	/* between runs of the transaction */
	struct task_ref *candidates;
	size_t n_candidates;
	struct handed *handed;
	size_t n_handed;
};

void turn_start(void);                        /* once */
void turn_know_quarantined(int64_t n);        /* for /metrics */
LOOM_MUST_CHECK int turn_run(struct turn *t); /* 0 or a DB_E_ code: nothing was done */
void turn_fini(struct turn *t);               /* but for what was given to it */

#endif
