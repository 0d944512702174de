/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord_case - a relay in front of ZooKeeper that can lose, delay and cut.
 */
#ifndef TESTS_COORD_CASE_H
#define TESTS_COORD_CASE_H

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/coord/coord_private.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the relay ------------------------------------------------------------------------------- */

enum relay_mode {
	PASS,
	SWALLOW, /* what the server says is read and dropped */
	STALL,   /* nothing moves, nothing is closed */
	CUT,     /* connections are closed, also new ones */
	END,
};

enum { RELAY_MAX = 16 };

struct relay {
	pthread_t thread;
	int listener, wake;
	_Atomic int mode;
	char address[32];
	int client[RELAY_MAX], server[RELAY_MAX]; /* -1: free */
	struct sockaddr_in to;
};

static void relay_close(struct relay *r, int i)
{
	loom_close(r->client[i]);
	loom_close(r->server[i]);
	r->client[i] = r->server[i] = -1;
}

static void relay_accept(struct relay *r)
{
	int i = 0, fd = accept(r->listener, NULL, NULL);

	while (i < RELAY_MAX && r->client[i] >= 0)
		i++;
	if (fd < 0 || r->mode == CUT || i == RELAY_MAX) {
		loom_close(fd);
		return;
	}
	r->client[i] = fd;
	r->server[i] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(r->server[i], (struct sockaddr *)&r->to, sizeof(r->to)))
		relay_close(r, i);
}

static bool relay_copy(int from, int to, bool drop)
{
	char bytes[4096];
	ssize_t n = recv(from, bytes, sizeof(bytes), 0);

	return n > 0 && (drop || send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n);
}

static void relay_turn(struct relay *r)
{
	struct pollfd p[2 + 2 * RELAY_MAX] = { { .fd = r->listener, .events = POLLIN },
		                               { .fd = r->wake, .events = POLLIN } };
	int mode = r->mode;
	uint64_t n;

	for (int i = 0; i < RELAY_MAX; i++) {
		bool listen = mode != STALL;

		if (mode == CUT && r->client[i] >= 0)
			relay_close(r, i);
		p[2 + 2 * i] =
			(struct pollfd){ .fd = listen ? r->client[i] : -1, .events = POLLIN };
		p[3 + 2 * i] =
			(struct pollfd){ .fd = listen ? r->server[i] : -1, .events = POLLIN };
	}
	(void)poll(p, LOOM_COUNT(p), -1);
	if (p[1].revents)
		(void)!read(r->wake, &n, sizeof(n));
	if (p[0].revents)
		relay_accept(r);
	for (int i = 0; i < RELAY_MAX; i++) {
		bool ok = true;

		if (p[2 + 2 * i].revents)
			ok = relay_copy(r->client[i], r->server[i], false);
		if (ok && p[3 + 2 * i].revents)
			ok = relay_copy(r->server[i], r->client[i], mode == SWALLOW);
		if (!ok)
			relay_close(r, i);
	}
}

static void *relay_main(void *arg)
{
	struct relay *r = arg;

	while (r->mode != END)
		relay_turn(r);
	for (int i = 0; i < RELAY_MAX; i++)
		relay_close(r, i);
	return NULL;
}

static void relay_set(struct relay *r, enum relay_mode mode)
{
	uint64_t one = 1;

	r->mode = (int)mode;
	ck_assert_int_eq(write(r->wake, &one, sizeof(one)), sizeof(one));
}

static void relay_start(struct relay *r)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);
	char zk[64];

	memset(r, 0, sizeof(*r));
	memset(r->client, 0xff, sizeof(r->client));
	memset(r->server, 0xff, sizeof(r->server));
	(void)snprintf(zk, sizeof(zk), "%s", getenv("LOOM_TEST_ZK"));
	char *colon = strrchr(zk, ':');
	ck_assert_ptr_nonnull(colon);
	*colon = '\0';
	r->to = (struct sockaddr_in){ .sin_family = AF_INET,
		                      .sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10)) };
	ck_assert_int_eq(inet_pton(AF_INET, zk, &r->to.sin_addr), 1);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(r->listener, (struct sockaddr *)&here, len), 0);
	ck_assert_int_eq(listen(r->listener, 16), 0);
	ck_assert_int_eq(getsockname(r->listener, (struct sockaddr *)&here, &len), 0);
	(void)snprintf(r->address, sizeof(r->address), "127.0.0.1:%u",
	               (unsigned)ntohs(here.sin_port));
	r->wake = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(pthread_create(&r->thread, NULL, relay_main, r), 0);
}

static void relay_end(struct relay *r)
{
	relay_set(r, END);
	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
	loom_close(r->listener);
	loom_close(r->wake);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static struct loop *loop;
static struct relay relay;
static char root[128];
static int serial;

static void setup(void)
{
	const char *base = getenv("LOOM_TEST_ZK_ROOT");

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_fd(-1);
	(void)snprintf(root, sizeof(root), "%s/%d-%d", base ? base : "/loomtest", (int)getpid(),
	               serial++);
	relay_start(&relay);
	loop = loop_create();
}

static void teardown(void)
{
	ck_assert_int_eq(loop_destroy(loop), 0);
	relay_end(&relay);
}

static void quit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_for(int64_t ms)
{
	struct loop_timer *t = loop_timer_create(loop, "test while", quit, NULL);

	loop_timer_arm(t, ms);
	loop_run(loop);
	loop_timer_destroy(t);
}

/* Runs the loop until a callback has made the condition true (callbacks stop the loop). */
#define WAIT(cond)                                                                             \
	do {                                                                                   \
		int64_t until_ = clock_mono_ms() + 60000;                                      \
		while (!(cond)) {                                                              \
			ck_assert_msg(clock_mono_ms() < until_, "never came true: %s", #cond); \
			run_for(20);                                                           \
		}                                                                              \
	} while (0)

static const char *key_file; /* NULL: everything is open */

static struct coord *make(const char *quorum, int64_t session_ms)
{
	struct coord_config cfg = { .quorum = loom_strdup(quorum),
		                    .root = loom_strdup(root),
		                    .session_ms = session_ms,
		                    .key_file = key_file };
	struct loom_err err = { 0 };
	struct coord *c = coord_create(loop, &cfg, &err);
	ck_assert_msg(c, "%s", err.msg);

	loom_free(cfg.quorum);
	loom_free(cfg.root);
	return c;
}

static struct coord *direct(void)
{
	return make(getenv("LOOM_TEST_ZK"), 4000);
}

struct post {
	bool leader;
	int changes;
	int64_t at; /* of the last change */
};

static void on_leader(bool leader, void *arg)
{
	struct post *p = arg;

	ck_assert(p->leader != leader);
	p->leader = leader;
	p->changes++;
	p->at = clock_mono_ms();
	loop_stop(loop);
}

#endif
