/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a peer read its last answer before the kernel resets the connection, which it does when
 * something that was sent has not been read. */
#include "common/net/http_internal.h"

#include "common/base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#define MAX_LINGERING 256
#define LINGER_MS     2000
#define LINGER_BYTES  (1u << 20)

struct lingerer {
	struct http_server *server;
	struct lingerer *prev, *next;
	struct event *ev;
	int fd;
	int64_t until_ms;
	size_t eaten;
};

static void linger_free(struct lingerer *g)
{
	struct http_server *s = g->server;
	if (g->prev)
		g->prev->next = g->next;
	else
		s->lingers = g->next;
	if (g->next)
		g->next->prev = g->prev;
	s->lingering--;
	event_free(g->ev);
	loom_close(g->fd);
	loom_free(g);
}

static void on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct lingerer *g = arg;
	char scrap[16384];
	ssize_t n = what & EV_TIMEOUT ? 0 : read(fd, scrap, sizeof(scrap));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		g->eaten += (size_t)n;
	if (n <= 0 || g->eaten > LINGER_BYTES || clock_mono_ms() > g->until_ms)
		linger_free(g);
}

static void linger_start(struct http_server *s, int fd)
{
	if (s->lingering >= MAX_LINGERING) {
		loom_close(fd);
		return;
	}
	struct lingerer *g = loom_calloc(1, sizeof(*g));
	struct timeval tv = { .tv_sec = LINGER_MS / 1000 };
	g->server = s;
	g->fd = fd;
	g->until_ms = clock_mono_ms() + LINGER_MS;
	g->next = s->lingers;
	if (g->next)
		g->next->prev = g;
	s->lingers = g;
	s->lingering++;
	g->ev = event_new(loop_base(s->loop), fd, EV_READ | EV_PERSIST, on_linger, g);
	loom_assert(g->ev);
	if (event_add(g->ev, &tv) != 0)
		linger_free(g);
}

void conn_linger(const struct server_conn *c)
{
	int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		linger_start(c->server, fd);
}

void lingers_drop(struct http_server *s)
{
	while (s->lingers)
		linger_free(s->lingers);
}
