/* SPDX-License-Identifier: Apache-2.0 */
/* What a server refuses, and what it makes room for: requests that are malformed, too large, too
 * slow, too many. */
#include "tests/unit/server_case.h"

/* ---- fixture --------------------------------------------------------------------------------- */

static void start_small(void)
{
	static const struct http_limits small = { .max_head = 1024,
		                                  .max_body = 2048,
		                                  .max_conns = 3,
		                                  .reserve = 2,
		                                  .idle_s = 1,
		                                  .head_s = 1,
		                                  .body_s = 3,
		                                  .body_grace_s = 1,
		                                  .body_rate = 100 };
	start_with(&small);
}

static void start_crowded(void)
{
	static const struct http_limits few = { .max_conns = 64,
		                                .peer_conns = 32,
		                                .max_bodies = 256 << 10,
		                                .names = "loom.example, a" };
	start_with(&few);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct {
	const char *in;
	const char *status;
} refused[] = {
	/* each tries to hide a second request, which must not be found */
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length : 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: +0\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "GET /secret HTTP/1.1\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H H "\r\n", "400 " },
	{ "GET /secret HTTP/1.1\n" H "\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H ": x\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H "a b: x\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H "A: x\r\n y\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.99999999999\r\n" H "\r\n", "505 " },
	{ "BREW /secret HTTP/1.1\r\n" H "\r\n", "501 " },
	{ "GET ftp://a/secret HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "GET http://u@a/secret HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0 x\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	/* judged by its head: what follows is not looked at */
	{ "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 37\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "404 " },
	{ "PUT /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "405 " },
	{ "POST /files/../x HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "400 " },
	{ "POST /small HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "413 " },
	{ "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "411 " },
	{ "POST /hello HTTP/1.1\r\n" H "X-Refuse: 1\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "401 " },
	{ "POST /hello HTTP/1.1\r\n" H "Expect: wonders\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "417 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "415 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "415 " },
	{ "GET * HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "OPTIONS *x HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 99999999999\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "413 " },
};

static void check_refusal(const char *a, const char *status)
{
	has(a, status);
	has(a, "Connection: close\r\n");
	has(a, "Content-Type: text/plain; charset=utf-8\r\n");
	lacks(a, "secret");
	ck_assert_int_eq(count(a, "HTTP/1.1 "), 1);
	ck_assert_int_eq(secret, 0);
}

START_TEST(refusals)
{
	check_refusal(once(refused[_i].in), refused[_i].status);
}
END_TEST

START_TEST(refusals_in_small_pieces)
{
	int fd = dial(), one = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (const char *p = refused[_i].in; *p; p++)
		if (line_send(fd, p, 1) != 1)
			break; /* refused and closed already */
	check_refusal(all(fd), refused[_i].status);
}
END_TEST

START_TEST(refusal_behind_a_good_request)
{
	char text[1024];
	/* one that is answered at once, and one that is still with a worker */
	static const char *const first[] = { "GET /hello HTTP/1.1\r\n" H "\r\n",
		                             "POST /echo HTTP/1.1\r\n" H
		                             "Content-Length: 9\r\n\r\nhello GET" };
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s%s", first[i], refused[_i].in);
		const char *a = once(text);
		has(a, "200 OK");
		has(a, "hello GET");
		has(a, refused[_i].status);
		ck_assert_int_eq(count(a, "HTTP/1.1 "), 2);
		ck_assert_int_eq(secret, 0);
	}
}
END_TEST

START_TEST(refusal_during_a_stream_ends_it)
{
	int fd = dial();
	put(fd, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd, ": hb", 1);
	put(fd, "GET /secret HTTP/1.1\r\nHost : a\r\n\r\n");
	all(fd);
	wait_for(&closes, 1);
	ck_assert_int_eq(secret, 0);
}
END_TEST

START_TEST(limits)
{
	char text[8192], x[4096];
	memset(x, 'x', sizeof(x));
	snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\n" H "X: %.2000s\r\n\r\n", x);
	has(once(text), "431 ");
	snprintf(text, sizeof(text), "GET /%.2000s HTTP/1.1\r\n" H "\r\n", x);
	has(once(text), "414 ");
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Content-Length: 2049\r\n\r\n%.2049s", x);
	has(once(text), "413 ");
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	         "800\r\n%.2048s\r\n1\r\nx\r\n0\r\n\r\n",
	         x);
	has(once(text), "413 ");
	ck_assert_int_eq(echoes, 0);

	int fd[3];
	for (int i = 0; i < 3; i++) {
		fd[i] = dial();
		put(fd[i], "GET /hold HTTP/1.1\r\n" H "\r\n");
		wait_for(&holds, i + 1);
	}
	const char *a = get("/hello");
	has(a, "503 Service Unavailable");
	has(a, "Retry-After: 1");
	a = get("/health"); /* on the reserve */
	has(a, "200 OK");
	has(a, "Connection: close");
	int waits[2] = { dial(), dial() }; /* they are the reserve, and give way */
	has(get("/health"), "200 OK");
	all(waits[0]);
	line_close(waits[1]);
	line_close(fd[0]);
	wait_for(&closes, 1);
	has(get("/hello"), "200 OK");
	line_close(fd[1]);
	line_close(fd[2]);
	wait_for(&closes, 3);
	all(dial()); /* idle for a second */
}
END_TEST

START_TEST(slow_body_is_refused)
{
	struct pollfd p = { .events = POLLIN };
	for (int chunked = 0; chunked < 2; chunked++) {
		int fd = p.fd = dial();
		put(fd, chunked ? "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		                  "5dc\r\n"
		                : "POST /echo HTTP/1.1\r\n" H "Content-Length: 1500\r\n\r\n");
		while (!line_readable(fd, 50)) /* 20 bytes a second, never idle */
			if (line_send(fd, "x", 1) != 1)
				break;
		has(all(fd), "408 Request Timeout");
		fd = p.fd = dial(); /* fast enough, but without end */
		put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2000\r\n\r\n");
		while (!line_readable(fd, 50))
			if (line_send(fd, "xxxxxxxxxx", 10) != 10)
				break;
		has(all(fd), "408 Request Timeout");
	}
	ck_assert_int_eq(echoes, 0);
}
END_TEST

START_TEST(slow_head_is_refused)
{
	int fd = dial();
	put(fd, "GET /hello HTTP/1.1\r\nX: ");
	while (!line_readable(fd, 50)) /* never idle, never done */
		if (line_send(fd, "x", 1) != 1)
			break;
	has(all(fd), "408 Request Timeout");
}
END_TEST

/* ---- crowds ---------------------------------------------------------------------------------- */

START_TEST(dawdlers_give_way)
{
	static const char *const unfinished[] = { "", "GET /hel",
		                                  "POST /echo HTTP/1.1\r\n" H
		                                  "Content-Length: 9\r\n\r\nx" };
	enum { MANY = 200 };
	int fd[MANY];
	for (int i = 0; i < MANY; i++) {
		fd[i] = dial();
		put(fd[i], unfinished[i % 3]);
	}
	for (int i = 0; i < 100; i++)
		has(get("/hello"), "200 OK");
	int mine = dial(); /* one that works is not taken for one that dawdles */
	for (int i = 0; i < 100; i++) {
		put(mine, "GET /hello HTTP/1.1\r\n" H "\r\n");
		until(mine, "hello GET", 1);
		int fresh = dial();
		put(fresh, unfinished[i % 3]);
		line_close(fresh);
	}
	line_close(mine);
	for (int i = 0; i < MANY; i++)
		line_close(fd[i]);
}
END_TEST

START_TEST(bodies_are_bounded_together)
{
	static char some[16 << 10];
	enum { MANY = 40 };
	int fd[MANY];
	memset(some, 'x', sizeof(some));
	some[sizeof(some) - 1] = '\0';
	for (int i = 0; i < MANY; i++) { /* 640 KiB, of 256 */
		fd[i] = dial();
		put(fd[i], "POST /echo HTTP/1.1\r\n" H "Content-Length: 40000\r\n\r\n");
		(void)line_send(fd[i], some, sizeof(some) - 1);
	}
	char text[256];
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 10000\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		int mine = dial();
		put(mine, text);
		ck_assert_int_eq(line_send(mine, some, 10000), 10000);
		has(all(mine), "200 OK");
	}
	int closed = 0;
	for (int i = 0; i < MANY; i++) {
		struct pollfd p = { .fd = fd[i], .events = POLLIN };
		closed += poll(&p, 1, 0) == 1;
		line_close(fd[i]);
	}
	ck_assert_int_ge(closed, MANY / 2);
	ck_assert_int_eq(echoes, 20);
}
END_TEST

START_TEST(hosts_by_name)
{
	static const struct {
		const char *request, *status;
	} rows[] = {
		{ "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: LocalHost:8100\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: Loom.Example.:55054\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: evil.example\r\n", "421 " },
		{ "GET /hello HTTP/1.1\r\nHost: loom.example.evil\r\n", "421 " },
		{ "GET /hello HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80\r\n", "421 " },
		{ "GET http://evil.example/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n", "421 " },
		{ "GET http://loom.example/hello HTTP/1.1\r\nHost: evil.example\r\n", "200 " },
		{ "GET /health HTTP/1.1\r\nHost: evil.example\r\n", "200 " },
		{ "GET /nowhere HTTP/1.1\r\nHost: evil.example\r\n", "421 " },
		{ "GET /hello HTTP/1.0\r\n", "200 " },
	};
	char text[256];
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%sConnection: close\r\n\r\n", rows[i].request);
		const char *a = once(text);
		ck_assert_msg(strncmp(a + 9, rows[i].status, 4) == 0, "%s%s", text, a);
	}
}
END_TEST

START_TEST(forms_that_must_be_understood)
{
	const char *a = once("HEAD /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "200 OK");
	has(a, "Content-Length: 10\r\n");
	ck_assert_str_eq(strstr(a, "\r\n\r\n"), "\r\n\r\n");
	int fd = dial();
	put(fd, "HEAD /endless HTTP/1.1\r\n" H "\r\n"); /* a stream has a head, too */
	has(until(fd, "\r\n\r\n", 1), "text/event-stream");
	wait_for(&closes, 1);
	put(fd, "HEAD /items/7 HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
	a = until(fd, "hello GET", 1);
	ck_assert_int_eq(count(a, "200 OK"), 2);
	lacks(a, "id=7");
	line_close(fd);

	a = once("GET http://b:1/items/x?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	has(a, "id=x q=1 h=- path=/items/x raw=/items/x?q=1");
	has(once("GET HTTP://b HTTP/1.1\r\n" H "\r\n"), "404 ");
	has(once("GET http://b?q HTTP/1.1\r\n" H "\r\n"), "404 ");

	static const char chunked[] = "POST /echo HTTP/1.1\r\n" H
				      "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
				      "3;a=b\r\nabc\r\n2 ; x=\"y;z\" ;\r\nde\r\n0;last\r\n\r\n";
	has(once(chunked), "\r\n\r\nabcde");
	int one = 1;
	fd = dial();
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (const char *p = chunked; *p; p++)
		ck_assert_int_eq(line_send(fd, p, 1), 1);
	has(all(fd), "\r\n\r\nabcde");

	a = once("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ck_assert_int_eq(count(a, "Connection:"), 1);
}
END_TEST

static TCase *refusal_case(void)
{
	TCase *t = make_case("refusals", start, stop);
	tcase_add_test(t, forms_that_must_be_understood);
	tcase_add_test(t, refusal_during_a_stream_ends_it);
	tcase_add_loop_test(t, refusals, 0, (int)LOOM_COUNT(refused));
	tcase_add_loop_test(t, refusals_in_small_pieces, 0, (int)LOOM_COUNT(refused));
	tcase_add_loop_test(t, refusal_behind_a_good_request, 0, (int)LOOM_COUNT(refused));
	return t;
}

static TCase *small_case(void)
{
	TCase *small = make_case("small", start_small, stop);
	tcase_add_test(small, limits);
	tcase_add_test(small, slow_head_is_refused);
	tcase_add_test(small, slow_body_is_refused);
	return small;
}

static TCase *crowd_case(void)
{
	TCase *crowd = make_case("crowd", start_crowded, stop);
	tcase_add_test(crowd, dawdlers_give_way);
	tcase_add_test(crowd, bodies_are_bounded_together);
	tcase_add_test(crowd, hosts_by_name);
	return crowd;
}

int main(void)
{
	return UNIT_RUN("net_refusals", refusal_case(), small_case(), crowd_case(),
	                secured(refusal_case()), secured(small_case()), secured(crowd_case()));
}
