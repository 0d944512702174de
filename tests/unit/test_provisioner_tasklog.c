/* SPDX-License-Identifier: Apache-2.0 */
#include "services/provisioner/tasklog.h"

#include "common/base/str.h"
#include "common/net/http_server.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* ---- cleaning ---------------------------------------------------------------------------------
 */

#define R "\xEF\xBF\xBD"

static const struct {
	const char *in;
	size_t len, max;
	bool more;
	const char *out;
	size_t used;
} cleanings[] = {
	{ "", 0, 10, false, "", 0 },
	{ "plain\n", 6, 10, false, "plain\n", 6 },
	{ "a\0b", 3, 10, false, "a" R "b", 3 },
	{ "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9, 20, false,
	  "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9 },
	{ "x\xC3", 2, 10, true, "x", 1 },    /* its rest may come */
	{ "x\xC3", 2, 10, false, "x" R, 2 }, /* it will not */
	{ "x\xF0\x9F\x98", 4, 10, true, "x", 1 },
	{ "ab\xC3\xA4", 4, 3, false, "ab", 2 }, /* not cut in two by max */
	{ "\xC3(", 2, 10, false, R "(", 2 },
	{ "\xFF\xFE", 2, 10, false, R R, 2 },
	{ "\xC0\xAF", 2, 10, false, R R, 2 },             /* overlong */
	{ "\xE0\x80\x80", 3, 10, false, R R R, 3 },       /* overlong */
	{ "\xED\xA0\x80", 3, 10, false, R R R, 3 },       /* a surrogate */
	{ "\xF4\x90\x80\x80", 4, 10, false, R R R R, 4 }, /* beyond Unicode */
	{ "\x80", 1, 10, true, R, 1 },
};

START_TEST(cleans)
{
	struct buf out = BUF_INIT(100);

	ck_assert_uint_eq(tasklog_clean(cleanings[_i].in, cleanings[_i].len, cleanings[_i].max,
	                                cleanings[_i].more, &out),
	                  cleanings[_i].used);
	ck_assert_str_eq(buf_str(&out), cleanings[_i].out);
	buf_fini(&out);
}
END_TEST

/* ---- sending ----------------------------------------------------------------------------------
 */

static struct loop *loop;
static struct pool *pool;
static struct http_server *server;
static struct wire *wire;
static struct tasklog *tasklog;
static struct loop_timer *later;
static struct buf stored;  /* as a server would show it */
static int64_t end, lost;  /* where the log ends; how much of it was never sent */
static const int *answers; /* statuses to give, ended by 0; then 200 */
static bool lose_answers;  /* store, but answer 503 until answers ends */
static int chunks, closes;
static bool stop_at_close;

static void on_log(struct http_req *req, void *ctx)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL;
	int status = answers && *answers ? *answers++ : 200;
	struct loom_err err;

	(void)ctx;
	ck_assert_int_eq(http_body_json(req, &body, &err), 0);
	ck_assert_str_eq(http_param(req, "id"), "00000001-001-001");
	ck_assert_str_eq(json_get_str(body, "provisionerId"), "p1");
	ck_assert_str_eq(json_get_str(body, "workerId"), "p1.0");
	ck_assert_int_eq(json_get_int(body, "attempt", 0), 2);
	int64_t offset = json_get_int(body, "offset", -1);
	const struct json *data = json_get(body, "data");
	if (status == 200 || lose_answers) {
		/* Each byte once, in order: a repeated chunk is what it was before. */
		int64_t dropped = json_get_int(body, "dropped", 0);
		int64_t after = offset + (int64_t)json_str_len(data);
		if (after > end) {
			ck_assert_int_eq(offset, end + dropped);
			if (dropped)
				buf_addf(&stored, "[%lld missing]\n", (long long)dropped);
			buf_add(&stored, json_str(data), json_str_len(data));
			end = after;
		}
		lost += dropped;
	}
	chunks++;
	http_reply_empty(req, status);
}

static const struct http_route routes[] = {
	{ "POST", "/v2/tasks/{id}/log", HTTP_ON_LOOP, on_log },
	{ 0 },
};

static void connect_to(int port)
{
	struct tasklog_id id = {
		.task = "00000001-001-001", .provisioner = "p1", .worker = "p1.0", .attempt = 2
	};
	LOOM_CLEANUP_STR char *uri = loom_asprintf("http://127.0.0.1:%d", port);

	wire = wire_create(loop, uri, NULL, "", NULL);
	tasklog = tasklog_create(loop, wire, &id);
}

