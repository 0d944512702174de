/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are read as they come, over real sockets: the client writes raw bytes. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/http_server.h"
#include "tests/support/line.h"
#include "tests/support/secure.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define H          "Host: a\r\n"
#define TIMEOUT_MS 60000
#define LARGE      ((size_t)6 << 20) /* more than any buffer between the two */

static struct loop *loop;
static struct http_server *server;
static pthread_t thread;
static atomic_int gone, begun;
static atomic_size_t most; /* bytes of one piece */

/* ---- handlers -------------------------------------------------------------------------------- */

struct sum {
	size_t n;
	unsigned char sum;
	bool slow;
	struct http_req *req;
	struct loop_timer *again;
};

static void sum_free(struct sum *s)
{
	loop_timer_destroy(s->again);
	loom_free(s);
}

static void on_gone(struct http_req *req, void *arg)
{
	sum_free(arg);
	gone++;
	http_reply_empty(req, 204);
}

static void go_on(void *arg)
{
	struct sum *s = arg;
	http_body_pause(s->req, false);
}

static void piece(struct http_req *req, const void *data, size_t len, bool end, void *arg)
{
	struct sum *s = arg;
	for (size_t i = 0; i < len; i++)
		s->sum = (unsigned char)(s->sum + ((const unsigned char *)data)[i]);
	s->n += len;
	if (len > most)
		most = len;
	if (end) {
		http_reply_text(req, 200, "%zu bytes, sum %u", s->n, s->sum);
		sum_free(s);
	} else if (s->slow) {
		http_body_pause(req, true);
		loop_timer_arm(s->again, 1);
	}
}

static void take(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct sum *s = loom_calloc(1, sizeof(*s));
	s->req = req;
	s->slow = http_query(req, "slow");
	s->again = loop_timer_create(loop, "go on", go_on, s);
	begun++;
	http_on_close(req, on_gone, s);
	http_body_read(req, piece, s);
}

static void refuse(struct http_req *req, void *ctx LOOM_UNUSED)
{
	http_reply_text(req, 409, "not now");
}

static void hello(struct http_req *req, void *ctx LOOM_UNUSED)
{
	http_reply_text(req, 200, "hello");
}

static const struct http_route routes[] = {
	{ "POST", "/take", HTTP_ON_LOOP | HTTP_STREAMED, take },
	{ "POST", "/refuse", HTTP_ON_LOOP | HTTP_STREAMED, refuse },
	{ "GET", "/hello", HTTP_ON_LOOP, hello },
	{ "POST", "/hello", HTTP_ON_LOOP, hello },
	{ NULL, NULL, HTTP_ON_LOOP, NULL },
};

/* ---- fixture --------------------------------------------------------------------------------- */

static void *run_loop(void *arg LOOM_UNUSED)
{
	loop_run(loop);
	return NULL;
}

