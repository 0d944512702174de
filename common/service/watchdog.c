/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog - a thread of its own that sees whether the loop's timer goes on. */
#include "common/service/watchdog.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 4 }; /* in the time that the loop has */

struct watchdog {
	struct loop_timer *timer;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool stop;
	int64_t most_ms;
	atomic_int missed; /* looks since the timer was last seen */
};

static void on_timer(void *arg)
{
	struct watchdog *w = arg;
	atomic_store(&w->missed, 0);
}

/* Who hangs may hold the lock of the log. */
static void end(const struct watchdog *w)
{
	(void)dprintf(STDERR_FILENO,
	              "the main loop has not turned for %lld ms: ending, to be started again\n",
	              (long long)w->most_ms);
	_exit(EXIT_FAILURE);
}

static int64_t between_looks_ms(const struct watchdog *w)
{
	return (w->most_ms + LOOKS - 1) / LOOKS;
}

static struct timespec next_look(const struct watchdog *w)
{
	struct timespec t;
	int64_t ms = between_looks_ms(w);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void *look(void *arg)
{
	struct watchdog *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct timespec until = next_look(w);
		int rc = 0;
		while (!w->stop && rc != ETIMEDOUT)
			rc = pthread_cond_timedwait(&w->stopped, &w->lock, &until);
		if (!w->stop && atomic_fetch_add(&w->missed, 1) >= LOOKS)
			end(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start_thread(struct watchdog *w)
{
	sigset_t all, old;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->stopped, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&w->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&w->thread, NULL, look, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

struct watchdog *watchdog_start(struct loop *loop, int64_t most_ms)
{
	if (!most_ms)
		return NULL;
	struct watchdog *w = loom_calloc(1, sizeof(*w));
	w->most_ms = most_ms;
	int rc = start_thread(w);
	if (rc) {
		log_warn("nobody watches the main loop", LOG_S("error", strerrordesc_np(rc)));
		loom_free(w);
		return NULL;
	}
	w->timer = loop_timer_create(loop, "watchdog", on_timer, w);
	loop_timer_every(w->timer, between_looks_ms(w));
	return w;
}

void watchdog_stop(struct watchdog *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->stopped);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->stopped);
	pthread_mutex_destroy(&w->lock);
	loop_timer_destroy(w->timer);
	loom_free(w);
}
