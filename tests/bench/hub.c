/* SPDX-License-Identifier: Apache-2.0 */
#include "hub.h"

#include "common/base/buf.h"
#include "common/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BYTES (64u << 20)

struct conn {
	struct conn *next;
	struct hub *h;
	int fd, port;
	conn_fn answered;
	void *arg;
	struct buf in, out;
};

struct timer {
	struct timer *next;
	struct hub *h;
	timer_fn due;
	void *arg;
	int64_t at;
	size_t place; /* in the heap, from 1; 0: not set */
};

struct hub {
	int epoll;
	bool stop;
	struct conn *conns;
	struct timer *timers, **heap;
	size_t n, cap;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct hub *hub_create(void)
{
	struct hub *h = loom_calloc(1, sizeof(*h));
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll < 0)
		fail("epoll");
	return h;
}

void hub_stop(struct hub *h)
{
	h->stop = true;
}

void hub_destroy(struct hub *h)
{
	while (h->conns) {
		struct conn *c = h->conns;
		h->conns = c->next;
		loom_close(c->fd);
		buf_fini(&c->in);
		buf_fini(&c->out);
		loom_free(c);
	}
	while (h->timers) {
		struct timer *t = h->timers;
		h->timers = t->next;
		loom_free(t);
	}
	loom_free(h->heap);
	loom_close(h->epoll);
	loom_free(h);
}

/* ---- timers: a binary heap from place 1 ------------------------------------------------------ */

struct timer *timer_create_on(struct hub *h, timer_fn due, void *arg)
{
	struct timer *t = loom_calloc(1, sizeof(*t));
	*t = (struct timer){ .next = h->timers, .h = h, .due = due, .arg = arg };
	h->timers = t;
	return t;
}

static void put(struct hub *h, size_t place, struct timer *t)
{
	h->heap[place] = t;
	t->place = place;
}

static void settle(struct hub *h, struct timer *t)
{
	size_t i = t->place;
	for (; i > 1 && h->heap[i / 2]->at > t->at; i /= 2)
		put(h, i, h->heap[i / 2]);
	for (;;) {
		size_t k = i * 2;
		if (k < h->n && h->heap[k + 1]->at < h->heap[k]->at)
			k++;
		if (k > h->n || h->heap[k]->at >= t->at)
			break;
		put(h, i, h->heap[k]);
		i = k;
	}
	put(h, i, t);
}

void timer_at(struct timer *t, int64_t mono_us)
{
	struct hub *h = t->h;
	t->at = mono_us;
	if (!t->place) {
		if (h->n + 2 > h->cap) {
			h->cap = h->cap ? h->cap * 2 : 64;
			h->heap = loom_realloc(h->heap, h->cap * sizeof(struct timer *));
		}
		t->place = ++h->n;
		h->heap[t->place] = t;
	}
	settle(h, t);
}

static void run_due(struct hub *h)
{
	int64_t now = clock_mono_us();
	while (h->n && h->heap[1]->at <= now && !h->stop) {
		struct timer *t = h->heap[1], *last = h->heap[h->n--];
		t->place = 0;
		if (last != t) {
			last->place = 1;
			settle(h, last);
		}
		t->due(t->arg);
	}
}

/* ---- connections ----------------------------------------------------------------------------- */

struct conn *conn_create(struct hub *h, int port, conn_fn answered, void *arg)
{
	struct conn *c = loom_calloc(1, sizeof(*c));
	*c = (struct conn){ .next = h->conns,
		            .h = h,
		            .fd = -1,
		            .port = port,
		            .answered = answered,
		            .arg = arg,
		            .in = BUF_INIT(MAX_BYTES),
		            .out = BUF_INIT(MAX_BYTES) };
	h->conns = c;
	return c;
}

/* Connecting to this machine does not block for long. */
static void open_socket(struct conn *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)c->port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (epoll_ctl(c->h->epoll, EPOLL_CTL_ADD, c->fd, &e))
		fail("epoll_ctl");
}

/* Requests are small: they fit into the socket's buffer. */
static void send_all(struct conn *c)
{
	for (size_t sent = 0; sent < c->out.len;) {
		ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return; /* its end is read */
		sent += n > 0 ? (size_t)n : 0;
	}
}

void hub_send(struct conn *c, const char *method, const char *path, const char *headers,
              const char *body)
{
	if (c->fd < 0)
		open_socket(c);
	buf_reset(&c->out);
	buf_addf(&c->out,
	         "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	         "Content-Length: %zu\r\n%s\r\n",
	         method, path, strlen(body), headers);
	buf_adds(&c->out, body);
	send_all(c);
}

static void lost(struct conn *c)
{
	loom_close(c->fd);
	c->fd = -1;
	buf_reset(&c->in);
	c->answered(c->arg, 0, "", 0);
}

/* Length of the whole answer once its head is there, 0 before. */
static size_t answer_length(const struct conn *c, size_t *body_at)
{
	const char *end = c->in.len ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL;
	if (!end)
		return 0;
	*body_at = (size_t)(end - c->in.data) + 4;
	for (const char *line = c->in.data; line < end; line = strstr(line, "\r\n") + 2)
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			return *body_at + strtoul(line + 15, NULL, 10);
	return *body_at;
}

static void readable(struct conn *c)
{
	char chunk[65536];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lost(c);
		return;
	}
	buf_add(&c->in, chunk, (size_t)n);
	size_t at = 0, whole = answer_length(c, &at);
	if (!whole || c->in.len < whole)
		return;
	int status = c->in.len > 12 ? atoi(c->in.data + 9) : 0;
	char *text = buf_take(&c->in);
	c->in = BUF_INIT(MAX_BYTES);
	text[whole] = '\0';
	c->answered(c->arg, status, text + at, whole - at);
	loom_free(text);
}

void hub_run(struct hub *h)
{
	struct epoll_event events[64];
	h->stop = false;
	while (!h->stop) {
		int wait = -1;
		if (h->n) {
			int64_t left = h->heap[1]->at - clock_mono_us();
			wait = left <= 0 ? 0 : (int)((left + 999) / 1000);
		}
		int n = epoll_wait(h->epoll, events, 64, wait);
		for (int i = 0; i < n && !h->stop; i++)
			readable(events[i].data.ptr);
		run_due(h);
	}
}
