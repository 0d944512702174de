/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus over real sockets: buses of one process, a peer that is killed, hostile bytes. */
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
	loop_timer_arm(t, 15000);
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

static void setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	write_key(key_file, 0x5a);
	loop = loop_create();
	a = make_bus("tcp://127.0.0.1:0");
	b = make_bus("tcp://localhost:0");
}

static void teardown(void)
{
	bus_destroy(a);
	bus_destroy(b);
	ck_assert_int_eq(loop_destroy(loop), 0);
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
	return bus_request(from, to, t, text, timeout, on_reply, r);
}

static uint64_t ask(struct bus *from, const char *to, const struct message_type *t, int64_t n,
                    int64_t timeout, struct reply *r)
{
	return ask_all(from, to, t, &(struct said){ .n = n }, timeout, r);
}

static void notify(const char *to, const struct message_type *t, int64_t n)
{
	LOOM_CLEANUP_STR char *text = message_write(t, &(struct said){ .n = n });
	bus_notify(a, to, t, text);
}

START_TEST(test_request_and_answer)
{
	struct reply r = { 0 };
	bus_on_request(b, &twice, double_it, NULL);
	ask(a, bus_address(b), &twice, 21, 5000, &r);
	ck_assert_int_eq(r.calls, 0);
	run();
	ck_assert(r.calls == 1 && r.error == 0 && r.n == 42);
	bus_on_request(a, &twice, double_it, NULL); /* to itself */
	ask(a, bus_address(a), &twice, 4, 5000, &r);
	run();
	ck_assert(r.calls == 2 && r.error == 0 && r.n == 8);
	ask(a, bus_address(b), &unheard, 4, 5000, &r);
	run();
	ck_assert(r.calls == 3 && r.error == -ENOSYS);
}
END_TEST

START_TEST(test_many_in_flight)
{
	enum { MANY = 3000 };
	struct reply *r = loom_calloc(MANY, sizeof(*r));
	int left = MANY;

	bus_on_request(b, &twice, double_it, NULL);
	bus_on_request(a, &twice, double_it, NULL);
	for (int i = 0; i < MANY; i++) {
		r[i].left = &left;
		ask(i % 2 ? a : b, bus_address(i % 2 ? b : a), &twice, i, 60000, &r[i]);
	}
	run();
	for (int i = 0; i < MANY; i++)
		ck_assert_msg(r[i].calls == 1 && r[i].error == 0 && r[i].n == INT64_C(2) * i,
		              "%d: %d calls, error %d", i, r[i].calls, r[i].error);
	loom_free(r);
}
END_TEST

static const struct said nothing = { .n = 7 };

static void hold(struct bus_call *call, void *m, void *arg)
{
	struct bus_call **kept = arg;
	message_free(m);
	*kept = call;
	loop_stop(loop);
}

START_TEST(test_late_answer_timeout_cancel)
{
	struct bus_call *kept = NULL;
	struct reply r = { 0 };
	int64_t start = clock_mono_ms();
	bus_on_request(b, &held, hold, &kept);
	ask(a, bus_address(b), &held, 1, 150, &r);
	run();
	ck_assert_ptr_nonnull(kept);
	run();
	ck_assert(r.calls == 1 && r.error == -ETIMEDOUT && r.at - start >= 149);
	bus_answer(kept, &nothing); /* nobody waits any more */
	uint64_t id = ask(a, bus_address(b), &held, 2, 60, &r);
	run();
	bus_cancel(a, id);
	bus_cancel(a, id);
	bus_answer(kept, &nothing);
	run_for(100);
	ck_assert_int_eq(r.calls, 1);
	ask(a, bus_address(b), &held, 3, 5000, &r);
	run();
	bus_answer(kept, &nothing);
	run();
	ck_assert(r.calls == 2 && r.error == 0 && r.n == 7);
}
END_TEST

START_TEST(test_calls_outlive_the_bus)
{
	struct bus_call *kept = NULL;
	struct reply r = { 0 };
	bus_on_request(b, &held, hold, &kept);
	ask(a, bus_address(b), &held, 1, 5000, &r);
	run();
	bus_destroy(b);
	b = NULL;
	bus_answer(kept, &nothing); /* only frees it */
	r.calls = 0;
	bus_destroy(a); /* one is pending */
	a = NULL;
	ck_assert(r.calls == 1 && r.error == -ECANCELED);
}
END_TEST

