/* SPDX-License-Identifier: Apache-2.0 */
/* Both clients against our own server. */
#include "common/net/http_client.h"
#include "common/net/http_server.h"

#include "common/base/log.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct pool *pool;
static struct http_server *server;
static pthread_t thread;
static struct strs peers; /* loop */

/* ---- server ---------------------------------------------------------------------------------- */

static void echo(struct http_req *req, void *ctx)
{
	(void)ctx;
	size_t n;
	const char *body = http_body(req, &n), *type = http_header(req, "Content-Type");
	const char *mine = http_header(req, "X-Mine");
	http_reply_header(req, "X-Answer", "yes");
	http_reply_text(req, 200, "%s type=%s mine=%s expect=%s agent=%d body=%.*s",
	                http_method(req), type ? type : "-", mine ? mine : "-",
	                http_header(req, "Expect") ? "yes" : "no",
	                http_header(req, "User-Agent") != NULL, (int)n, body);
}

static void peer(struct http_req *req, void *ctx)
{
	(void)ctx;
	if (!strs_has(&peers, http_peer(req)))
		strs_add(&peers, http_peer(req));
	http_reply_text(req, 200, "%zu", peers.n);
}

static void busy(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Retry-After", "3");
	http_reply_problem(req, 503, "later");
}

static void elsewhere(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Location", "/echo");
	http_reply_empty(req, 302);
}

static void never(struct http_req *req, void *arg)
{
	(void)arg;
	http_reply_empty(req, 204);
}

static void hold(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_on_close(req, never, NULL);
}

static void events(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	sse_event(req, 1, "a", "one");
	sse_event(req, 2, "b", "two");
	http_stream_end(req);
}

static void stream_gone(struct http_req *req, void *arg)
{
	(void)arg;
	http_stream_end(req);
}

static void endless(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	http_on_close(req, stream_gone, NULL);
	sse_comment(req, "hb");
}

static void big(struct http_req *req, void *ctx)
{
	(void)ctx;
	size_t n = 3u << 20;
	LOOM_CLEANUP_STR char *x = loom_malloc(n);
	memset(x, 'x', n);
	http_reply(req, 200, "text/plain", x, n);
}

static const struct http_route routes[] = {
	{ "GET", "/echo", HTTP_ON_POOL, echo },      { "POST", "/echo", HTTP_ON_POOL, echo },
	{ "PUT", "/echo", HTTP_ON_POOL, echo },      { "DELETE", "/echo", HTTP_ON_POOL, echo },
	{ "GET", "/peer", HTTP_ON_LOOP, peer },      { "GET", "/busy", HTTP_ON_LOOP, busy },
	{ "GET", "/away", HTTP_ON_LOOP, elsewhere }, { "GET", "/hold", HTTP_ON_LOOP, hold },
	{ "GET", "/events", HTTP_ON_LOOP, events },  { "GET", "/endless", HTTP_ON_LOOP, endless },
	{ "GET", "/big", HTTP_ON_LOOP, big },        { NULL, NULL, HTTP_ON_LOOP, NULL },
};

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static void start(void)
{
	log_setup("test", LOG_LV_ERROR, false);
	setenv("http_proxy", "http://127.0.0.1:9", 1); /* must not be used */
	loop = loop_create();
	pool = pool_create(loop, 2, 8);
	server = http_server_create(loop, pool, routes, NULL, NULL);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
}

