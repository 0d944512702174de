/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posting: a list under a mutex and an eventfd that wakes the loop.  Only the first post after the
 * loop has taken the list writes to the eventfd.  Nothing of libevent is touched from other
 * threads.
 */
#include "common/net/loop.h"

#include "common/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct post {
	struct post *next;
	loop_fn fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct loop_timer *prev, *next;
	const char *name;
	struct event *ev;
	loop_fn fn;
	void *arg;
	int64_t period_ms; /* 0: once */
};

struct loop_signal {
	struct loop_signal *next;
	struct event *ev;
	loop_fn fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	_Atomic(pthread_t) owner;
	pthread_mutex_t lock; /* guards the post list */
	struct post *head, **tail;
	struct loop_timer *timers;
	struct loop_signal *signals;
};

static void event_log(int severity, const char *msg)
{
	switch (severity) {
	case EVENT_LOG_DEBUG:
		break;
	case EVENT_LOG_MSG:
		log_debug("libevent", LOG_S("text", msg));
		break;
	default:
		log_warn("libevent", LOG_S("text", msg));
		break;
	}
}

static void event_fatal(int code)
{
	log_error("libevent gave up", LOG_I("code", code));
	abort();
}

/* Out of memory is all that can go wrong in these calls. */
static void must(int r)
{
	loom_assert(r == 0);
}

static void setup_once(void)
{
	must(evthread_use_pthreads());
	event_set_log_callback(event_log);
	event_set_fatal_callback(event_fatal);
	/* libevent writes to sockets with writev(), which has no flag for this. */
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	must(sigaction(SIGPIPE, &ignore, NULL));
}

static void run_posts(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct post *p = l->head;
	l->head = NULL;
	l->tail = &l->head;
	pthread_mutex_unlock(&l->lock);
	while (p) {
		struct post *next = p->next;
		loop_fn fn = p->fn;
		void *arg = p->arg;
		loom_free(p);
		fn(arg);
		p = next;
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	uint64_t n;
	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	run_posts(arg);
}

struct loop *loop_create(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, setup_once);
	struct loop *l = loom_calloc(1, sizeof(*l));
	l->base = event_base_new();
	loom_assert(l->base);
	l->owner = pthread_self();
	pthread_mutex_init(&l->lock, NULL);
	l->tail = &l->head;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loom_assert(l->wake_fd >= 0);
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	loom_assert(l->wake);
	must(event_add(l->wake, NULL));
	return l;
}

static int report_timers(struct loop *l)
{
	int left = 0;
	while (l->timers) {
		log_warn("timer left behind", LOG_S("timer", l->timers->name));
		left++;
		loop_timer_destroy(l->timers);
	}
	return left;
}

int loop_destroy(struct loop *l)
{
	if (!l)
		return 0;
	loop_flush(l);
	int left = report_timers(l);
	while (l->signals) {
		struct loop_signal *s = l->signals;
		l->signals = s->next;
		event_free(s->ev);
		loom_free(s);
	}
	event_free(l->wake);
	event_base_free(l->base);
	loom_close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	loom_free(l);
	return left;
}

void loop_flush(struct loop *l)
{
	l->owner = pthread_self();
	while (l->head)
		run_posts(l);
}

void loop_run(struct loop *l)
{
	l->owner = pthread_self();
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void stop_now(void *arg)
{
	struct loop *l = arg;
	event_base_loopbreak(l->base);
}

void loop_stop(struct loop *l)
{
	loop_post(l, stop_now, l);
}

bool loop_is_here(struct loop *l)
{
	return pthread_equal(l->owner, pthread_self());
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

void loop_post(struct loop *l, loop_fn fn, void *arg)
{
	struct post *p = loom_malloc(sizeof(*p));
	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&l->lock);
	bool first = !l->head;
	*l->tail = p;
	l->tail = &p->next;
	/* Under the lock: the loop may be destroyed as soon as it has run this post. */
	if (first) {
		uint64_t one = 1;
		while (write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void set_timer(struct loop_timer *t, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
	must(event_add(t->ev, &tv));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop_timer *t = arg;
	if (t->period_ms)
		set_timer(t, t->period_ms);
	t->fn(t->arg); /* may free t */
}

struct loop_timer *loop_timer_create(struct loop *l, const char *name, loop_fn fn, void *arg)
{
	struct loop_timer *t = loom_calloc(1, sizeof(*t));
	t->loop = l;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->ev = event_new(l->base, -1, 0, on_timer, t);
	loom_assert(t->ev);
	t->next = l->timers;
	if (t->next)
		t->next->prev = t;
	l->timers = t;
	return t;
}

void loop_timer_arm(struct loop_timer *t, int64_t delay_ms)
{
	t->period_ms = 0;
	set_timer(t, delay_ms);
}

void loop_timer_every(struct loop_timer *t, int64_t period_ms)
{
	loom_assert(period_ms > 0);
	t->period_ms = period_ms;
	set_timer(t, period_ms);
}

void loop_timer_disarm(struct loop_timer *t)
{
	t->period_ms = 0;
	event_del(t->ev);
}

void loop_timer_destroy(struct loop_timer *t)
{
	if (!t)
		return;
	if (t->prev)
		t->prev->next = t->next;
	else
		t->loop->timers = t->next;
	if (t->next)
		t->next->prev = t->prev;
	event_free(t->ev);
	loom_free(t);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	(void)signo;
	(void)what;
	struct loop_signal *s = arg;
	s->fn(s->arg);
}

void loop_on_signal(struct loop *l, int signo, loop_fn fn, void *arg)
{
	struct loop_signal *s = loom_calloc(1, sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	s->ev = evsignal_new(l->base, signo, on_signal, s);
	loom_assert(s->ev);
	must(event_add(s->ev, NULL));
	s->next = l->signals;
	l->signals = s;
}