static void count_notice(const void *m, void *arg)
{
	const struct said *notice = m;
	int64_t *sum = arg;
	*sum += notice->n;
	loop_stop(loop);
}

START_TEST(test_notice)
{
	int64_t sum = 0;
	bus_on_notice(b, &wake, count_notice, &sum);
	notify(bus_address(b), &wake, 5);
	run();
	ck_assert_int_eq(sum, 5);
	notify(bus_address(b), &wake, -1); /* out of its bounds: refused */
	notify(bus_address(b), &unheard, 1);
	notify(bus_address(b), &wake, 1);
	run();
	ck_assert_int_eq(sum, 6);
}
END_TEST

static const char *const no_peers[] = {
	"tcp://127.0.0.1:1", "tcp://nonexistent.invalid:5", "inproc://x", "", "tcp://", "nonsense"
};

START_TEST(test_peer_absent)
{
	struct reply r = { 0 };
	int64_t start = clock_mono_ms();
	ask(a, no_peers[_i], &twice, 1, 10000, &r);
	ck_assert_int_eq(r.calls, 0);
	run();
	ck_assert(r.calls == 1 && r.error == -EHOSTUNREACH);
	ck_assert_int_lt(r.at - start, 2000);
	/* Known to be away by now: at once. */
	start = clock_mono_ms();
	ask(a, no_peers[_i], &twice, 1, 10000, &r);
	run();
	ck_assert(r.calls == 2 && r.error == -EHOSTUNREACH);
	ck_assert_int_lt(r.at - start, BUS_GRACE_MS);
	notify(no_peers[_i], &wake, 1);
	bus_cancel(a, ask(a, no_peers[_i], &twice, 1, 10000, &r));
	run_for(300);
	ck_assert_int_eq(r.calls, 2);
}
END_TEST

/* A process that binds its inbox where it is told, says so, and never answers. */
static pid_t start_mute_peer(char address[64], int *ret_fd)
{
	int pipes[2];
	ck_assert_int_eq(pipe(pipes), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char text[64] = { 0 };
		struct bus_call *kept;
		loop = loop_create(); /* the parent's belongs to the parent */
		struct bus *mute = make_bus("tcp://127.0.0.1:0");
		(void)snprintf(text, sizeof(text), "%s", bus_address(mute));
		bus_on_request(mute, &held, hold, &kept);
		if (write(pipes[1], text, sizeof(text)) != sizeof(text))
			_exit(1);
		loop_run(loop);
		if (write(pipes[1], text, 1) != 1) /* has the request */
			_exit(1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(pipes[0], address, 64), 64);
	loom_close(pipes[1]);
	*ret_fd = pipes[0];
	return pid;
}

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	stop(arg);
}