static void start_thread(void)
{
	start();
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void stop(void)
{
	http_server_destroy(server);
	pool_destroy(pool);
	ck_assert_int_eq(loop_destroy(loop), 0);
	strs_fini(&peers);
	libevent_global_shutdown();
	curl_global_cleanup();
}

static void stop_thread(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	stop();
}

static const char *url(const char *path)
{
	static char text[256];
	snprintf(text, sizeof(text), "http://127.0.0.1:%d%s", http_server_port(server), path);
	return text;
}

/* ---- blocking -------------------------------------------------------------------------------- */

static void ok(struct http_conn *c, struct http_call *call, const char *path)
{
	struct loom_err err = { 0 };
	call->url = url(path);
	if (!call->method)
		call->method = "GET";
	int r = http_call(c, call, &err);
	ck_assert_msg(r == 0, "%d: %s", r, err.msg);
}

static void fails(struct http_conn *c, struct http_call *call, const char *to, int want,
                  const char *text)
{
	struct loom_err err = { 0 };
	call->url = to;
	if (!call->method)
		call->method = "GET";
	ck_assert_int_eq(http_call(c, call, &err), want);
	ck_assert_msg(strstr(err.msg, text), "%s", err.msg);
}

START_TEST(calls)
{
	LOOM_CLEANUP(http_conn_destroy) struct http_conn *c = http_conn_create();
	struct strs headers = { 0 };
	strs_add(&headers, "X-Mine: 1");
	strs_add(&headers, "X-Bad: 1\r\nX-Mine: 2");
	struct http_call call = { .headers = &headers };
	ok(c, &call, "/echo");
	ck_assert_int_eq(call.status, 200);
	ck_assert_str_eq(call.answer.data, "GET type=- mine=1 expect=no agent=1 body=");
	ck_assert_int_eq(call.retry_after_ms, -1);

	char text[] = "{\"a\":1}";
	call.method = "POST";
	call.body = text;
	call.body_len = strlen(text);
	ok(c, &call, "/echo");
	ck_assert_str_eq(call.answer.data,
	                 "POST type=application/json mine=1 expect=no agent=1 body={\"a\":1}");
	call.method = "DELETE";
	strs_add(&headers, "content-type: text/x");
	ok(c, &call, "/echo");
	ck_assert_str_eq(call.answer.data,
	                 "DELETE type=text/x mine=1 expect=no agent=1 body={\"a\":1}");
	call.body = NULL;
	call.headers = NULL;
	call.method = "PUT";
	ok(NULL, &call, "/echo");
	ck_assert_str_eq(call.answer.data, "PUT type=- mine=- expect=no agent=1 body=");
	call.method = "HEAD";
	ok(c, &call, "/echo");
	ck_assert_int_eq(call.status, 200);
	call.method = "GET";
	ok(c, &call, "/busy");
	ck_assert_int_eq(call.status, 503);
	ck_assert_int_eq(call.retry_after_ms, 3000);
	ck_assert_ptr_nonnull(strstr(call.answer.data, "later"));
	ok(c, &call, "/away"); /* not followed */
	ck_assert_int_eq(call.status, 302);
	http_call_fini(&call);
	strs_fini(&headers);
}
END_TEST

START_TEST(connection_is_reused)
{
	LOOM_CLEANUP(http_conn_destroy) struct http_conn *c = http_conn_create();
	struct http_call call = { 0 };
	for (int i = 0; i < 5; i++) {
		ok(c, &call, "/peer");
		ck_assert_str_eq(call.answer.data, "1");
	}
	ok(NULL, &call, "/peer");
	ck_assert_str_eq(call.answer.data, "2");
	http_call_fini(&call);
}
END_TEST

static int unused_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

START_TEST(calls_that_fail)
{
	struct http_call call = { .timeout_ms = 100 };
	char to[64];
	fails(NULL, &call, url("/hold"), -ETIMEDOUT, "/hold");
	ck_assert_int_eq(call.status, 0);
	snprintf(to, sizeof(to), "http://127.0.0.1:%d/", unused_port());
	fails(NULL, &call, to, -ECONNREFUSED, "127.0.0.1");
	fails(NULL, &call, "https://127.0.0.1/", -EINVAL, "https");
	fails(NULL, &call, "file:///etc/passwd", -EINVAL, "file");
	call.timeout_ms = 0;
	call.max_answer = 1000;
	fails(NULL, &call, url("/big"), -EFBIG, "too large");
	http_call_fini(&call);
}
END_TEST

struct asked {
	bool answer;
	int times;
	struct sockaddr_in last;
};

static bool ask(const struct sockaddr *addr, void *arg)
{
	struct asked *a = arg;
	a->times++;
	if (addr->sa_family == AF_INET)
		memcpy(&a->last, addr, sizeof(a->last));
	return a->answer;
}

START_TEST(addresses_are_asked_about)
{
	LOOM_CLEANUP(http_conn_destroy) struct http_conn *c = http_conn_create();
	struct asked a = { .answer = true };
	struct http_call call = { .allow = ask, .allow_arg = &a };
	char to[64];
	ok(c, &call, "/peer");
	ok(c, &call, "/peer");
	ck_assert_str_eq(call.answer.data, "2"); /* no connection is used again */
	ck_assert_int_eq(a.times, 2);
	ck_assert_int_eq(ntohs(a.last.sin_port), http_server_port(server));
	/* unless it was made for that, which one for others is not */
	call.again = true;
	ok(c, &call, "/peer");
	ok(c, &call, "/peer");
	ck_assert_str_eq(call.answer.data, "3");
	ck_assert_int_eq(a.times, 3);
	call.again = false;
	/* other spellings of the same address */
	a.answer = false;
	static const char *const names[] = { "127.0.0.1", "localhost", "0x7f.1", "2130706433" };
	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		memset(&a.last, 0, sizeof(a.last));
		snprintf(to, sizeof(to), "http://%s:%d/peer", names[i], http_server_port(server));
		fails(c, &call, to, -EACCES, "refused");
		ck_assert_int_eq(call.status, 0);
		ck_assert_int_eq(ntohl(a.last.sin_addr.s_addr), INADDR_LOOPBACK);
	}
	/* encrypted or not at all: the server here does not know how */
	a.answer = true;
	snprintf(to, sizeof(to), "https://127.0.0.1:%d/", http_server_port(server));
	fails(c, &call, to, -EPROTO, "https");
	fails(c, &call, "file:///etc/passwd", -EINVAL, "file");
	/* without it, what was connected before is used */
	call.allow = NULL;
	ok(c, &call, "/peer");
	ok(c, &call, "/peer");
	http_call_fini(&call);
}
END_TEST

