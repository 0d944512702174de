/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus over real sockets: buses of one process, a peer that is killed, hostile bytes. */
#include "tests/integration/bus_case.h"

static void notify(const char *to, const struct message_type *t, int64_t n)
{
	LOOM_CLEANUP_STR char *text = message_write(t, &(struct said){ .n = n });
	bus_notify(a, to, t, text);
}

START_TEST(test_request_and_answer)
{
	struct reply r = { 0 };
	bus_on_request(b, &twice, double_it, NULL);
	ask(a, bus_address(b), &twice, 21, 60000, &r);
	ck_assert_int_eq(r.calls, 0);
	run();
	ck_assert(r.calls == 1 && r.error == 0 && r.n == 42);
	bus_on_request(a, &twice, double_it, NULL); /* to itself */
	ask(a, bus_address(a), &twice, 4, 60000, &r);
	run();
	ck_assert(r.calls == 2 && r.error == 0 && r.n == 8);
	ask(a, bus_address(b), &unheard, 4, 60000, &r);
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
	ck_assert_int_eq(r.calls, 1);
	ck_assert_int_eq(r.error, -ETIMEDOUT);
	/* libevent's clock is the kernel's coarse one: it may be a tick of 10 ms behind. */
	ck_assert_int_ge(r.at - start, 140);
	bus_answer(kept, &nothing); /* nobody waits any more */
	uint64_t id = ask(a, bus_address(b), &held, 2, 60, &r);
	run();
	bus_cancel(a, id);
	bus_cancel(a, id);
	bus_answer(kept, &nothing);
	run_for(100);
	ck_assert_int_eq(r.calls, 1);
	ask(a, bus_address(b), &held, 3, 60000, &r);
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
	ask(a, bus_address(b), &held, 1, 60000, &r);
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
	ck_assert_int_lt(r.at - start, 9000); /* of the ten seconds that it was given */
	/* Known to be away by now: at once, each of twenty. */
	start = clock_mono_ms();
	for (int i = 0; i < 20; i++) {
		ask(a, no_peers[_i], &twice, 1, 10000, &r);
		run();
		ck_assert(r.calls == 2 + i && r.error == -EHOSTUNREACH);
	}
	ck_assert_int_lt(r.at - start, 20 * BUS_GRACE_MS);
	notify(no_peers[_i], &wake, 1);
	bus_cancel(a, ask(a, no_peers[_i], &twice, 1, 10000, &r));
	run_for(300);
	ck_assert_int_eq(r.calls, 21);
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
	ck_assert_int_lt(r.at - start, 9000); /* of its ten seconds */
	loom_close(fd);
}
END_TEST

START_TEST(test_peer_comes_back)
{
	struct reply r = { 0 };
	char address[64];
	bus_on_request(b, &twice, double_it, NULL);
	ask(a, bus_address(b), &twice, 1, 60000, &r);
	run();
	ck_assert_int_eq(r.error, 0);
	(void)snprintf(address, sizeof(address), "%s", bus_address(b));
	bus_destroy(b);
	b = NULL;
	ask(a, address, &twice, 1, 60000, &r);
	run();
	ck_assert_int_eq(r.error, -EHOSTUNREACH);
	b = make_bus(address);
	bus_on_request(b, &twice, double_it, NULL);
	int64_t give_up = clock_mono_ms() + 60000;
	do {
		ask(a, address, &twice, 7, 60000, &r);
		run();
	} while (r.error && clock_mono_ms() < give_up);
	ck_assert(r.error == 0 && r.n == 14);
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
	(void)ask_all(a, bus_address(b), &twice, &(struct said){ .text = text }, 60000, &r);
	ck_assert_int_eq(r.calls, 0);
	run();
	ck_assert_int_eq(r.error, -EMSGSIZE);
	ask(a, bus_address(b), &huge, 1, 60000, &r);
	run();
	ck_assert_int_eq(r.error, -EMSGSIZE);
	text[FITS] = '\0';
	(void)ask_all(a, bus_address(b), &twice, &(struct said){ .n = 3, .text = text }, 60000, &r);
	run();
	ck_assert(r.error == 0 && r.n == 6);
	ask(a, bus_address(b), &huge, 1, 60000, &r);
	run();
	ck_assert_int_eq(r.error, 0);
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
	tcase_add_test(tc, test_sizes);
	tcase_add_test(tc, test_bad_configuration);
	tcase_add_test(tc, test_own_address);
	return tc;
}

int main(void)
{
	return bus_main("bus", cases);
}
