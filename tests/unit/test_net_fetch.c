/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on the loop. */
#include "tests/unit/client_case.h"

#include <sched.h>

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

static void resume(void *arg)
{
	struct probe *p = arg;
	p->paused++;
	http_fetch_pause(p->fetch, false);
}

static void fetch_end(struct probe *p)
{
	http_client_destroy(p->client);
	loop_timer_destroy(p->timer);
	buf_fini(&p->body);
	loom_free(p->error);
}

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

static int note_peer(const struct http_head *head, const struct http_route *route, void *ctx,
                     struct loom_err *err)
{
	(void)route;
	(void)ctx;
	(void)err;
	strs_add(&peers, head->peer);
	return 0;
}

/* As URLs have them: the last colon is before the port. And of a head the address alone. */
START_TEST(peers_by_ipv6)
{
	struct http_server *other = http_server_create(loop, pool, routes, NULL, NULL);
	http_server_check(other, note_peer);
	ck_assert_int_eq(http_server_listen(other, "[::1]:0"), 0);
	struct probe p = { 0 };
	char to[64];
	snprintf(to, sizeof(to), "http://[::1]:%d/peer", http_server_port(other));
	fetch(&p, "GET", to, NULL);
	loop_run(loop);
	ck_assert_int_eq(p.status, 200);
	ck_assert_str_eq(peers.v[0], "::1");
	ck_assert_msg(strncmp(peers.v[1], "[::1]:", 6) == 0, "%s", peers.v[1]);
	fetch_end(&p);
	http_server_destroy(other);
}
END_TEST

/* ---- a name server that does not answer ------------------------------------------------------ */

static void must(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command); /* NOLINT(cert-env33-c) */
}

/* For minutes each look-up waits for it. */
static void hang_names(void)
{
	static const char conf[] = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";
	const struct sockaddr_in at = { .sin_family = AF_INET,
		                        .sin_port = htons(53),
		                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char name[] = "/tmp/resolv-XXXXXX", command[64];
	int file = mkstemp(name);
	ck_assert_int_eq(write(file, conf, sizeof(conf) - 1), sizeof(conf) - 1);
	close(file);
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0); /* for this test alone */
	must("mount --make-rprivate /");
	must("ip link set lo up");
	snprintf(command, sizeof(command), "mount --bind %s /etc/resolv.conf", name);
	must(command);
	unlink(name);
	int names = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(names, (const struct sockaddr *)&at, sizeof(at)), 0);
}

START_TEST(fetch_of_a_name_that_nobody_tells)
{
	hang_names();
	struct probe p = { 0 };
	fetch(&p, "GET", "http://collector.example/", NULL);
	loop_run(loop);
	ck_assert_int_eq(p.done, 1);
	ck_assert_msg(p.error && strstr(p.error, "timed out"), "%s", p.error);
	fetch_end(&p);
	/* nor does one that is not wanted any more */
	struct probe q = { .timer = loop_timer_create(loop, "end", stop_loop, NULL) };
	fetch(&q, "GET", "http://collector.example/", NULL);
	loop_timer_arm(q.timer, 100);
	loop_run(loop);
	fetch_end(&q);
}
END_TEST

START_TEST(call_of_a_name_that_nobody_tells)
{
	hang_names();
	struct loom_err err = { 0 };
	struct http_call call = { .method = "GET",
		                  .url = "http://collector.example/",
		                  .timeout_ms = 100 };
	ck_assert_int_eq(http_call(NULL, &call, &err), -ETIMEDOUT);
	http_call_fini(&call);
}
END_TEST

int main(void)
{
	TCase *fetch = tcase_create("loop");
	tcase_add_checked_fixture(fetch, start, stop);
	tcase_add_test(fetch, fetches);
	tcase_add_test(fetch, fetch_asks_about_addresses);
	tcase_add_test(fetch, fetch_sends_its_body);
	tcase_add_test(fetch, fetch_paused_and_resumed);
	tcase_add_test(fetch, fetch_cancelled);
	tcase_add_test(fetch, fetch_that_fails);
	tcase_add_test(fetch, peers_by_ipv6);
	TCase *names = tcase_create("names");
	tcase_set_timeout(names, 60);
	tcase_add_checked_fixture(names, start, stop);
	tcase_add_test(names, fetch_of_a_name_that_nobody_tells);
	tcase_add_test(names, call_of_a_name_that_nobody_tells);
	return UNIT_RUN("net_fetch", fetch, names);
}