static const struct {
	const char *url, *host;
} hosts[] = {
	{ "http://a.Example:80/x?y#z", "a.example" },
	{ "https://127.0.0.1", "127.0.0.1" },
	{ "http://0x7f000001/", "127.0.0.1" },
	{ "http://[::1]:8/", "::1" },
	{ "HTTP://h/", "h" },
	{ "ftp://h/", NULL },
	{ "http://u@h/", NULL },
	{ "http://u:p@h/", NULL },
	{ "h/path", NULL },
	{ "http://", NULL },
	{ "http:///x", "x" },
	{ "http://a b/", NULL },
	{ "", NULL },
};

START_TEST(hosts_of_urls)
{
	LOOM_CLEANUP_STR char *host = http_url_host(hosts[_i].url);
	ck_assert_pstr_eq(host, hosts[_i].host);
}
END_TEST

static int add(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

static int stop_at_once(const char *data, size_t len, void *arg)
{
	(void)data;
	*(size_t *)arg = len;
	return 1;
}

START_TEST(streaming_call)
{
	struct buf b = BUF_INIT(1 << 20);
	struct http_call call = { .on_data = add, .arg = &b, .timeout_ms = -1 };
	ok(NULL, &call, "/events");
	ck_assert_str_eq(
		buf_str(&b),
		"retry: 500\n\nid: 1\nevent: a\ndata: one\n\nid: 2\nevent: b\ndata: two\n\n");
	ck_assert_uint_eq(call.answer.len, 0);
	buf_reset(&b);
	ok(NULL, &call, "/nowhere");
	ck_assert_int_eq(call.status, 404);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_uint_gt(call.answer.len, 0);
	size_t n = 0;
	call.on_data = stop_at_once;
	call.arg = &n;
	fails(NULL, &call, url("/endless"), -ECANCELED, "ended by the caller");
	ck_assert_uint_eq(n, strlen("retry: 500\n\n"));
	ck_assert_int_eq(call.status, 200);
	http_call_fini(&call);
	buf_fini(&b);
}
END_TEST

/* ---- on the loop ----------------------------------------------------------------------------- */

struct probe {
	struct http_client *client;
	struct http_fetch *fetch;
	struct buf body;
	char *error;
	struct loop_timer *timer;
	bool pause, cancel, again;
	int status, done, paused;
	bool answer, refused;
};

static void on_head(struct http_fetch *f, int status, const struct strs *headers, void *arg)
{
	struct probe *p = arg;
	(void)f;
	ck_assert_int_eq(p->status, 0);
	p->status = status;
	p->answer = strs_has(headers, "X-Answer: yes");
}

static void resume(void *arg)
{
	struct probe *p = arg;
	p->paused++;
	http_fetch_pause(p->fetch, false);
}

static void on_data(struct http_fetch *f, const char *data, size_t len, void *arg)
{
	struct probe *p = arg;
	buf_add(&p->body, data, len);
	if (p->pause) {
		http_fetch_pause(f, true);
		loop_timer_arm(p->timer, 1);
	}
	if (p->cancel) {
		http_fetch_cancel(f);
		loop_timer_arm(p->timer, 1);
	}
}

static const struct http_fetch_ops ops;

static void on_done(struct http_fetch *f, const char *error, void *arg)
{
	struct probe *p = arg;
	p->done++;
	p->error = loom_strdup(error);
	p->refused = http_fetch_refused(f);
	http_fetch_cancel(f); /* harmless */
	if (p->again) {
		p->again = false;
		loom_free(p->error);
		p->status = 0;
		buf_reset(&p->body);
		struct http_call call = { .method = "GET", .url = url("/echo") };
		p->fetch = http_fetch_start(p->client, &call, &ops, p);
		return;
	}
	loop_stop(loop);
}

static const struct http_fetch_ops ops = { on_head, on_data, on_done };

static void fetch(struct probe *p, const char *method, const char *to, const char *body)
{
	struct http_call call = { .method = method,
		                  .url = to,
		                  .body = body,
		                  .body_len = body ? strlen(body) : 0,
		                  .timeout_ms = 5000 };
	p->client = http_client_create(loop);
	p->body = BUF_INIT(8u << 20);
	p->fetch = http_fetch_start(p->client, &call, &ops, p);
}

static void fetch_end(struct probe *p)
{
	http_client_destroy(p->client);
	loop_timer_destroy(p->timer);
	buf_fini(&p->body);
	loom_free(p->error);
}

START_TEST(fetches)
{
	struct probe p = { .again = true };
	char body[] = "hello", path[256];
	snprintf(path, sizeof(path), "%s", url("/echo"));
	fetch(&p, "POST", path, body);
	memset(body, 'x', 5); /* it has its own copy */
	memset(path, 'x', 5);
	loop_run(loop);
	ck_assert_int_eq(p.done, 2);
	ck_assert_ptr_null(p.error);
	ck_assert_int_eq(p.status, 200);
	ck_assert(p.answer);
	ck_assert_str_eq(buf_str(&p.body), "GET type=- mine=- expect=no agent=1 body=");
	fetch_end(&p);
}
END_TEST

START_TEST(fetch_asks_about_addresses)
{
	for (int allowed = 0; allowed < 2; allowed++) {
		struct probe p = { .body = BUF_INIT(1024), .client = http_client_create(loop) };
		struct asked a = { .answer = allowed };
		const struct http_call call = {
			.method = "GET", .url = url("/echo"), .allow = ask, .allow_arg = &a
		};
		p.fetch = http_fetch_start(p.client, &call, &ops, &p);
		loop_run(loop);
		ck_assert_int_eq(a.times, 1);
		ck_assert_int_eq(ntohl(a.last.sin_addr.s_addr), INADDR_LOOPBACK);
		ck_assert_int_eq(p.status, allowed ? 200 : 0);
		ck_assert(p.refused == !allowed);
		ck_assert(allowed ? !p.error : strstr(p.error, "refused") != NULL);
		fetch_end(&p);
	}
}
END_TEST

START_TEST(fetch_sends_its_body)
{
	struct probe p = { 0 };
	fetch(&p, "DELETE", url("/echo"), "abc");
	loop_run(loop);
	ck_assert_str_eq(buf_str(&p.body),
	                 "DELETE type=application/json mine=- expect=no agent=1 body=abc");
	fetch_end(&p);
}
END_TEST

START_TEST(fetch_paused_and_resumed)
{
	struct probe p = { .pause = true };
	p.timer = loop_timer_create(loop, "resume", resume, &p);
	fetch(&p, "GET", url("/big"), NULL);
	loop_run(loop);
	ck_assert_ptr_null(p.error);
	ck_assert_uint_eq(p.body.len, 3u << 20);
	ck_assert_int_gt(p.paused, 10);
	fetch_end(&p);
}
END_TEST

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

START_TEST(fetch_cancelled)
{
	struct probe p = { .cancel = true };
	p.timer = loop_timer_create(loop, "end", stop_loop, NULL);
	fetch(&p, "GET", url("/endless"), NULL);
	loop_run(loop);
	ck_assert_int_eq(p.done, 0);
	ck_assert_int_eq(p.status, 200);
	fetch_end(&p);
	struct probe q = { 0 };
	fetch(&q, "GET", url("/echo"), NULL);
	http_fetch_cancel(q.fetch); /* before it has begun */
	fetch_end(&q);
	struct probe r = { 0 };
	fetch(&r, "GET", url("/endless"), NULL);
	fetch_end(&r); /* destroyed with it */
}
END_TEST

START_TEST(fetch_that_fails)
{
	struct probe p = { 0 };
	char to[64];
	snprintf(to, sizeof(to), "http://127.0.0.1:%d/", unused_port());
	fetch(&p, "GET", to, NULL);
	loop_run(loop);
	ck_assert_int_eq(p.done, 1);
	ck_assert_int_eq(p.status, 0);
	ck_assert_msg(p.error && strstr(p.error, "connect"), "%s", p.error);
	fetch_end(&p);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("blocking");
	tcase_add_checked_fixture(t, start_thread, stop_thread);
	tcase_add_test(t, calls);
	tcase_add_test(t, connection_is_reused);
	tcase_add_test(t, calls_that_fail);
	tcase_add_test(t, addresses_are_asked_about);
	tcase_add_loop_test(t, hosts_of_urls, 0, LOOM_COUNT(hosts));
	tcase_add_test(t, streaming_call);
	TCase *fetch = tcase_create("loop");
	tcase_add_checked_fixture(fetch, start, stop);
	tcase_add_test(fetch, fetches);
	tcase_add_test(fetch, fetch_asks_about_addresses);
	tcase_add_test(fetch, fetch_sends_its_body);
	tcase_add_test(fetch, fetch_paused_and_resumed);
	tcase_add_test(fetch, fetch_cancelled);
	tcase_add_test(fetch, fetch_that_fails);
	return UNIT_RUN("net_client", t, fetch);
}
