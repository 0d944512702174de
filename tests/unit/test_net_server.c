/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real sockets; the client writes raw bytes. The loop runs in its own thread.
 */
#include "tests/unit/server_case.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* ---- answers --------------------------------------------------------------------------------- */

START_TEST(answers)
{
	const char *a = get("/hello");
	has(a, "HTTP/1.1 200 OK\r\n");
	has(a, "Content-Type: text/plain; charset=utf-8\r\n");
	has(a, "Content-Length: 9\r\n");
	has(a, "Connection: close\r\n");
	has(a, "X-Request-ID: ");
	has(a, "Date: ");
	has(a, "\r\n\r\nhello GET");
	lacks(a, "Server:");
	lacks(a, "chunked");

	a = once("GET /data HTTP/1.1\r\n" H "X-Request-ID: mine-1\r\nConnection: close\r\n\r\n");
	has(a, "X-Request-ID: mine-1\r\n");
	has(a, "somebody mine-1");
	a = once("GET /data HTTP/1.1\r\n" H "X-Deny: 1\r\nConnection: close\r\n\r\n");
	has(a, "403 Forbidden");
	has(a, "application/problem+json");
	has(a, "\"detail\":\"not you\"");
	has(a, "\"status\":403");
}
END_TEST

START_TEST(routes_and_uris)
{
	const char *a = get("/items/a%20b?x=1&q=c+d%26&q=2");
	has(a, "id=a b q=c d& h=- path=/items/a b raw=/items/a%20b?x=1&q=c+d%26&q=2");
	lacks(a, "Injected");
	has(get("//items//x/?q"), "id=x q= h=- path=/items/x ");
	has(get("/items/special/"), "hello GET");
	has(once("GET /items/y HTTP/1.1\r\n" H "X-THING: t\r\nConnection: close\r\n\r\n"), "h=t");
	has(get("/files/a/b%2Dc/d"), "rest=a/b-c/d");
	has(get("/files"), "rest=");

	a = get("/nowhere/at/all?x=1");
	has(a, "404 Not Found");
	has(a, "/nowhere/at/all?x=1");
	has(get("/items"), "404 Not Found");
	has(get("/items/a/b"), "404 Not Found");
	has(get("/"), "404 Not Found");

	a = once("PATCH /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "405 Method Not Allowed");
	has(a, "Allow: GET, POST, DELETE, HEAD\r\n");
	has(a, "\r\n\r\n/hello");
	has(once("OPTIONS /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "204 ");
	a = once("OPTIONS * HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "204 ");
	has(a, "Allow: HEAD, GET");
	has(once("HEAD /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "405 ");

	static const char *const bad[] = { "/items/%",   "/items/%4",    "/items/%zz",
		                           "/%00",       "/files/..",    "/files/%2e%2E",
		                           "/./hello",   "/files/a%2fb", "/hello?q=%f",
		                           "/hello?%=1", "/items/%0a",   "/items/%7f" };
	for (size_t i = 0; i < LOOM_COUNT(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
		         bad[i]);
		has(once(text), "400 Bad Request");
	}
}
END_TEST

START_TEST(bodies)
{
	int fd = dial();
	put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
	has(until(fd, "hello", 1), "Content-Length: 5");
	put(fd,
	    "PUT /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
	put(fd, "0\r\n\r\n");
	has(until(fd, "abcde", 1), "Content-Length: 5");
	put(fd, "DELETE /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nxyz");
	has(until(fd, "xyz", 1), "200 OK");
	put(fd, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	has(until(fd, "\r\n\r\n", 1), "100 Continue");
	put(fd, "last");
	has(until(fd, "last", 1), "200 OK");
	put(fd, "POST /echo HTTP/1.0\r\n\r\n");
	has(all(fd), "Content-Length: 0");
	ck_assert_int_eq(echoes, 5);
}
END_TEST

START_TEST(big_body)
{
	size_t n = 4u << 20;
	LOOM_CLEANUP_STR char *big = loom_malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		big[i] = (char)('a' + i % 23);
	big[n] = '\0';
	int fd = dial();
	put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 4194304\r\nConnection: close\r\n\r\n");
	put(fd, big);
	const char *a = strstr(all(fd), "\r\n\r\n");
	ck_assert_ptr_nonnull(a);
	ck_assert(strcmp(a + 4, big) == 0);
	has(once("POST /echo HTTP/1.1\r\n" H "Content-Length: 4194305\r\n\r\n"), "413 ");
}
END_TEST

START_TEST(json_bodies)
{
	const char *a = once("POST /json HTTP/1.1\r\n" H "Connection: close\r\n"
	                     "Content-Length: 7\r\n\r\n{\"a\":1}");
	has(a, "201 Created");
	has(a, "Content-Type: application/json\r\n");
	has(a, "{\"a\":1}");
	a = once("POST /json HTTP/1.1\r\n" H
	         "Connection: close\r\nContent-Length: 4\r\n\r\n{\"a\"");
	has(a, "400 Bad Request");
	has(a, "text/plain");
	has(a, "line 1");
	a = once("POST /json HTTP/1.1\r\n" H "Accept: text/html, Application/Problem+JSON;q=0.5\r\n"
	         "Connection: close\r\nContent-Length: 1\r\n\r\nx");
	has(a, "400 Bad Request");
	has(a, "Content-Type: application/problem+json\r\n");
	has(a, "\"detail\":\"line 1");
	a = once("POST /json HTTP/1.1\r\n" H "Accept: application/problem+json;q=0\r\n"
	         "Connection: close\r\nContent-Length: 1\r\n\r\nx");
	has(a, "Content-Type: text/plain");
	/* What is refused before its body is taken, too. */
	a = once("POST /nowhere HTTP/1.1\r\n" H "Accept: application/problem+json\r\n"
	         "Content-Length: 1\r\n\r\nx");
	has(a, "404 Not Found");
	has(a, "Content-Type: application/problem+json\r\n");
	has(a, "\"status\":404");
	a = once("POST /problem HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "400 Bad Request");
	has(a, "application/problem+json");
}
END_TEST

START_TEST(keep_alive_and_pipelining)
{
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		put(fd, "GET /hello HTTP/1.1\r\n" H "\r\n");
		has(until(fd, "hello GET", 1), "Connection: keep-alive\r\n");
	}
	put(fd, "GET /hello HTTP/1.1\r\n" H "\r\nPOST /echo HTTP/1.1\r\n" H
	        "Content-Length: 2\r\n\r\nxy"
	        "DELETE /hello HTTP/1.1\r\n" H "\r\nGET /items/z HTTP/1.1\r\n" H
	        "Connection: close\r\n\r\n");
	const char *a = all(fd);
	ck_assert_int_eq(count(a, "HTTP/1.1 200 OK"), 4);
	const char *p = strstr(a, "hello GET");
	ck_assert_ptr_nonnull(p);
	p = strstr(p, "xy");
	ck_assert_ptr_nonnull(p);
	p = strstr(p, "hello DELETE");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(strstr(p, "id=z"));

	fd = dial();
	put(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	has(until(fd, "hello GET", 1), "200 OK");
	line_close(fd);
	has(once("GET /hello HTTP/1.0\r\n\r\n"), "Connection: close\r\n");
}
END_TEST

/* What is sent in one packet, each a record by TLS, and answered so often. */
static const struct {
	const char *pieces[3];
	int answers;
} half_closed[] = {
	{ { "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello" }, 1 },
	{ { "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", "he", "llo" }, 1 },
	{ { "GET /hello HT", "TP/1.1\r\n" H, "\r\n" }, 1 },
	{ { "GET /hello HTTP/1.1\r\n" H "\r\n", "GET /items/1 HTTP/1.1\r\n" H "\r\n",
	    "GET /hello HTTP/1.1\r\n" H "\r\n" },
	  3 },
};

START_TEST(half_closed_client_gets_its_answer)
{
	for (int i = 0; i < 20; i++) {
		int fd = dial(), on = 1, off = 0;
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
		for (size_t k = 0; k < LOOM_COUNT(half_closed[_i].pieces); k++) {
			if (half_closed[_i].pieces[k])
				put(fd, half_closed[_i].pieces[k]);
		}
		line_end(fd);
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
		const char *a = all(fd);
		ck_assert_msg(count(a, "HTTP/1.1 200 OK") == half_closed[_i].answers, "%d: %s", i,
		              a);
	}
}
END_TEST

/* More than the socket takes at once. */
START_TEST(half_closed_client_gets_a_long_answer)
{
	size_t n = 4 << 20, seen = 0;
	LOOM_CLEANUP_STR char *body = loom_malloc(n + 1);
	memset(body, 'x', n);
	body[n] = '\0';
	LOOM_CLEANUP_STR char *head =
		loom_asprintf("POST /echo HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", n);
	int fd = dial();
	put(fd, head);
	put(fd, body);
	line_end(fd);
	for (ssize_t r; (r = line_recv(fd, got, sizeof(got))) > 0;)
		seen += (size_t)r;
	ck_assert_uint_gt(seen, n);
	line_close(fd);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(workers_busy)
{
	int fd[6];
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 6; i++) { /* two run, four wait */
		fd[i] = dial();
		put(fd[i], "GET /blocked HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
		if (i == 1)
			wait_for(&at_gate, 2);
	}
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; pool_backlog(pool) < 4;)
		ck_assert(clock_mono_ms() < end);
	const char *a = get("/items/x");
	has(a, "503 ");
	has(a, "Retry-After: 1");
	has(a, "application/problem+json");
	has(get("/hello"), "200 OK"); /* the loop is not blocked */
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 6; i++)
		has(all(fd[i]), "passed");
}
END_TEST

START_TEST(deferred_and_silent)
{
	has(get("/defer"), "deferred indeed");
	has(get("/to-pool"), "deferred from a worker");
	has(get("/to-pool?here"), "deferred here");
	has(get("/silent"), "500 ");
}
END_TEST

START_TEST(long_poll)
{
	int fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	/* on another connection, until the first has been taken up */
	while (!strstr(once("POST /release HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "yes"))
		;
	has(until(fd, "released", 1), "200 OK");
	put(fd, "GET /hello HTTP/1.1\r\n" H "\r\n"); /* still good */
	until(fd, "hello", 1);
	line_close(fd);
	ck_assert_int_eq(closes, 0);
}
END_TEST

START_TEST(client_gone_during_long_poll)
{
	int fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	get("/hello");
	line_close(fd);
	wait_for(&closes, 1);
	has(once("POST /release HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "no");
}
END_TEST

START_TEST(client_gone_while_a_worker_has_the_request)
{
	pthread_mutex_lock(&gate);
	int fd = dial();
	put(fd, "GET /blocked HTTP/1.1\r\n" H "\r\n");
	wait_for(&at_gate, 1);
	struct linger now = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	line_close(fd); /* reset */
	pthread_mutex_unlock(&gate);
	has(get("/hello"), "200 OK");
}
END_TEST

START_TEST(server_sent_events)
{
	const char *a = get("/events");
	has(a, "Content-Type: text/event-stream\r\n");
	has(a, "Cache-Control: no-store\r\n");
	has(a, "Transfer-Encoding: chunked\r\n");
	has(a, ": hb\n\n");
	has(a, "retry: 500\n\n");
	has(a, "id: 7\nevent: task\ndata: {\"a\":1}\n\n");
	has(a, "data: two\ndata: lines\n\n");
	a = once("GET /events HTTP/1.0\r\n\r\n");
	lacks(a, "chunked");
	has(a, "\r\n\r\nretry: 500\n\n: hb\n\nid: 7");

	int fd = dial();
	put(fd, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd, ": hb", 1);
	line_close(fd);
	wait_for(&closes, 1);
}
END_TEST

START_TEST(much_is_buffered_and_counted)
{
	const char *a = get("/flood");
	has(a, "200 OK");
}
END_TEST

START_TEST(streams_drain_and_break_off)
{
	const char *a = get("/drip");
	ck_assert_int_eq(count(a, "drop."), 3);
	has(a, "\r\n0\r\n\r\n");
	has(once("GET /drip HTTP/1.0\r\n\r\n"), "\r\n\r\nfirst.drop.drop.drop.");
	a = get("/broken");
	has(a, "\r\npart\r\n");
	lacks(a, "\r\n0\r\n");
	has(get("/hello"), "200 OK");
	ck_assert_int_eq(closes, 0);
}
END_TEST

/* Not at the first look behind an answer, which may not be sent yet. */
START_TEST(rests)
{
	has(get("/hello"), "hello GET");
	ck_assert(!http_server_rests(server));
	ck_assert(http_server_rests(server));
	ck_assert(http_server_rests(server));
	has(get("/hello"), "hello GET");
	ck_assert(!http_server_rests(server));
	ck_assert(http_server_rests(server));
}
END_TEST

START_TEST(destroyed_with_open_requests)
{
	int fd = dial(), fd2 = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	put(fd2, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd2, ": hb", 1);
	pthread_mutex_lock(&gate);
	int fd3 = dial();
	put(fd3, "GET /blocked HTTP/1.1\r\n" H "\r\n");
	wait_for(&at_gate, 1);
	has(get("/hello"), "200 OK");
	loop_stop(loop);
	pthread_join(thread, NULL);
	ck_assert(!http_server_rests(server));
	ck_assert(!http_server_rests(server));
	http_server_destroy(server);
	ck_assert_int_eq(closes, 2);
	pthread_mutex_unlock(&gate);
	pool_destroy(pool);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
	line_close(fd);
	line_close(fd2);
	line_close(fd3);
}
END_TEST

START_TEST(listening)
{
	struct loop *l = loop_create();
	static const struct http_route none[] = { { NULL, NULL, HTTP_ON_LOOP, NULL } };
	struct http_server *a = http_server_create(l, NULL, none, NULL, NULL);
	struct http_server *b = http_server_create(l, NULL, none, NULL, NULL);
	char addr[64];
	ck_assert_int_eq(http_server_listen(a, "127.0.0.1"), -EINVAL);
	ck_assert_int_eq(http_server_listen(a, "127.0.0.1:"), -EINVAL);
	ck_assert_int_lt(http_server_listen(a, "127.0.0.1:http"), 0);
	ck_assert_int_eq(http_server_listen(a, "[::1]:0"), 0);
	ck_assert_int_eq(http_server_listen(a, "[::1]:0"), -EALREADY);
	snprintf(addr, sizeof(addr), "[::1]:%d", http_server_port(a));
	ck_assert_int_eq(http_server_listen(b, addr), -EADDRINUSE);
	http_server_destroy(a);
	http_server_destroy(b);
	ck_assert_int_eq(loop_destroy(l), 0);
	libevent_global_shutdown();
}
END_TEST

static TCase *server_case(void)
{
	TCase *t = make_case("server", start, stop);
	tcase_add_test(t, answers);
	tcase_add_test(t, routes_and_uris);
	tcase_add_test(t, bodies);
	tcase_add_test(t, big_body);
	tcase_add_test(t, json_bodies);
	tcase_add_test(t, keep_alive_and_pipelining);
	tcase_add_loop_test(t, half_closed_client_gets_its_answer, 0, (int)LOOM_COUNT(half_closed));
	tcase_add_test(t, half_closed_client_gets_a_long_answer);
	tcase_add_test(t, workers_busy);
	tcase_add_test(t, deferred_and_silent);
	tcase_add_test(t, long_poll);
	tcase_add_test(t, client_gone_during_long_poll);
	tcase_add_test(t, client_gone_while_a_worker_has_the_request);
	tcase_add_test(t, server_sent_events);
	tcase_add_test(t, much_is_buffered_and_counted);
	tcase_add_test(t, streams_drain_and_break_off);
	tcase_add_test(t, rests);
	return t;
}

int main(void)
{
	TCase *life = make_case("life", NULL, NULL);
	tcase_add_test(life, listening);
	TCase *destroy = make_case("destroy", start, NULL);
	tcase_add_test(destroy, destroyed_with_open_requests);
	return UNIT_RUN("net_server", server_case(), life, destroy, secured(server_case()));
}