static void start(void)
{
	static const struct http_limits limits = { .max_head = 1024,
		                                   .max_body = 4096,
		                                   .max_streamed = LARGE,
		                                   .body_s = 1,
		                                   .body_grace_s = 1,
		                                   .body_rate = 1000 };
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
	server = http_server_create(loop, NULL, routes, NULL, &limits);
	if (secure.by_tls)
		ck_assert_int_eq(http_server_tls(server, &secure.cfg, NULL), 0);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void stop(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	http_server_destroy(server);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
}

/* ---- client ---------------------------------------------------------------------------------- */

static char got[65536];

static int dial(void)
{
	int fd = line_open(http_server_port(server));
	if (secure.by_tls)
		ck_assert(line_tls(fd, &secure.ca, NULL, 0));
	return fd;
}

static void put_bytes(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = line_send(fd, (const char *)data + at, len - at);
		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
}

static void put(int fd, const char *text)
{
	put_bytes(fd, text, strlen(text));
}

/* Reads until `text` has come, or with NULL until the server closes. */
static const char *until(int fd, const char *text)
{
	size_t n = 0;
	got[0] = '\0';
	while (!text || !strstr(got, text)) {
		ck_assert_msg(line_readable(fd, TIMEOUT_MS), "nothing came; so far: %s", got);
		ssize_t r = line_recv(fd, got + n, sizeof(got) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		got[n] = '\0';
	}
	ck_assert_msg(!text || strstr(got, text), "no \"%s\" in: %s", text, got);
	return got;
}

/* Reads until `text` comes, behind however much else. */
static void find(int fd, const char *text)
{
	size_t kept = 0;
	do {
		ck_assert_msg(line_readable(fd, TIMEOUT_MS), "nothing came; at last: %s", got);
		ssize_t r = line_recv(fd, got + kept, sizeof(got) - 1 - kept);
		ck_assert_msg(r > 0, "closed; at last: %s", got);
		kept += (size_t)r;
		got[kept] = '\0';
		if (strstr(got, text))
			return;
		size_t tail = kept < 200 ? kept : 200;
		memmove(got, got + kept - tail, tail + 1);
		kept = tail;
	} while (true);
}

static void expect(const char *request, const char *answer)
{
	int fd = dial();
	put(fd, request);
	until(fd, answer);
	line_close(fd);
}

static char *large(size_t n, unsigned *ret_sum)
{
	char *bytes = loom_malloc(n);
	unsigned char sum = 0;
	for (size_t i = 0; i < n; i++) {
		bytes[i] = (char)(i * 7 + i / 251);
		sum = (unsigned char)(sum + (unsigned char)bytes[i]);
	}
	*ret_sum = sum;
	return bytes;
}

/* ---- tests ----------------------------------------------------------------------------------- */

#define POST "POST /take HTTP/1.1\r\n" H

static const struct {
	const char *request, *answer;
} forms[] = {
	{ POST "Content-Length: 3\r\n\r\nabc", "3 bytes, sum 38" },
	{ POST "Content-Length: 0\r\n\r\n", "0 bytes, sum 0" },
	{ POST "\r\n", "0 bytes, sum 0" },
	{ POST "content-length:3\r\n\r\nabc", "3 bytes, sum 38" },
	{ POST "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "1\r\na\r\n2;x=1\r\nbc\r\n0\r\n\r\n",
	  "3 bytes, sum 38" },
	{ POST "transfer-encoding:chunked\r\n\r\n0\r\n\r\n", "0 bytes, sum 0" },
	{ "POST /take HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "3 bytes, sum 38" },
	/* what is wrong with it is said at once, or when it comes */
	{ POST "Content-Length: 6291457\r\n\r\n", "413 " },
	{ POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n600000\r\n", "413 " },
	{ POST "Transfer-Encoding: chunked\r\n\r\n1\r\nax", "400 " },
	{ POST "Transfer-Encoding: chunked\r\n\r\nx", "400 " },
	{ POST "Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc", "415 " },
	/* other routes keep their own limit */
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 4097\r\n\r\n", "413 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1001\r\n", "413 " },
	{ "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 6291456\r\n\r\n", "404 " },
};

START_TEST(each_form)
{
	expect(forms[_i].request, forms[_i].answer);
}
END_TEST

/* A head that comes byte by byte is as good as any other. */
START_TEST(each_form_in_small_pieces)
{
	int fd = dial();
	for (const char *p = forms[_i].request; *p; p++) {
		put_bytes(fd, p, 1);
		if (line_send(fd, "", 0) != 0)
			break;
		poll(NULL, 0, 1);
	}
	until(fd, forms[_i].answer);
	line_close(fd);
}
END_TEST

START_TEST(large_ones)
{
	unsigned sum = 0;
	LOOM_CLEANUP_STR char *bytes = large(LARGE, &sum);
	static const char *const paths[] = { "/take", "/take?slow=1" };
	for (size_t i = 0; i < LOOM_COUNT(paths); i++) {
		char head[256], answer[64];
		int fd = dial();
		snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n",
		         paths[i], LARGE);
		snprintf(answer, sizeof(answer), "%zu bytes, sum %u", LARGE, sum);
		put(fd, head);
		put_bytes(fd, bytes, LARGE);
		until(fd, answer);
		until(fd, NULL); /* closed behind it */
		line_close(fd);
	}
	ck_assert_uint_le(most, 65536);
}
END_TEST

START_TEST(in_chunks)
{
	unsigned sum = 0;
	size_t n = (size_t)1 << 20;
	LOOM_CLEANUP_STR char *bytes = large(n, &sum);
	char head[32], answer[64];
	int fd = dial();
	put(fd, POST "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 9973 + 1) {
		step = step < n - at ? step : n - at;
		snprintf(head, sizeof(head), "%zx\r\n", step);
		put(fd, head);
		put_bytes(fd, bytes + at, step);
		put(fd, "\r\n");
	}
	put(fd, "0\r\n\r\n");
	snprintf(answer, sizeof(answer), "%zu bytes, sum %u", n, sum);
	until(fd, answer);
	line_close(fd);
}
END_TEST

START_TEST(behind_others_on_the_connection)
{
	int fd = dial();
	put(fd, "POST /hello HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET /hello HTTP/1.1\r\n" H
	        "\r\n" POST "Content-Length: 3\r\n\r\nab");
	until(fd, "hello");
	put(fd, "c");
	until(fd, "3 bytes, sum 38");
	line_close(fd);
}
END_TEST

/* More comes at once than is read ahead. */
START_TEST(behind_many_on_the_connection)
{
	static const char get[] = "GET /hello HTTP/1.1\r\n" H "\r\n";
	enum { MANY = 2000, BODY = 40000 };
	unsigned sum = 0;
	LOOM_CLEANUP_STR char *bytes = large(BODY, &sum);
	LOOM_CLEANUP_STR char *all = loom_malloc(MANY * sizeof(get) + BODY + 100);
	char answer[64];
	size_t n = 0;
	for (int i = 0; i < MANY; i++, n += sizeof(get) - 1)
		memcpy(all + n, get, sizeof(get) - 1);
	n += (size_t)sprintf(all + n, POST "Content-Length: %d\r\n\r\n", BODY);
	memcpy(all + n, bytes, BODY);
	n += BODY;
	int fd = dial();
	put_bytes(fd, all, n);
	snprintf(answer, sizeof(answer), "%d bytes, sum %u", BODY, sum);
	find(fd, answer);
	line_close(fd);
}
END_TEST

START_TEST(leave_is_given)
{
	int fd = dial();
	put(fd, POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	until(fd, "100 Continue\r\n\r\n");
	put(fd, "abc");
	until(fd, "3 bytes");
	line_close(fd);
	fd = dial();
	put(fd, "POST /refuse HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	const char *answer = until(fd, NULL);
	ck_assert_msg(strstr(answer, "HTTP/1.1 409 ") == answer, "%s", answer);
	line_close(fd);
}
END_TEST

/* Who is refused early can read it, although he has sent more. */
START_TEST(refused_early)
{
	unsigned sum = 0;
	size_t n = (size_t)200 << 10;
	LOOM_CLEANUP_STR char *bytes = large(n, &sum);
	int fd = dial();
	put(fd, "POST /refuse HTTP/1.1\r\n" H "Content-Length: 500000\r\n\r\n");
	put_bytes(fd, bytes, n);
	until(fd, "not now");
	line_close(fd);
}
END_TEST

static void wait_for(atomic_int *v, int want)
{
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; *v < want;) {
		ck_assert_msg(clock_mono_ms() < end, "%d of %d", *v, want);
		poll(NULL, 0, 1);
	}
}

START_TEST(broken_off)
{
	int fd = dial();
	put(fd, POST "Content-Length: 100\r\n\r\nab");
	wait_for(&begun, 1);
	line_close(fd);
	wait_for(&gone, 1);
}
END_TEST

START_TEST(too_slow)
{
	int fd = dial();
	put(fd, POST "Content-Length: 100000\r\n\r\nab");
	until(fd, "408 ");
	wait_for(&gone, 1);
	line_close(fd);
}
END_TEST

START_TEST(server_ends)
{
	int fd = dial();
	put(fd, POST "Content-Length: 100000\r\n\r\nab");
	wait_for(&begun, 1);
	loop_stop(loop);
	pthread_join(thread, NULL);
	http_server_destroy(server);
	ck_assert_int_eq(gone, 1);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
	line_close(fd);
}
END_TEST

static TCase *secured(TCase *t)
{
	tcase_add_unchecked_fixture(t, secure_on, secure_off);
	return t;
}

static TCase *body_case(void)
{
	TCase *t = tcase_create("body");
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, each_form, 0, (int)LOOM_COUNT(forms));
	tcase_add_loop_test(t, each_form_in_small_pieces, 0, (int)LOOM_COUNT(forms));
	tcase_add_test(t, large_ones);
	tcase_add_test(t, in_chunks);
	tcase_add_test(t, behind_others_on_the_connection);
	tcase_add_test(t, behind_many_on_the_connection);
	tcase_add_test(t, leave_is_given);
	tcase_add_test(t, refused_early);
	tcase_add_test(t, broken_off);
	tcase_add_test(t, too_slow);
	return t;
}

static TCase *end_case(void)
{
	TCase *end = tcase_create("end");
	tcase_add_checked_fixture(end, start, NULL);
	tcase_add_test(end, server_ends);
	return end;
}

int main(void)
{
	return UNIT_RUN("net_body", body_case(), end_case(), secured(body_case()),
	                secured(end_case()));
}