static void set_up(void)
{
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
	pool = pool_create(loop, 1, 16);
	server = http_server_create(loop, pool, routes, NULL, NULL);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
	stored = BUF_INIT(8 << 20);
	connect_to(http_server_port(server));
}

static void tear_down(void)
{
	tasklog_destroy(tasklog);
	wire_destroy(wire);
	loop_timer_destroy(later);
	pool_destroy(pool);
	http_server_destroy(server);
	ck_assert_int_eq(loop_destroy(loop), 0);
	buf_fini(&stored);
}

static void say(enum run_stream stream, const char *text)
{
	tasklog_add(tasklog, stream, text, strlen(text));
}

static void on_closed(void *arg)
{
	(void)arg;
	closes++;
	if (stop_at_close)
		loop_stop(loop);
}

static void close_and_run(void)
{
	stop_at_close = true;
	tasklog_close(tasklog, 20000, on_closed, NULL);
	loop_run(loop);
	ck_assert_int_eq(closes, 1);
}

START_TEST(joins_lines_of_both_streams)
{
	say(RUN_STDOUT, "one\ntw");
	say(RUN_STDERR, "warning");
	say(RUN_STDOUT, "o\nthree");
	say(RUN_STDERR, ": late\n");
	say(RUN_STDOUT, " and more");
	close_and_run();
	ck_assert_str_eq(buf_str(&stored), "one\ntwo\nwarning: late\nthree and more");
	ck_assert_int_eq(chunks, 1);
}
END_TEST

START_TEST(unfinished_lines_of_two_streams_stay_apart)
{
	say(RUN_STDOUT, "progress 10%");
	say(RUN_STDERR, "oops");
	close_and_run();
	ck_assert_str_eq(buf_str(&stored), "progress 10%\noops");
}
END_TEST

static int64_t written, most_written;

static void when_stored(void *arg)
{
	(void)arg;
	if (stored.len)
		loop_stop(loop);
}

START_TEST(sends_before_the_end)
{
	later = loop_timer_create(loop, "poll", when_stored, NULL);
	loop_timer_every(later, 5);
	say(RUN_STDOUT, "working"); /* no end of line: sent all the same */
	loop_run(loop);
	loop_timer_disarm(later);
	ck_assert_str_eq(buf_str(&stored), "working");
	say(RUN_STDOUT, " on\n");
	close_and_run();
	ck_assert_str_eq(buf_str(&stored), "working on\n");
}
END_TEST

START_TEST(notes_are_lines_of_their_own)
{
	say(RUN_STDERR, "half a line");
	tasklog_note(tasklog, "stopped");
	say(RUN_STDOUT, "whole\n");
	tasklog_note(tasklog, "again");
	close_and_run();
	ck_assert_str_eq(buf_str(&stored), "half a line\n[stopped]\nwhole\n[again]\n");
}
END_TEST

START_TEST(nothing_said_nothing_sent)
{
	close_and_run();
	ck_assert_int_eq(chunks, 0);
}
END_TEST

START_TEST(large_logs_arrive_whole)
{
	LOOM_CLEANUP_STR char *big = loom_malloc(200001);

	for (int i = 0; i < 200000; i++)
		big[i] = (char)(i % 100 == 99 ? '\n' : 'a' + i % 26);
	big[200000] = '\0';
	say(RUN_STDOUT, big);
	close_and_run();
	ck_assert(str_eq(buf_str(&stored), big));
	ck_assert_int_ge(chunks, 200000 / (int)TASKLOG_CHUNK);
}
END_TEST

START_TEST(chunks_of_unknown_fate_are_sent_again)
{
	static const int trouble[] = { 503, 500, 403, 429, 0 };

	answers = trouble;
	lose_answers = true; /* the server has them; its answer says otherwise */
	say(RUN_STDOUT, "once\n");
	close_and_run();
	ck_assert_str_eq(buf_str(&stored), "once\n");
	ck_assert_int_eq(chunks, 5);
}
END_TEST

START_TEST(a_refusal_ends_it)
{
	static const int refusal[] = { 417, 0 };

	answers = refusal;
	say(RUN_STDOUT, "stale\n");
	close_and_run();
	ck_assert_int_eq(chunks, 1);
	say(RUN_STDOUT, "more\n"); /* dropped */
	tasklog_close(tasklog, 20000, on_closed, NULL);
	loop_run(loop);
	ck_assert_int_eq(closes, 2);
	ck_assert_int_eq(chunks, 1);
	ck_assert_str_eq(buf_str(&stored), "");
}
END_TEST

