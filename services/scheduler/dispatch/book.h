/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book - rows as the last turn left them, so that the next one need not read them again: the open
 * tasks, jobs and machines of clusters that tasks are handed out of.
 *
 * A page is right for as long as its cluster's last event is the one that it was written with:
 * whoever changes a task, a job or a machine appends an event in the same transaction, under the
 * cluster's row lock. Only leases of tasks are renewed without, and ready tasks put off that wait
 * for an address. Whether a page is right can thus be told when the cluster is locked, whoever else
 * works on it, and at the cost of nothing.
 *
 * Any thread; a page is its holder's.
 */
#ifndef LOOM_SCHEDULER_BOOK_H
#define LOOM_SCHEDULER_BOOK_H

#include "common/base/map.h"
#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/dispatch/document.h"

struct page {
	int64_t cluster, seq; /* the number of its last event */
	struct tasks *tasks;  /* blocked, ready or running; some of them; NULL: none */
	int64_t all_of;       /* of this job all of them; 0: of none */
	struct map *swept;    /* a set: ids of machines of which tasks_of_nodes() finds no others */
	struct job *jobs;     /* of those tasks */
	size_t n_jobs;
	struct nodes *nodes; /* all, by number; NULL: not known */
	struct sight *sight; /* of all nodes; NULL: not made yet */
	uint64_t used;
};

struct page *page_create(int64_t cluster);
void page_free(struct page *p); /* NULL ok */
/* The machine of a task; NULL when there is none. */
struct node *page_node(const struct page *p, const struct task *t);

struct book;
void book_start(void); /* once: its metrics */
struct book *book_create(void);
void book_destroy(struct book *b); /* NULL ok */
/* Takes the page of a locked cluster out: owned, and right. NULL when there is none that is. */
struct page *book_take(struct book *b, int64_t cluster, int64_t seq);
void book_put(struct book *b, struct page *p); /* takes it */

/* In builds for tests: asserts that a page says what the database does. */
#ifdef LOOM_BREAKABLE
LOOM_MUST_CHECK int page_verify(const struct page *p, struct db *db);
#else
static inline int page_verify(const struct page *p LOOM_UNUSED, struct db *db LOOM_UNUSED)
{
	return 0;
}
#endif

#endif