START_TEST(test_peer_killed)
{
	char address[64];
	struct reply r = { 0 };
	int status, fd;
	bus_destroy(a); /* nanomsg's threads do not live on in a forked child */
	bus_destroy(b);
	pid_t pid = start_mute_peer(address, &fd);
	a = make_bus("tcp://127.0.0.1:0");
	b = make_bus("tcp://127.0.0.1:0");
	ask(a, address, &held, 1, 10000, &r);
	struct event *has_it = event_new(loop_base(loop), fd, EV_READ, on_byte, NULL);
	ck_assert_int_eq(event_add(has_it, NULL), 0);
	run();
	event_free(has_it);
	ck_assert_int_eq(r.calls, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	int64_t start = clock_mono_ms();
	run();
	ck_assert(r.calls == 1 && r.error == -EHOSTUNREACH);
	ck_assert_int_lt(r.at - start, 2000);
	loom_close(fd);
}
END_TEST

START_TEST(test_peer_comes_back)
{
	struct reply r = { 0 };
	char address[64];
	bus_on_request(b, &twice, double_it, NULL);
	ask(a, bus_address(b), &twice, 1, 5000, &r);
	run();
	ck_assert_int_eq(r.error, 0);
	(void)snprintf(address, sizeof(address), "%s", bus_address(b));
	bus_destroy(b);
	b = NULL;
	ask(a, address, &twice, 1, 5000, &r);
	run();
	ck_assert_int_eq(r.error, -EHOSTUNREACH);
	b = make_bus(address);
	bus_on_request(b, &twice, double_it, NULL);
	int64_t give_up = clock_mono_ms() + 5000;
	do {
		ask(a, address, &twice, 7, 5000, &r);
		run();
	} while (r.error && clock_mono_ms() < give_up);
	ck_assert(r.error == 0 && r.n == 14);
}
END_TEST

START_TEST(test_wrong_key_is_dropped)
{
	struct reply r = { 0 };
	write_key(key_file, 0xa5);
	struct bus *stranger = make_bus("tcp://127.0.0.1:0");
	int64_t before = bus_metrics[BUS_M_UNSEALED].value;
	bus_on_request(b, &twice, double_it, NULL);
	ask(stranger, bus_address(b), &twice, 1, 200, &r);
	run();
	ck_assert_int_eq(r.error, -ETIMEDOUT);
	ck_assert_int_eq(bus_metrics[BUS_M_UNSEALED].value, before + 1);
	bus_destroy(stranger);
}
END_TEST

static void answer_huge(struct bus_call *call, void *m, void *arg)
{
	bus_answer(call, &(struct said){ .text = arg });
	message_free(m);
}

START_TEST(test_sizes)
{
	enum { FITS = BUS_BODY_MAX - 100, TOO_BIG = BUS_BODY_MAX + 4096 };
	LOOM_CLEANUP_STR char *text = loom_malloc(TOO_BIG + 1);
	struct reply r = { 0 };

	memset(text, 'x', TOO_BIG);
	text[TOO_BIG] = '\0';
	bus_on_request(b, &huge, answer_huge, text);
	bus_on_request(b, &twice, double_it, NULL);
	(void)ask_all(a, bus_address(b), &twice, &(struct said){ .text = text }, 5000, &r);
	ck_assert_int_eq(r.calls, 0);
	run();
	ck_assert_int_eq(r.error, -EMSGSIZE);
	ask(a, bus_address(b), &huge, 1, 5000, &r);
	run();
	ck_assert_int_eq(r.error, -EMSGSIZE);
	text[FITS] = '\0';
	(void)ask_all(a, bus_address(b), &twice, &(struct said){ .n = 3, .text = text }, 5000, &r);
	run();
	ck_assert(r.error == 0 && r.n == 6);
	ask(a, bus_address(b), &huge, 1, 5000, &r);
	run();
	ck_assert_int_eq(r.error, 0);
}
END_TEST

static void answer_below(struct bus_call *call, void *m, void *arg)
{
	(void)arg;
	bus_answer(call, &(struct said){ .n = -1 });
	message_free(m);
}

/* By another version, say: refused, and its asker hears of it at once. */
START_TEST(test_what_cannot_be_read)
{
	struct reply r = { 0 };
	bus_on_request(b, &twice, double_it, NULL);
	bus_on_request(b, &held, answer_below, NULL);
	ask(a, bus_address(b), &twice, -1, 5000, &r);
	run();
	ck_assert(r.calls == 1 && r.error == -EBADMSG);
	ask(a, bus_address(b), &held, 1, 5000, &r);
	run();
	ck_assert(r.calls == 2 && r.error == -EBADMSG);
}
END_TEST

/* ---- hostile bytes --------------------------------------------------------------------------- */

static int plain_connection(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	to.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void send_as_nanomsg(const char *address, size_t len)
{
	LOOM_CLEANUP_STR char *bytes = loom_malloc(len);
	int sock = nn_socket(AF_SP, NN_PUSH), timeout = 2000;
	randombytes_buf(bytes, len);
	ck_assert_int_ge(sock, 0);
	ck_assert_int_eq(nn_setsockopt(sock, NN_SOL_SOCKET, NN_SNDTIMEO, &timeout, sizeof(timeout)),
	                 0);
	ck_assert_int_ge(nn_connect(sock, address), 0);
	ck_assert_int_eq(nn_send(sock, bytes, len, 0), (int)len);
	run_for(50);
	(void)nn_close(sock);
}

START_TEST(test_garbage)
{
	struct reply r = { 0 };
	char noise[4096];
	int64_t before = bus_metrics[BUS_M_UNSEALED].value;
	bus_on_request(b, &twice, double_it, NULL);
	for (int i = 0; i < 8; i++) {
		int fd = plain_connection(bus_address(b));
		randombytes_buf(noise, sizeof(noise));
		if (i % 2) /* a right greeting first: then a length and noise */
			memcpy(noise, "\0SP\0\0\x51\0\0", 8);
		(void)send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		run_for(5);
		loom_close(fd);
	}
	for (size_t len = 1; len < 100; len += 33)
		send_as_nanomsg(bus_address(b), len);
	ck_assert_int_ge(bus_metrics[BUS_M_UNSEALED].value, before + 3);
	send_as_nanomsg(bus_address(b), 3 * BUS_BODY_MAX);
	ask(a, bus_address(b), &twice, 21, 5000, &r);
	run();
	ck_assert(r.error == 0 && r.n == 42);
}
END_TEST

/* Somebody without the key cannot make us keep more than a piece. */
START_TEST(test_strangers_get_little_room)
{
	static const uint64_t lengths[] = { BUS_MESSAGE_MAX + 1, 1 << 20, BUS_BODY_MAX,
		                            1ull << 40 };
	for (size_t i = 0; i < LOOM_COUNT(lengths); i++) {
		unsigned char head[16] = { 0, 'S', 'P', 0, 0, 0x50, 0, 0 }, in[64];
		struct timeval patience = { .tv_sec = 5 };
		int fd = plain_connection(bus_address(b));
		for (int k = 0; k < 8; k++)
			head[8 + k] = (unsigned char)(lengths[i] >> (56 - 8 * k));
		ck_assert_int_eq(
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
		ck_assert_int_eq(send(fd, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
		ssize_t n = recv(fd, in, 8, MSG_WAITALL); /* its greeting, then the end */
		if (n == 8)
			n = recv(fd, in, sizeof(in), 0);
		ck_assert_msg(n == 0 || errno == ECONNRESET, "%zd: still open, or data", n);
		loom_close(fd);
	}
}
END_TEST

/* ---- one who knows the wire ------------------------------------------------------------------ */

/* An inbox of the test's own, and what it says to b. */
struct spy {
	int in, out;
	char address[64], word[BUS_WORD];
	struct bus_key key;
	struct bus_message m;
};

static void spy_send(const struct spy *s)
{
	size_t len;
	void *msg = bus_seal(&s->key, &s->m, &len);
	ck_assert_ptr_nonnull(msg);
	ck_assert_int_eq(nn_send(s->out, &msg, NN_MSG, 0), (int)len);
}

/* What b says to it. */
static void spy_hear(struct spy *s, struct bus_message *m)
{
	void *data = NULL;
	int n = -1;
	for (int64_t end = clock_mono_ms() + 5000; n < 0;) {
		ck_assert_int_lt(clock_mono_ms(), end);
		run_for(10);
		n = nn_recv(s->in, &data, NN_MSG, NN_DONTWAIT);
	}
	ck_assert_int_eq(bus_open(&s->key, data, (size_t)n, m), 0);
	ck_assert_str_eq(m->to, s->address);
	(void)nn_freemsg(data);
}

static void spy_start(struct spy *s)
{
	struct bus_message heard;
	struct loom_err err;
	*s = (struct spy){ .in = nn_socket(AF_SP, NN_PULL), .out = nn_socket(AF_SP, NN_PUSH) };
	ck_assert_int_eq(bus_key_read(key_file, &s->key, &err), 0);
	ck_assert_int_eq(bus_bind(s->in, "tcp://127.0.0.1:0", s->address, &err), 0);
	ck_assert_int_ge(nn_connect(s->out, bus_address(b)), 0);
	s->m = (struct bus_message){ .kind = BUS_HELLO,
		                     .life = 77,
		                     .n = 1,
		                     .to = bus_address(b),
		                     .from = s->address,
		                     .mine = "00112233445566778899aabbccddeeff",
		                     .text = "" };
	spy_send(s);
	spy_hear(s, &heard);
	ck_assert_int_eq(heard.kind, BUS_WELCOME);
	ck_assert_str_eq(heard.word, s->m.mine);
	(void)snprintf(s->word, sizeof(s->word), "%s", heard.mine);
	bus_message_fini(&heard);
	s->m.kind = BUS_NOTICE;
	s->m.verb = "wake";
	s->m.word = s->word;
}

static void spy_stop(const struct spy *s)
{
	(void)nn_close(s->in);
	(void)nn_close(s->out);
}

static void expect_count(enum bus_metric metric, int64_t want)
{
	for (int64_t end = clock_mono_ms() + 5000; bus_metrics[metric].value < want;) {
		ck_assert_int_lt(clock_mono_ms(), end);
		run_for(5);
	}
	ck_assert_int_eq(bus_metrics[metric].value, want);
}

START_TEST(test_nothing_twice)
{
	struct spy s;
	int64_t sum = 0, replayed = bus_metrics[BUS_M_REPLAYED].value,
		astray = bus_metrics[BUS_M_ASTRAY].value, stale = bus_metrics[BUS_M_STALE].value;
	bus_on_notice(b, &wake, count_notice, &sum);
	spy_start(&s);
	for (int i = 0; i < 5; i++)
		spy_send(&s);
	expect_count(BUS_M_REPLAYED, replayed + 4);
	ck_assert_int_eq(sum, 1);
	s.m.n = 2;
	spy_send(&s);
	run_for(50);
	ck_assert_int_eq(sum, 2);
	s.m.n = 3; /* for another process, and passed on to this one */
	s.m.to = bus_address(a);
	spy_send(&s);
	expect_count(BUS_M_ASTRAY, astray + 1);
	s.m.to = bus_address(b);
	s.m.word = "ffffffffffffffffffffffffffffffff"; /* of another time */
	spy_send(&s);
	expect_count(BUS_M_STALE, stale + 1);
	ck_assert_int_eq(sum, 2);
	struct bus_message heard; /* told what the word is now */
	spy_hear(&s, &heard);
	ck_assert_int_eq(heard.kind, BUS_WELCOME);
	ck_assert_str_eq(heard.mine, s.word);
	bus_message_fini(&heard);
	spy_stop(&s);
}
END_TEST

START_TEST(test_clocks_may_differ)
{
	static const int64_t skews[] = { 0, 3600000, -3600000, INT64_C(40) * 86400000,
		                         INT64_MIN / 2 };
	struct spy s;
	int64_t sum = 0;
	bus_on_notice(b, &wake, count_notice, &sum);
	spy_start(&s);
	for (size_t i = 0; i < LOOM_COUNT(skews); i++) {
		s.m.n = 10 + i;
		s.m.at = clock_wall_ms() + skews[i];
		spy_send(&s);
		run();
	}
	ck_assert_int_eq(sum, (int64_t)LOOM_COUNT(skews));
	/* The furthest is known, until its clock is right again. */
	struct bus_skew worst;
	ck_assert(bus_clocks_apart(b, &worst));
	ck_assert_str_eq(worst.peer, s.m.from);
	ck_assert_int_lt(worst.ahead_ms, INT64_MIN / 4);
	LOOM_CLEANUP_STR char *words = bus_skew_words(&worst);
	ck_assert(strstr(words, s.m.from) && strstr(words, "behind"));
	LOOM_CLEANUP(strs_fini) struct strs notes = { 0 };
	bus_notes(b, &notes);
	ck_assert_uint_eq(notes.n, 1);
	ck_assert_str_eq(notes.v[0], words);
	ck_assert_int_gt(bus_metrics[BUS_M_SKEW].value, 3600000);
	s.m.n++;
	s.m.at = clock_wall_ms();
	spy_send(&s);
	run();
	ck_assert(!bus_clocks_apart(b, &worst));
	ck_assert_int_lt(bus_metrics[BUS_M_SKEW].value, 5000);
	spy_stop(&s);
}
END_TEST

/* ---- a cut ----------------------------------------------------------------------------------- */

static void must(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command); /* NOLINT(cert-env33-c) */
}

START_TEST(test_after_a_cut)
{
	struct reply r = { 0 };
	bus_destroy(a);
	bus_destroy(b);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0); /* a network of the test's own */
	must("ip link set lo up");
	a = make_bus("tcp://127.0.0.1:0");
	b = make_bus("tcp://127.0.0.1:0");
	bus_on_request(b, &twice, double_it, NULL);
	ask(a, bus_address(b), &twice, 1, 5000, &r);
	run();
	ck_assert_int_eq(r.error, 0);
	must("iptables -A INPUT -i lo -p tcp -j DROP");
	struct reply during = { 0 };
	int left = 1000; /* it does not stop the loop */
	during.left = &left;
	ask(a, bus_address(b), &twice, 2, 20000, &during);
	run_for(8000);
	must("iptables -D INPUT -i lo -p tcp -j DROP");
	int64_t healed = clock_mono_ms();
	do {
		ask(a, bus_address(b), &twice, 3, 1000, &r);
		run();
		if (r.error)
			run_for(50);
	} while (r.error);
	ck_assert_int_eq(r.n, 6);
	ck_assert_msg(r.at - healed < 2500, "%d ms after the cut", (int)(r.at - healed));
	for (int i = 0; i < 100 && !during.calls; i++)
		run_for(20);
	ck_assert_int_eq(during.calls, 1); /* answered, or known to be lost */
}
END_TEST

START_TEST(test_bad_configuration)
{
	static const char *const bad[] = { "",
		                           "ipc:///tmp/x",
		                           "tcp://127.0.0.1",
		                           "tcp://:5",
		                           "tcp://127.0.0.1:x",
		                           "tcp://127.0.0.1:70000",
		                           "tcp://0.0.0.0:0",
		                           "tcp://nonexistent.invalid:0" };
	struct bus_config cfg = { .key_file = key_file };
	struct bus *bus = NULL;
	struct loom_err err;

	for (size_t i = 0; i < LOOM_COUNT(bad) + 1; i++) {
		cfg.listen = loom_strdup(i < LOOM_COUNT(bad) ? bad[i] : bus_address(a));
		ck_assert_int_ne(bus_create(loop, &cfg, &bus, &err), 0);
		ck_assert_msg(strstr(err.msg, "bus_listen"), "%s", err.msg);
		loom_free(cfg.listen);
	}
}
END_TEST

/* "*" is the address of this machine's name, whatever that is, and never all addresses. */
START_TEST(test_own_address)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char name[256] = "", host[INET_ADDRSTRLEN] = "", address[BUS_ADDRESS_MAX], expected[64];
	struct loom_err err = { 0 };
	ck_assert_int_eq(gethostname(name, sizeof(name) - 1), 0);
	int sock = nn_socket(AF_SP, NN_PULL);
	if (getaddrinfo(name, NULL, &hints, &found)) {
		ck_assert_int_ne(bus_bind(sock, "tcp://*:0", address, &err), 0);
		ck_assert_msg(strstr(err.msg, "bus_listen tcp://*:0: "), "%s", err.msg);
	} else {
		const struct sockaddr_in *own = (const struct sockaddr_in *)found->ai_addr;
		(void)inet_ntop(AF_INET, &own->sin_addr, host, sizeof(host));
		(void)snprintf(expected, sizeof(expected), "tcp://%s:", host);
		ck_assert_int_eq(bus_bind(sock, "tcp://*:0", address, &err), 0);
		ck_assert_msg(!strncmp(address, expected, strlen(expected)), "%s", address);
		freeaddrinfo(found);
	}
	ck_assert_int_eq(nn_close(sock), 0);
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("bus");
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_request_and_answer);
	tcase_add_test(tc, test_many_in_flight);
	tcase_add_test(tc, test_late_answer_timeout_cancel);
	tcase_add_test(tc, test_calls_outlive_the_bus);
	tcase_add_test(tc, test_notice);
	tcase_add_loop_test(tc, test_peer_absent, 0, (int)LOOM_COUNT(no_peers));
	tcase_add_test(tc, test_peer_killed);
	tcase_add_test(tc, test_peer_comes_back);
	tcase_add_test(tc, test_wrong_key_is_dropped);
	tcase_add_test(tc, test_sizes);
	tcase_add_test(tc, test_what_cannot_be_read);
	tcase_add_test(tc, test_garbage);
	tcase_add_test(tc, test_strangers_get_little_room);
	tcase_add_test(tc, test_nothing_twice);
	tcase_add_test(tc, test_clocks_may_differ);
	tcase_add_test(tc, test_after_a_cut);
	tcase_add_test(tc, test_bad_configuration);
	tcase_add_test(tc, test_own_address);
	return tc;
}

int main(void)
{
	int fd = mkstemp(key_file);
	if (fd < 0)
		return 1;
	loom_close(fd);
	int rc = UNIT_RUN("bus", cases());
	(void)unlink(key_file);
	return rc;
}
