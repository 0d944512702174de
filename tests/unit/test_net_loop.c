/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/loop.h"
#include "common/net/pool.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;

static void start(void)
{
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
}

static void stop(void)
{
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* ---- posting --------------------------------------------------------------------------------- */

enum { THREADS = 4, POSTS = 500, ALL = 2000 };
static int order[THREADS], total;

struct mark {
	int thread, n;
};

static void on_mark(void *arg)
{
	struct mark *m = arg;
	ck_assert(loop_is_here(loop));
	ck_assert_int_eq(order[m->thread]++, m->n); /* each thread's posts in their order */
	loom_free(m);
	if (++total == ALL)
		loop_stop(loop);
}

static void *post_many(void *arg)
{
	ck_assert(!loop_is_here(loop));
	for (int i = 0; i < POSTS; i++) {
		struct mark *m = loom_malloc(sizeof(*m));
		*m = (struct mark){ .thread = *(int *)arg, .n = i };
		loop_post(loop, on_mark, m);
	}
	return NULL;
}

START_TEST(posts_from_threads_in_order)
{
	pthread_t t[THREADS];
	int which[THREADS];
	for (int i = 0; i < THREADS; i++) {
		which[i] = i;
		ck_assert_int_eq(pthread_create(&t[i], NULL, post_many, &which[i]), 0);
	}
	loop_run(loop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(total, ALL);
}
END_TEST

static void count(void *arg)
{
	(*(int *)arg)++;
}

static void post_again(void *arg)
{
	loop_post(loop, count, arg);
}

START_TEST(posts_left_are_run_at_the_end)
{
	static int n;
	loop_post(loop, post_again, &n);
	loop_post(loop, count, &n);
	ck_assert_int_eq(loop_destroy(loop), 0);
	ck_assert_int_eq(n, 2);
	loop = loop_create();
	loop_stop(loop); /* before the run: it ends at once */
	loop_run(loop);
	loop_stop(loop);
	loop_run(loop); /* and may run again */
}
END_TEST

/* ---- timers ---------------------------------------------------------------------------------- */

static struct loop_timer *timer;
static int ticks;

static void on_tick(void *arg)
{
	(void)arg;
	if (++ticks == 3) {
		loop_timer_destroy(timer); /* from within its own callback */
		timer = NULL;
		loop_stop(loop);
	}
}

START_TEST(timers)
{
	int64_t begin = clock_mono_ms();
	struct loop_timer *never = loop_timer_create(loop, "never", on_tick, NULL);
	loop_timer_arm(never, 1);
	loop_timer_disarm(never);
	timer = loop_timer_create(loop, "tick", on_tick, NULL);
	loop_timer_arm(timer, 100000);
	loop_timer_every(timer, 5); /* replaces */
	loop_run(loop);
	ck_assert_int_eq(ticks, 3);
	ck_assert_int_ge(clock_mono_ms() - begin, 14);
	struct loop_timer *end = loop_timer_create(loop, "end", stop_loop, loop);
	loop_timer_arm(end, 0);
	loop_run(loop);
	ck_assert_int_eq(ticks, 3);
	loop_timer_destroy(never);
	loop_timer_destroy(end);
	loop_timer_destroy(NULL);
}
END_TEST

START_TEST(left_timers_are_reported)
{
	char path[] = "/tmp/loom-test-XXXXXX", text[512] = "";
	int fd = mkstemp(path);
	unlink(path);
	loop_timer_create(loop, "forgotten", on_tick, NULL);
	log_setup("test", LOG_LV_INFO, false);
	log_set_fd(fd);
	ck_assert_int_eq(loop_destroy(loop), 1);
	log_set_fd(2);
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "forgotten"));
	close(fd);
	loop = loop_create();
}
END_TEST

START_TEST(signals)
{
	static int n;
	loop_on_signal(loop, SIGUSR1, count, &n);
	loop_on_signal(loop, SIGUSR2, stop_loop, loop);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	ck_assert_int_eq(kill(getpid(), SIGUSR2), 0);
	loop_run(loop);
	ck_assert_int_eq(n, 1);
}
END_TEST

/* ---- pool ------------------------------------------------------------------------------------ */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int entered, worked;
static int done_count, done_want;

static void work(void *arg)
{
	(void)arg;
	ck_assert(!loop_is_here(loop));
	entered++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	worked++;
}

static void done(void *arg)
{
	(void)arg;
	ck_assert(loop_is_here(loop));
	if (++done_count == done_want)
		loop_stop(loop);
}

static void until_entered(int n)
{
	while (entered < n)
		sched_yield();
}

START_TEST(pool_bounds_its_queue)
{
	struct pool *p = pool_create(loop, 2, 3);
	done_want = 5;
	pthread_mutex_lock(&gate);
	ck_assert_int_eq(pool_submit(p, work, done, NULL), 0);
	ck_assert_int_eq(pool_submit(p, work, done, NULL), 0);
	until_entered(2);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pool_submit(p, work, done, NULL), 0);
	ck_assert_uint_eq(pool_backlog(p), 3);
	ck_assert_int_eq(pool_submit(p, work, done, NULL), -EAGAIN);
	pthread_mutex_unlock(&gate);
	loop_run(loop);
	ck_assert_int_eq(worked, 5);
	ck_assert_int_eq(done_count, 5);
	ck_assert_uint_eq(pool_backlog(p), 0);
	pool_destroy(p);
	pool_destroy(NULL);
}
END_TEST

static struct pool *pool;

static void late_submit(void *arg)
{
	(void)arg;
	entered++;
	while (!worked)
		sched_yield();
	int r;
	/* soon the pool stops; until then this may be taken */
	while ((r = pool_submit(pool, work, NULL, NULL)) != -ESHUTDOWN)
		ck_assert(r == 0 || r == -EAGAIN);
}

START_TEST(pool_finishes_what_is_queued)
{
	pool = pool_create(loop, 1, 8);
	ck_assert_int_eq(pool_submit(pool, late_submit, done, NULL), 0);
	until_entered(1);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pool_submit(pool, work, done, NULL), 0);
	worked = 1;
	pool_destroy(pool);
	ck_assert_int_ge(worked, 5);
	ck_assert_int_eq(done_count, 0); /* posted, run at the loop's end */
	ck_assert_int_eq(loop_destroy(loop), 0);
	ck_assert_int_eq(done_count, 5);
	loop = loop_create();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("loop");
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, posts_from_threads_in_order);
	tcase_add_test(t, posts_left_are_run_at_the_end);
	tcase_add_test(t, timers);
	tcase_add_test(t, left_timers_are_reported);
	tcase_add_test(t, signals);
	tcase_add_test(t, pool_bounds_its_queue);
	tcase_add_test(t, pool_finishes_what_is_queued);
	return UNIT_RUN("net_loop", t);
}
