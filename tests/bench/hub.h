/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub - keep-alive HTTP connections and timers on one epoll, one thread. A connection carries one
 * request at a time. What cannot be done (out of descriptors, an answer that is not HTTP) ends the
 * program: a load driver that carries on would measure something else.
 */
#ifndef LOOM_BENCH_HUB_H
#define LOOM_BENCH_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub;
struct conn;
struct timer;

/* The answer: status 0 when the connection was lost; it is opened again with the next request. */
typedef void (*conn_fn)(void *arg, int status, const char *body, size_t len);
typedef void (*timer_fn)(void *arg);

struct hub *hub_create(void);
void hub_run(struct hub *h); /* until hub_stop() */
void hub_stop(struct hub *h);
void hub_destroy(struct hub *h); /* with all connections and timers */

struct conn *conn_create(struct hub *h, int port, conn_fn answered, void *arg);
/* headers: whole lines with CRLF, or "". */
void hub_send(struct conn *c, const char *method, const char *path, const char *headers,
              const char *body);

struct timer *timer_create_on(struct hub *h, timer_fn due, void *arg);
void timer_at(struct timer *t, int64_t mono_us); /* again while it is set: moves it */

#endif
