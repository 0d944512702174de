/* SPDX-License-Identifier: Apache-2.0 */
/* Both clients against our own server. */
#include "tests/unit/client_case.h"

static pthread_t thread;

/* ---- server ---------------------------------------------------------------------------------- */

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static void start_thread(void)
{
	start();
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void stop_thread(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	stop();
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

#define DAY_MS 86400000

static const struct {
	const char *value;
	int64_t least, most;
} retry_rows[] = {
	{ "3", 3000, 3000 },
	{ " 0 \r\n", 0, 0 },
	{ "86401", DAY_MS, DAY_MS },
	{ "99999999999999999999999", DAY_MS, DAY_MS },
	{ "Fri, 31 Dec 1999 23:59:59 GMT", 0, 0 },
	{ "Wed, 31 Dec 2098 23:59:59 GMT", DAY_MS, DAY_MS },
	{ "", -1, -1 },
	{ "-1", -1, -1 },
	{ "3 s", -1, -1 },
	{ "soon", -1, -1 },
	{ "1.5", -1, -1 },
};

START_TEST(retry_after)
{
	LOOM_CLEANUP_STR char *header = loom_asprintf("retry-after: %s", retry_rows[_i].value);
	struct strs headers = { 0 };
	strs_add(&headers, "Content-Type: text/plain");
	strs_add(&headers, header);
	int64_t ms = http_retry_after_ms(&headers);
	ck_assert_int_ge(ms, retry_rows[_i].least);
	ck_assert_int_le(ms, retry_rows[_i].most);
	strs_fini(&headers);
}
END_TEST

START_TEST(retry_after_a_date)
{
	char header[64];
	struct strs headers = { 0 };
	time_t at = time(NULL) + 60;
	struct tm tm;
	strftime(header, sizeof(header), "Retry-After: %a, %d %b %Y %H:%M:%S GMT",
	         gmtime_r(&at, &tm));
	strs_add(&headers, header);
	int64_t ms = http_retry_after_ms(&headers);
	ck_assert_int_gt(ms, 0);
	ck_assert_int_le(ms, 60000);
	strs_fini(&headers);
}
END_TEST

START_TEST(warnings)
{
	static const char *const want[] = { "a, \"b\"", "c", "d" };
	struct http_call call = { 0 };
	ok(NULL, &call, "/warned");
	ck_assert_int_eq(call.status, 400);
	ck_assert_uint_eq(call.warnings.n, LOOM_COUNT(want));
	for (size_t i = 0; i < LOOM_COUNT(want); i++)
		ck_assert_str_eq(call.warnings.v[i], want[i]);
	ok(NULL, &call, "/echo"); /* those of the answer before are gone */
	ck_assert_uint_eq(call.warnings.n, 0);
	http_call_fini(&call);
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

int main(void)
{
	TCase *t = tcase_create("blocking");
	tcase_add_checked_fixture(t, start_thread, stop_thread);
	tcase_add_test(t, calls);
	tcase_add_test(t, warnings);
	tcase_add_loop_test(t, retry_after, 0, LOOM_COUNT(retry_rows));
	tcase_add_test(t, retry_after_a_date);
	tcase_add_test(t, connection_is_reused);
	tcase_add_test(t, calls_that_fail);
	tcase_add_test(t, addresses_are_asked_about);
	tcase_add_loop_test(t, hosts_of_urls, 0, LOOM_COUNT(hosts));
	tcase_add_test(t, streaming_call);
	return UNIT_RUN("net_client", t);
}
