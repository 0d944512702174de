/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of jobs under one mutex; workers have every signal blocked. */
#include "common/net/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct job {
	loop_fn work, done;
	void *arg;
};

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *ring;
	size_t max, first, count;
	bool stopping;
	unsigned threads;
	pthread_t *thread;
};

static bool next_job(struct pool *p, struct job *ret)
{
	pthread_mutex_lock(&p->lock);
	while (!p->count && !p->stopping)
		pthread_cond_wait(&p->more, &p->lock);
	bool have = p->count > 0;
	if (have) {
		*ret = p->ring[p->first];
		p->first = (p->first + 1) % p->max;
		p->count--;
	}
	pthread_mutex_unlock(&p->lock);
	return have;
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	struct job j;
	while (next_job(p, &j)) {
		j.work(j.arg);
		if (j.done)
			loop_post(p->loop, j.done, j.arg);
	}
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
	p->ring = loom_calloc(max_queue, sizeof(*p->ring));
	p->threads = threads;
	p->thread = loom_calloc(threads, sizeof(*p->thread));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	start_threads(p);
	return p;
}

int pool_submit(struct pool *p, loop_fn work, loop_fn done, void *arg)
{
	int rc = 0;
	pthread_mutex_lock(&p->lock);
	if (p->stopping) {
		rc = -ESHUTDOWN;
	} else if (p->count == p->max) {
		rc = -EAGAIN;
	} else {
		p->ring[(p->first + p->count++) % p->max] =
			(struct job){ .work = work, .done = done, .arg = arg };
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
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
	loom_free(p->ring);
	loom_free(p->thread);
	loom_free(p);
}
