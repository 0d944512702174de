/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus among strangers: hostile bytes, repeated messages, clocks that differ, a cut. */
#include "tests/integration/bus_case.h"

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
	ask(a, bus_address(b), &twice, -1, 60000, &r);
	run();
	ck_assert(r.calls == 1 && r.error == -EBADMSG);
	ask(a, bus_address(b), &held, 1, 60000, &r);
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
	ask(a, bus_address(b), &twice, 21, 60000, &r);
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
	for (int64_t end = clock_mono_ms() + 60000; n < 0;) {
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
	for (int64_t end = clock_mono_ms() + 60000; bus_metrics[metric].value < want;) {
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
	ask(a, bus_address(b), &twice, 1, 60000, &r);
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

static TCase *cases(void)
{
	TCase *tc = tcase_create("bus hostile");
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_wrong_key_is_dropped);
	tcase_add_test(tc, test_what_cannot_be_read);
	tcase_add_test(tc, test_garbage);
	tcase_add_test(tc, test_strangers_get_little_room);
	tcase_add_test(tc, test_nothing_twice);
	tcase_add_test(tc, test_clocks_may_differ);
	tcase_add_test(tc, test_after_a_cut);
	return tc;
}

int main(void)
{
	return bus_main("bus hostile", cases);
}
