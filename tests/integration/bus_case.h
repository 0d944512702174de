/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_case - two buses of one process, which know each other.
 */
#ifndef TESTS_BUS_CASE_H
#define TESTS_BUS_CASE_H

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/bus/bus_private.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char key_file[] = "/tmp/test_bus_XXXXXX";
static struct loop *loop;
static struct bus *a, *b;

static void write_key(const char *path, unsigned char fill)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 32; i++)
		(void)fprintf(f, "%02x", fill);
	(void)fprintf(f, "\n");
	ck_assert_int_eq(fclose(f), 0);
}

static struct bus *make_bus(const char *listen)
{
	struct bus_config cfg = { .listen = loom_strdup(listen), .key_file = key_file };
	struct loom_err err = { 0 };
	struct bus *bus = NULL;
	ck_assert_msg(bus_create(loop, &cfg, &bus, &err) == 0, "%s", err.msg);
	loom_free(cfg.listen);
	return bus;
}

static void too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("nothing happened for too long");
}

/* Runs the loop until a callback calls loop_stop(). */
static void run(void)
{
	struct loop_timer *t = loop_timer_create(loop, "test deadline", too_late, NULL);
	loop_timer_arm(t, 120000);
	loop_run(loop);
	loop_timer_destroy(t);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Lets the loop run for a while in which nothing must happen. */
static void run_for(int64_t ms)
{
	struct loop_timer *t = loop_timer_create(loop, "test while", stop, NULL);
	loop_timer_arm(t, ms);
	loop_run(loop);
	loop_timer_destroy(t);
}

struct reply {
	int calls, error;
	int64_t n, at;
	int *left; /* stop the loop when it comes down to 0 */
};

/* What the tests say to each other. */
struct said {
	struct message head;
	int64_t n;
	const char *text;
};

static const struct message_field said_fields[] = {
	MESSAGE_INT(struct said, n, "n", 0, INT64_MAX, .def = 1),
	MESSAGE_TEXT(struct said, text, "text", BUS_BODY_MAX),
	{ 0 },
};

#define SAID(name)                                             \
	{                                                      \
		name, 1, { said_fields, sizeof(struct said) }, \
		{                                              \
			said_fields, sizeof(struct said)       \
		}                                              \
	}
static const struct message_type twice = SAID("double"), held = SAID("hold"), huge = SAID("huge"),
				 wake = SAID("wake"), unheard = SAID("unheard");

static void on_reply(int error, const void *m, void *arg)
{
	const struct said *answer = m;
	struct reply *r = arg;
	r->calls++;
	r->error = error;
	r->n = answer ? answer->n : -1;
	r->at = clock_mono_ms();
	if (!r->left || --*r->left == 0)
		loop_stop(loop);
}

static void double_it(struct bus_call *call, void *m, void *arg)
{
	const struct said *asked = m;
	(void)arg;
	bus_answer(call, &(struct said){ .n = 2 * asked->n });
	message_free(m);
}

static uint64_t ask_all(struct bus *from, const char *to, const struct message_type *t,
                        const struct said *m, int64_t timeout, struct reply *r)
{
	LOOM_CLEANUP_STR char *text = message_write(t, m);
	return bus_request(from, to, &(struct bus_text){ t, text }, timeout, on_reply, r);
}

static uint64_t ask(struct bus *from, const char *to, const struct message_type *t, int64_t n,
                    int64_t timeout, struct reply *r)
{
	return ask_all(from, to, t, &(struct said){ .n = n }, timeout, r);
}

/* Until it is connected, which may take a busy machine longer than requests wait for that. */
static void meet(struct bus *from, const char *address)
{
	struct reply r = { 0 };
	for (int64_t end = clock_mono_ms() + 60000; r.error != -ENOSYS;) {
		ck_assert_int_lt(clock_mono_ms(), end);
		ask(from, address, &unheard, 0, 60000, &r);
		run();
	}
}

static void setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	write_key(key_file, 0x5a);
	loop = loop_create();
	a = make_bus("tcp://127.0.0.1:0");
	b = make_bus("tcp://localhost:0");
	meet(a, bus_address(b));
	meet(b, bus_address(a));
}

static void teardown(void)
{
	bus_destroy(a);
	bus_destroy(b);
	ck_assert_int_eq(loop_destroy(loop), 0);
}

static const struct said nothing = { .n = 7 };

static void count_notice(const void *m, void *arg)
{
	const struct said *notice = m;
	int64_t *sum = arg;
	*sum += notice->n;
	loop_stop(loop);
}

/* Runs the cases with a key of their own; main's exit code. */
static int bus_main(const char *name, TCase *(*cases)(void))
{
	int fd = mkstemp(key_file);
	if (fd < 0)
		return 1;
	loom_close(fd);
	int rc = UNIT_RUN(name, cases());
	(void)unlink(key_file);
	return rc;
}

#endif
