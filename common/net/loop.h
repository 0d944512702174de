/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop - the one event loop of a process (libevent), named timers, and posting from threads.
 *
 * Call all functions on the loop's thread, except loop_post() and loop_stop(): any thread. The
 * first loop makes the process ignore SIGPIPE. Destroying the loop reports timers that are still
 * registered (a leak) and returns their number.
 */
#ifndef LOOM_NET_LOOP_H
#define LOOM_NET_LOOP_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct loop;
struct loop_timer;

typedef void (*loop_fn)(void *arg);

struct loop *loop_create(void);
int loop_destroy(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop() */
void loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l);
bool loop_is_here(struct loop *l); /* is the caller on the loop's thread? any thread may ask */

/* Runs fn(arg) on the loop soon, in order of posting. Destroying the loop runs the remaining
 * posts. */
void loop_post(struct loop *l, loop_fn fn, void *arg);

/* Runs all posts now: for shutdown, while everything they use still exists. */
void loop_flush(struct loop *l);

/* Timers are created unarmed. arm replaces an earlier arming; repeating ones re-arm themselves. */
struct loop_timer *loop_timer_create(struct loop *l, const char *name, loop_fn fn, void *arg);
void loop_timer_arm(struct loop_timer *t, int64_t delay_ms);
void loop_timer_every(struct loop_timer *t, int64_t period_ms);
void loop_timer_disarm(struct loop_timer *t);
void loop_timer_destroy(struct loop_timer *t); /* allowed from its own callback; NULL ok */

/* Signals (SIGTERM, SIGINT, SIGHUP ...) as loop events; freed with the loop. */
void loop_on_signal(struct loop *l, int signo, loop_fn fn, void *arg);

#endif