START_TEST(bounded_while_the_server_is_away)
{
	LOOM_CLEANUP_STR char *line = loom_malloc(1001);
	int port = http_server_port(server);

	/* Nobody listens here. */
	tasklog_destroy(tasklog);
	wire_destroy(wire);
	connect_to(1);
	memset(line, 'x', 1000);
	line[999] = '\n';
	line[1000] = '\0';
	for (int i = 0; i < 2000; i++)
		say(RUN_STDOUT, line);
	say(RUN_STDOUT, "the end\n");
	stop_at_close = true;
	tasklog_close(tasklog, 300, on_closed, NULL); /* gives up waiting, not the log */
	loop_run(loop);
	ck_assert_int_eq(closes, 1);
	ck_assert_int_eq(chunks, 0);
	/* A server that comes back gets the rest: the same bytes with another server. */
	tasklog_destroy(tasklog);
	wire_destroy(wire);
	connect_to(port);
	for (int i = 0; i < 2000; i++)
		say(RUN_STDOUT, line);
	say(RUN_STDOUT, "the end\n");
	closes = 0;
	close_and_run();
	/* What came first and what came last, and how much is missing in between. */
	ck_assert_uint_le(stored.len, TASKLOG_PENDING + 100);
	ck_assert_int_eq(end, 2000 * 1000 + 8);
	ck_assert_int_ge(lost, 2000 * 1000 - (int64_t)TASKLOG_PENDING);
	ck_assert(str_starts(buf_str(&stored), "xx"));
	ck_assert_ptr_nonnull(strstr(buf_str(&stored), " missing]\nxx"));
	ck_assert(str_ends(buf_str(&stored), "x\nthe end\n"));
}
END_TEST

/* A flood of one line, which has no place to cut but between its characters. */
START_TEST(what_is_dropped_ends_between_characters)
{
	LOOM_CLEANUP_STR char *euros = loom_malloc(900002);
	euros[0] = 'a';
	for (int i = 0; i < 300000; i++)
		memcpy(euros + 1 + (ptrdiff_t)3 * i, "\xE2\x82\xAC", 3);
	euros[900001] = '\0';
	say(RUN_STDOUT, euros);
	close_and_run();
	ck_assert_int_gt(lost, 0);
	ck_assert_int_eq(end, 900001);
	ck_assert_ptr_null(strstr(buf_str(&stored), R));
}
END_TEST

static void flood(void *arg)
{
	LOOM_CLEANUP_STR char *line = loom_malloc(1001);
	(void)arg;
	memset(line, 'f', 1000);
	line[1000] = '\0';
	line[999] = '\n';
	for (int i = 0; i < 60; i++)
		say(RUN_STDOUT, line);
	written += 60000;
	if (written >= most_written)
		loop_stop(loop);
}

/* Ten MB a second for a while: what is beyond the head is not sent but for a chunk a second, and
 * the end comes whole. */
START_TEST(a_flood_is_not_sent)
{
	most_written = 12000000;
	later = loop_timer_create(loop, "flood", flood, NULL);
	loop_timer_every(later, 6);
	loop_run(loop);
	loop_timer_disarm(later);
	say(RUN_STDERR, "FATAL: the reason\n");
	close_and_run();
	ck_assert_int_eq(end, written + 18);
	ck_assert(str_starts(buf_str(&stored), "ffff"));
	ck_assert(str_ends(buf_str(&stored), "f\nFATAL: the reason\n"));
	ck_assert_uint_le(stored.len, TASKLOG_UNPACED + 2 * TASKLOG_PENDING + 20 * TASKLOG_CHUNK);
}
END_TEST

int main(void)
{
	TCase *pure = tcase_create("clean"), *tc = tcase_create("send");
	tcase_add_loop_test(pure, cleans, 0, (int)LOOM_COUNT(cleanings));
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, joins_lines_of_both_streams);
	tcase_add_test(tc, unfinished_lines_of_two_streams_stay_apart);
	tcase_add_test(tc, sends_before_the_end);
	tcase_add_test(tc, notes_are_lines_of_their_own);
	tcase_add_test(tc, nothing_said_nothing_sent);
	tcase_add_test(tc, large_logs_arrive_whole);
	tcase_add_test(tc, chunks_of_unknown_fate_are_sent_again);
	tcase_add_test(tc, a_refusal_ends_it);
	tcase_add_test(tc, bounded_while_the_server_is_away);
	tcase_add_test(tc, what_is_dropped_ends_between_characters);
	tcase_add_test(tc, a_flood_is_not_sent);
	return UNIT_RUN("provisioner_tasklog", pure, tc);
}
