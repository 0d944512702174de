/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in queues, one for each share, under one mutex; workers have every signal blocked. */
#include "common/net/pool.h"

#include "common/base/map.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

/* Threads that no share takes, if there are as many more: one for another share, and one for work
 * that is nobody's. */
#define LEFT_FOR_OTHERS 2

struct job {
	STAILQ_ENTRY(job) place;
	loop_fn work, done;
	void *arg;
};

struct queue {
	TAILQ_ENTRY(queue) place; /* among those whose turn may come */
	STAILQ_HEAD(, job) jobs;
	char *name; /* NULL: of work that is nobody's */
	size_t queued;
	unsigned running, most;
	bool waits; /* for its turn: it has a job, and may begin it */
};

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct map *queues; /* those that have something to do */
	TAILQ_HEAD(, queue) turns;
	struct queue own;
	bool shared_last; /* the last turn was a share's */
	size_t max, count;
	bool stopping;
	unsigned threads;
	pthread_t *thread;
};

/* ---- turns: the lock is held ----------------------------------------------------------------- */

static bool may_begin(const struct queue *l)
{
	return l->queued && l->running < l->most;
}

static void wait_for_turn(struct pool *p, struct queue *l)
{
	if (l->waits || !may_begin(l))
		return;
	if (l->name)
		TAILQ_INSERT_TAIL(&p->turns, l, place);
	l->waits = true;
	pthread_cond_signal(&p->more);
}

static struct queue *next_queue(struct pool *p)
{
	struct queue *first = TAILQ_FIRST(&p->turns);
	return p->own.waits && (p->shared_last || !first) ? &p->own : first;
}

static struct job *begin(struct pool *p, struct queue *l)
{
	struct job *j = STAILQ_FIRST(&l->jobs);
	STAILQ_REMOVE_HEAD(&l->jobs, place);
	if (l->name)
		TAILQ_REMOVE(&p->turns, l, place);
	l->waits = false;
	l->queued--;
	l->running++;
	p->count--;
	p->shared_last = l->name != NULL;
	wait_for_turn(p, l);
	return j;
}

static void end(struct pool *p, struct queue *l)
{
	l->running--;
	wait_for_turn(p, l);
	if (!l->name || l->queued || l->running)
		return;
	char *name = l->name;
	(void)map_del(p->queues, name); /* and with it the queue */
	loom_free(name);
}

/* ---- workers --------------------------------------------------------------------------------- */

static struct job *next_job(struct pool *p, struct queue **ret_queue)
{
	while (!(*ret_queue = next_queue(p)) && (!p->stopping || p->count))
		pthread_cond_wait(&p->more, &p->lock);
	return *ret_queue ? begin(p, *ret_queue) : NULL;
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	struct queue *l;
	struct job *j;
	pthread_mutex_lock(&p->lock);
	while ((j = next_job(p, &l))) {
		pthread_mutex_unlock(&p->lock);
		j->work(j->arg);
		pthread_mutex_lock(&p->lock);
		end(p, l);
		if (p->stopping && !p->count)
			pthread_cond_broadcast(&p->more);
		pthread_mutex_unlock(&p->lock);
		if (j->done)
			loop_post(p->loop, j->done, j->arg);
		loom_free(j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void start_threads(struct pool *p)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < p->threads; i++) {
		int rc = pthread_create(&p->thread[i], NULL, worker, p);
		loom_assert(rc == 0);
		char name[16];
		snprintf(name, sizeof(name), "worker-%u", i % 1000);
		pthread_setname_np(p->thread[i], name);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct pool *pool_create(struct loop *l, unsigned threads, size_t max_queue)
{
	loom_assert(threads > 0 && max_queue > 0);
	struct pool *p = loom_calloc(1, sizeof(*p));
	p->loop = l;
	p->max = max_queue;
	p->queues = map_create(loom_free);
	TAILQ_INIT(&p->turns);
	STAILQ_INIT(&p->own.jobs);
	p->own.most = threads;
	p->threads = threads;
	p->thread = loom_calloc(threads, sizeof(*p->thread));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	start_threads(p);
	return p;
}

/* ---- submitting ------------------------------------------------------------------------------ */

static unsigned most_of(const struct pool *p, const struct pool_share *share)
{
	unsigned others = p->threads > LEFT_FOR_OTHERS ? p->threads - LEFT_FOR_OTHERS : 1;
	return share->most && share->most < others ? share->most : others;
}

static struct queue *queue_of(struct pool *p, const struct pool_share *share)
{
	if (!share->name)
		return &p->own;
	struct queue *l = map_get(p->queues, share->name);
	if (l)
		return l;
	l = loom_calloc(1, sizeof(*l));
	l->name = loom_strdup(share->name);
	l->most = most_of(p, share);
	STAILQ_INIT(&l->jobs);
	map_set(p->queues, share->name, l);
	return l;
}

/* Refused before a queue is made for it: one that has nothing to do is not kept. */
static int refused(const struct pool *p, const struct pool_share *share)
{
	const struct queue *l = share->name ? map_get(p->queues, share->name) : NULL;
	if (p->stopping)
		return -ESHUTDOWN;
	return p->count == p->max || (l && l->queued >= (p->max + 3) / 4) ? -EAGAIN : 0;
}

int pool_submit_share(struct pool *p, const struct pool_share *share, loop_fn work, loop_fn done,
                      void *arg)
{
	struct job *j = loom_calloc(1, sizeof(*j));
	*j = (struct job){ .work = work, .done = done, .arg = arg };
	pthread_mutex_lock(&p->lock);
	int rc = refused(p, share);
	if (!rc) {
		struct queue *l = queue_of(p, share);
		STAILQ_INSERT_TAIL(&l->jobs, j, place);
		l->queued++;
		p->count++;
		wait_for_turn(p, l);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc)
		loom_free(j);
	return rc;
}

int pool_submit(struct pool *p, loop_fn work, loop_fn done, void *arg)
{
	return pool_submit_share(p, &(struct pool_share){ 0 }, work, done, arg);
}

unsigned pool_threads(const struct pool *p, unsigned one_in)
{
	return p->threads > one_in ? p->threads / one_in : 1;
}

size_t pool_backlog(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	size_t n = p->count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void pool_destroy(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	map_destroy(p->queues);
	loom_free(p->thread);
	loom_free(p);
}
