/* SPDX-License-Identifier: Apache-2.0 */
/* Events into a view, and a view into text. */
#include "services/cli/hosts.h"
#include "services/cli/render.h"
#include "services/cli/sse_parse.h"
#include "services/cli/view.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct view v;
static int64_t seq;
static struct buf lines;
static struct render r;

static void setup(void)
{
	view_init(&v);
	seq = 0;
	lines = BUF_INIT(1 << 20);
	r = (struct render){ .width = 80, .height = 24, .id = "00000001", .name = "hello" };
	ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
}

static void teardown(void)
{
	view_fini(&v);
	buf_fini(&lines);
}

static void numbered(int64_t id, const char *type, const char *data)
{
	LOOM_CLEANUP(json_free) struct json *j = NULL;
	struct loom_err err = { 0 };
	struct view_change c;
	ck_assert_msg(json_parse_str(data, &j, &err) == 0, "%s: %s", data, err.msg);
	view_apply(&v, id, type, j, &c);
	render_change(&r, &c, &lines);
	view_change_fini(&c);
}

static void event(const char *type, const char *data)
{
	numbered(++seq, type, data);
}

/* A cluster of two machines, its plan just made; times are ms, the clock starts at 1000 s. */
static void planned(void)
{
	event("cluster", "{\"time\":1000000,\"status\":\"pending\"}");
	event("job",
	      "{\"time\":1000000,\"jobId\":\"j1\",\"action\":\"solve_layout\",\"status\":\"not_"
	      "submitted\",\"stepstotal\":0,\"stepscompleted\":0}");
	event("job",
	      "{\"time\":1000100,\"jobId\":\"j1\",\"action\":\"solve_layout\",\"status\":\"complete\"}");
	event("job",
	      "{\"time\":1000100,\"jobId\":\"j2\",\"action\":\"cluster_create\",\"status\":\"running\","
	      "\"stepstotal\":4,\"stepscompleted\":0}");
	event("plan",
	      "{\"time\":1000100,\"jobId\":\"j2\",\"action\":\"cluster_create\",\"nodes\":["
	      "{\"nodeId\":\"b\",\"nodenum\":1001,\"hostname\":\"hello1-1001.local\"},"
	      "{\"nodeId\":\"a\",\"nodenum\":1000,\"hostname\":\"hello1-1000.local\"}],\"tasks\":["
	      "{\"taskId\":\"t1\",\"taskName\":\"CREATE\",\"nodeId\":\"a\",\"service\":\"\"},"
	      "{\"taskId\":\"t2\",\"taskName\":\"CREATE\",\"nodeId\":\"b\",\"service\":\"\"},"
	      "{\"taskId\":\"t3\",\"taskName\":\"INSTALL\",\"nodeId\":\"a\",\"service\":\"web\"},"
	      "{\"taskId\":\"t4\",\"taskName\":\"INSTALL\",\"nodeId\":\"b\",\"service\":\"web\"}]}");
}

static void task(int64_t time, const char *id, const char *state, int attempt, const char *more)
{
	LOOM_CLEANUP_STR char *data =
		loom_asprintf("{\"time\":%lld,\"taskId\":\"%s\",\"state\":\"%s\",\"attempt\":%d%s}",
	                      (long long)time, id, state, attempt, more);
	event("task", data);
}

static void check_frame(int64_t now, const char *want)
{
	struct buf b = BUF_INIT(1 << 20);
	int n = render_frame(&r, &v, now, &b), count = 0;
	for (const char *s = buf_str(&b); (s = strchr(s, '\n')); s++)
		count++;
	ck_assert_str_eq(buf_str(&b), want);
	ck_assert_int_eq(n, count);
	buf_fini(&b);
}

START_TEST(follows_a_replacement)
{
	planned();
	task(1001000, "t1", "running", 1, "");
	task(1002000, "t1", "retry", 1, ",\"message\":\"no\"");
	event("replace", "{\"time\":1002000,\"jobId\":\"j2\",\"nodeId\":\"a\",\"nodenum\":1000,"
	                 "\"hostname\":\"hello1-1000.local\",\"message\":\"no\",\"by\":{\"nodeId\":"
	                 "\"c\",\"nodenum\":1002,\"hostname\":\"hello1-1002.local\"},"
	                 "\"moved\":[\"t1\",\"t3\",\"nonsense\",5]}");
	event("plan",
	      "{\"time\":1002000,\"jobId\":\"j2\",\"action\":\"cluster_create\",\"nodes\":[],"
	      "\"tasks\":[{\"taskId\":\"t5\",\"taskName\":\"DELETE\",\"nodeId\":\"a\","
	      "\"service\":\"\"}]}");
	ck_assert_uint_eq(v.n_nodes, 3);
	ck_assert_str_eq(v.nodes[2]->id, "c");
	ck_assert_uint_eq(v.nodes[0]->total, 1);
	ck_assert_uint_eq(v.nodes[2]->total, 2);
	task(1003000, "t1", "running", 2, "");
	ck_assert_str_eq(v.nodes[2]->now->id, "t1");
	ck_assert_ptr_null(v.nodes[0]->now);
	ck_assert_ptr_nonnull(strstr(buf_str(&lines), "replaced by hello1-1002"));
	ck_assert_ptr_nonnull(strstr(buf_str(&lines), "1 tasks more"));
	event("replace", "{\"time\":1003000}");
	ck_assert_uint_eq(v.n_nodes, 3);
}
END_TEST

START_TEST(follows_a_create)
{
	planned();
	ck_assert_str_eq(v.status, "pending");
	ck_assert_uint_eq(v.n_nodes, 2);
	ck_assert_str_eq(v.nodes[0]->id, "a"); /* by number */
	ck_assert_uint_eq(view_total(&v), 4);
	task(1001000, "t1", "running", 1, "");
	ck_assert(v.nodes[0]->now->state == VIEW_RUNNING);
	task(1003500, "t1", "complete", 1, "");
	ck_assert_int_eq(v.nodes[0]->now->took, 2500);
	ck_assert_uint_eq(view_done(&v), 1);
	event("node",
	      "{\"time\":1003500,\"nodeId\":\"a\",\"nodenum\":1000,\"hostname\":\"hello1-1000."
	      "local\",\"ipaddresses\":{\"access_v4\":\"10.1.0.2\"}}");
	ck_assert_str_eq(v.nodes[0]->address, "10.1.0.2");
	task(1003600, "t2", "complete", 1, "");
	task(1004000, "t3", "complete", 1, "");
	task(1005000, "t4", "complete", 1, "");
	ck_assert(!view_at_rest(&v));
	event("job", "{\"time\":1005000,\"jobId\":\"j2\",\"status\":\"complete\",\"stepstotal\":4,"
	             "\"stepscompleted\":4}");
	ck_assert(!view_at_rest(&v));
	event("cluster", "{\"time\":1005000,\"status\":\"active\"}");
	ck_assert(view_at_rest(&v) && view_succeeded(&v));
	ck_assert_int_eq(v.started, 1000000);
	ck_assert_int_eq(v.ended, 1005000);
}
END_TEST

START_TEST(knows_events_it_has_seen)
{
	planned();
	task(1001000, "t1", "complete", 1, "");
	numbered(seq, "task", "{\"taskId\":\"t1\",\"state\":\"running\",\"time\":1}");
	numbered(1, "cluster", "{\"status\":\"terminated\",\"time\":2}");
	ck_assert_uint_eq(view_done(&v), 1);
	ck_assert_str_eq(v.status, "pending");
	ck_assert_int_eq(v.seq, seq);
}
END_TEST

START_TEST(a_new_job_starts_afresh)
{
	planned();
	task(1001000, "t1", "complete", 1, "");
	event("cluster", "{\"time\":1005000,\"status\":\"incomplete\"}");
	event("cluster", "{\"time\":2000000,\"status\":\"pending\"}");
	event("job",
	      "{\"time\":2000000,\"jobId\":\"j3\",\"action\":\"cluster_delete\",\"status\":\"running\"}");
	event("plan",
	      "{\"time\":2000000,\"jobId\":\"j3\",\"action\":\"cluster_delete\",\"nodes\":[],\"tasks\":"
	      "[{\"taskId\":\"t5\",\"taskName\":\"DELETE\",\"nodeId\":\"a\"}]}");
	ck_assert_uint_eq(view_total(&v), 1);
	ck_assert_uint_eq(view_done(&v), 0);
	ck_assert_int_eq(v.started, 2000000);
	ck_assert_int_eq(v.ended, 0);
	task(2000100, "t5", "complete", 1, "");
	event("job", "{\"time\":2001000,\"jobId\":\"j3\",\"status\":\"complete\"}");
	event("cluster", "{\"time\":2001000,\"status\":\"terminated\"}");
	ck_assert(view_at_rest(&v) && view_succeeded(&v));
}
END_TEST

START_TEST(a_failed_layout_is_no_success)
{
	event("cluster", "{\"time\":1000,\"status\":\"pending\"}");
	event("job",
	      "{\"time\":1000,\"jobId\":\"j1\",\"action\":\"solve_layout\",\"status\":\"failed\","
	      "\"message\":\"no room for web\"}");
	event("cluster",
	      "{\"time\":1000,\"status\":\"terminated\",\"message\":\"no room for web\"}");
	ck_assert(view_at_rest(&v) && !view_succeeded(&v));
	struct buf b = BUF_INIT(4096);
	render_end(&r, &v, &b);
	ck_assert_str_eq(buf_str(&b),
	                 "hello (00000001) is terminated after 0.0 s: no room for web\n");
	buf_fini(&b);
}
END_TEST

START_TEST(says_how_many_nodes_are_left)
{
	struct buf b = BUF_INIT(4096);
	event("plan",
	      "{\"time\":2000000,\"jobId\":\"j3\",\"action\":\"shrink_cluster\",\"nodes\":["
	      "{\"nodeId\":\"a\",\"nodenum\":1000},{\"nodeId\":\"b\",\"nodenum\":1001}],\"tasks\":"
	      "[{\"taskId\":\"t5\",\"taskName\":\"DELETE\",\"nodeId\":\"b\"}]}");
	task(2000100, "t5", "complete", 1, "");
	event("job", "{\"time\":2001000,\"jobId\":\"j3\",\"status\":\"complete\"}");
	event("cluster", "{\"time\":2001000,\"status\":\"active\"}");
	render_end(&r, &v, &b);
	ck_assert_str_eq(buf_str(&b),
	                 "hello (00000001) is active after 1.0 s: 1 node, 1 removed, 1 task\n");
	buf_fini(&b);
}
END_TEST

START_TEST(retries_add_tasks)
{
	planned();
	task(1001000, "t1", "running", 1, "");
	task(1002000, "t1", "retry", 1, ",\"message\":\"boom\",\"retryAt\":1004000");
	ck_assert_uint_eq(v.n_failures, 1);
	ck_assert(!v.failures[0].last);
	event("plan",
	      "{\"time\":1002000,\"jobId\":\"j2\",\"tasks\":[{\"taskId\":\"t9\",\"taskName\":\"DELETE\","
	      "\"nodeId\":\"a\"}]}");
	ck_assert_uint_eq(view_total(&v), 5);
	ck_assert_uint_eq(v.nodes[0]->total, 3);
	task(1003000, "t9", "dropped", 0, "");
	ck_assert_uint_eq(v.nodes[0]->dropped, 1);
	for (int i = 0; i < 2 * VIEW_FAILURES; i++)
		task(1004000, "t3", "failed", i, ",\"message\":\"no\"");
	ck_assert_uint_eq(v.n_failures, VIEW_FAILURES);
	ck_assert_str_eq(view_last_failure(&v)->task, "t3");
}
END_TEST

START_TEST(survives_odd_events)
{
	event("task", "{}");
	event("task", "{\"taskId\":\"x\",\"state\":\"unheard-of\",\"nodeId\":\"n\"}");
	event("node", "{\"nodeId\":7,\"ipaddresses\":[]}");
	event("plan", "{\"nodes\":{},\"tasks\":[1,null,[]]}");
	event("job", "[]");
	event("cluster", "null");
	event("nonsense", "{\"time\":5}");
	numbered(-1, "cluster", "{\"status\":\"active\"}");
	check_frame(
		10,
		"hello  00000001  active                                                   0.0 s\n"
		"[..................................................................]    0%  0/1\n"
		"  +\n"
		"  -   stopped                                                               0/1\n");
}
END_TEST

/* ---- frames ---------------------------------------------------------------------------------- */

START_TEST(draws_a_frame)
{
	planned();
	event("node",
	      "{\"time\":1000200,\"nodeId\":\"a\",\"ipaddresses\":{\"access_v4\":\"10.1.0.2\"}}");
	task(1001000, "t1", "complete", 1, "");
	task(1001000, "t3", "running", 2, "");
	task(1002000, "t2", "ready", 0, "");
	check_frame(
		1003200,
		"hello  00000001  creating                                                 3.2 s\n"
		"[################..................................................]   25%  1/4\n"
		"  * hello1-1000  10.1.0.2  install web, attempt 2                  2.2 s    1/2\n"
		"  o hello1-1001            create, wants a worker                           0/2\n");
	r.width = 50;
	check_frame(1003200, "hello  00000001  creating                   3.2 s\n"
	                     "[#########...........................]   25%  1/4\n"
	                     "  * hello1-1000  install web, atte   2.2 s    1/2\n"
	                     "  o hello1-1001  create, wants a w            0/2\n");
	r.width = 30;
	check_frame(1003200, "hello  00000001  creating\n"
	                     "[####............]   25%  1/4\n"
	                     "  * hello1-1000  install web,\n"
	                     "  o hello1-1001  create, want\n");
}
END_TEST

START_TEST(tells_of_pauses_leases_and_templates)
{
	planned();
	buf_reset(&lines);
	event("job", "{\"time\":1001000,\"jobId\":\"j2\",\"action\":\"expand_cluster\",\"status\":"
	             "\"paused\",\"message\":\"Paused by user ann.\"}");
	event("lease", "{\"time\":1001000,\"expireTime\":1896112800000}");
	event("lease", "{\"time\":1001000,\"expireTime\":1896112800000,\"warning\":true}");
	event("lease", "{\"time\":1001000,\"expireTime\":1896112800000,\"expired\":true}");
	event("template", "{\"time\":1001000,\"template\":\"web\",\"version\":2}");
	const char *text = buf_str(&lines);
	ck_assert_msg(strstr(text, "paused: Paused by user ann.") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "lease ends at 2030-01-31T18:00:00Z") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "lease nearly over") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "lease over since") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "follows version 2 of template web") != NULL, "%s", text);
	ck_assert_str_eq(view_doing(&v), "adding nodes");
	buf_reset(&lines);
	render_frame(&r, &v, 1001000, &lines);
	ck_assert_msg(strstr(buf_str(&lines), "  paused  ") != NULL, "%s", buf_str(&lines));
}
END_TEST

START_TEST(draws_in_colour_and_utf8)
{
	planned();
	r.utf8 = r.color = true;
	r.width = 40;
	task(1001000, "t1", "running", 1, "");
	struct buf b = BUF_INIT(65536);
	render_frame(&r, &v, 1001000, &b);
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "\033[1mhello\033[0m"));
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "\033[36m●\033[0m hello1-1000"));
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "░"));
	buf_fini(&b);
}
END_TEST

START_TEST(shows_failures_harmlessly)
{
	planned();
	task(1001000, "t1", "running", 1, "");
	task(1002000, "t1", "failed", 3, ",\"message\":\"bad\\u001b[2J\\n\\u00fc end\"");
	r.width = 70;
	check_frame(1003000,
	            "hello  00000001  creating                                       3.0 s\n"
	            "[........................................................]    0%  0/4\n"
	            "  x hello1-1000  create failed                                    0/2\n"
	            "  - hello1-1001  waiting                                          0/2\n"
	            "  failed: create on hello1-1000, attempt 3: bad [2J ? end\n");
	event("job",
	      "{\"time\":1003000,\"jobId\":\"j2\",\"status\":\"failed\",\"message\":\"create failed\"}");
	event("cluster",
	      "{\"time\":1003000,\"status\":\"incomplete\",\"message\":\"create failed\"}");
	ck_assert(view_at_rest(&v) && !view_succeeded(&v));
	struct buf b = BUF_INIT(4096);
	render_end(&r, &v, &b);
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "is incomplete after 3.0 s: create failed\n"));
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "loom task log t1 --attempt 3\n"));
	ck_assert_ptr_null(strchr(buf_str(&b), '\033'));
	buf_fini(&b);
}
END_TEST

START_TEST(fits_many_nodes_into_few_lines)
{
	planned();
	for (int i = 0; i < 40; i++) {
		char data[256];
		snprintf(
			data, sizeof(data),
			"{\"time\":1000200,\"jobId\":\"j2\",\"nodes\":[{\"nodeId\":\"n%d\",\"nodenum\":%d,"
			"\"hostname\":\"h%d\"}],\"tasks\":[{\"taskId\":\"x%d\",\"taskName\":\"CREATE\","
			"\"nodeId\":\"n%d\"}]}",
			i, 2000 + i, i, i, i);
		event("plan", data);
	}
	task(1001000, "x30", "running", 1, "");
	for (int i = 0; i < 10; i++) {
		char id[16];
		snprintf(id, sizeof(id), "x%d", i);
		task(1001000, id, "complete", 1, "");
	}
	r.height = 10;
	r.width = 60;
	check_frame(1002000, "hello  00000001  creating                             2.0 s\n"
	                     "[##########..................................]   22%  10/44\n"
	                     "  * h30          create                        1.0 s    0/1\n"
	                     "  - hello1-1000  waiting                                0/2\n"
	                     "  - hello1-1001  waiting                                0/2\n"
	                     "  - h10          waiting                                0/1\n"
	                     "  - h11          waiting                                0/1\n"
	                     "  - h12          waiting                                0/1\n"
	                     "    and 36 more: 26 waiting, 10 done\n");
}
END_TEST

START_TEST(says_events_as_lines)
{
	planned();
	task(1001000, "t1", "ready", 0, "");
	task(1001000, "t1", "running", 1, "");
	task(1003500, "t1", "retry", 1, ",\"message\":\"no\\nroute\"");
	task(1004000, "t1", "running", 2, "");
	task(1005000, "t1", "complete", 2, "");
	task(1005000, "t4", "dropped", 0, "");
	event("node", "{\"time\":1005000,\"nodeId\":\"a\",\"ipaddresses\":{\"x\":\"10.1.0.2\"}}");
	event("cluster", "{\"time\":1006000,\"status\":\"active\"}");
	ck_assert_str_eq(
		buf_str(&lines),
		"00:16:40  cluster         pending\n"
		"00:16:40  solve_layout    complete\n"
		"00:16:40  cluster_create  running\n"
		"00:16:40  cluster_create  planned: 4 tasks on 2 nodes\n"
		"00:16:41  hello1-1000     create: running\n"
		"00:16:43  hello1-1000     create: failed, to be tried again: no route  2.5 s\n"
		"00:16:44  hello1-1000     create: running, attempt 2\n"
		"00:16:45  hello1-1000     create: done  1.0 s\n"
		"00:16:45  hello1-1001     install web: not needed any more\n"
		"00:16:45  hello1-1000     address 10.1.0.2\n"
		"00:16:46  cluster         active\n");
}
END_TEST

static const struct {
	int64_t ms;
	const char *want;
} spans[] = {
	{ -5, "0.0 s" },        { 0, "0.0 s" },         { 3249, "3.2 s" }, { 9999, "9.9 s" },
	{ 10000, "10 s" },      { 59999, "59 s" },      { 60000, "1:00" }, { 125000, "2:05" },
	{ 3600000, "1:00:00" }, { 3725000, "1:02:05" },
};

START_TEST(writes_spans)
{
	char out[24];
	render_span(out, spans[_i].ms);
	ck_assert_str_eq(out, spans[_i].want);
}
END_TEST

/* ---- frames of the stream -------------------------------------------------------------------- */

static void note(const struct sse_frame *f, void *arg)
{
	buf_addf(arg, "[%lld %s %s]", (long long)f->id, f->event, f->data);
}

static const char stream[] = ": hb\n\nid: 3\r\nevent: task\r\ndata: {\"a\":1}\r\n\r\n"
			     "data:x\ndata: y\nretry: 5\nodd\n\n"
			     "id: -4\nevent: none\n\nid: 9\ndata:\n\nid: 10\ndata: cut";

START_TEST(parses_streams_however_they_are_cut)
{
	struct sse_parse p;
	struct buf out = BUF_INIT(4096);
	sse_parse_init(&p);
	for (size_t at = 0; at < sizeof(stream) - 1; at += (size_t)_i) {
		size_t n = sizeof(stream) - 1 - at;
		sse_parse_feed(&p, stream + at, n < (size_t)_i ? n : (size_t)_i, note, &out);
	}
	ck_assert_str_eq(buf_str(&out), "[3 task {\"a\":1}][-1 message x\ny][9 message ]");
	sse_parse_reset(&p);
	sse_parse_feed(&p, "data: z\n\n", 9, note, &out);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "[-1 message z]"));
	sse_parse_fini(&p);
	buf_fini(&out);
}
END_TEST

static const char *host_of(const void *arg, int64_t num)
{
	(void)arg;
	return num == 1000 ? "shop3-1000.local" : NULL;
}

static const struct {
	const char *words, *want;
} hosts[] = {
	{ "", "" },
	{ "no nodes", "no nodes" },
	{ "START on node 1000 failed", "START on shop3-1000 failed" },
	{ "a on node 1000 waits for b on node 1001", "a on shop3-1000 waits for b on node 1001" },
	{ "on node ", "on node " },
	{ "on node x on node 10000", "on node x on node 10000" },
};

START_TEST(knows_nodes_by_their_hosts)
{
	LOOM_CLEANUP_STR char *s = hosts_in_words(hosts[_i].words, host_of, NULL);
	ck_assert_str_eq(s, hosts[_i].want);
}
END_TEST

START_TEST(says_how_it_stands)
{
	struct buf b = BUF_INIT(4096);
	planned();
	render_state(&r, &v, &b);
	ck_assert_str_eq(buf_str(&b), "hello (00000001) is pending: creating, 0 of 4 tasks\n");
	buf_fini(&b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("view");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, follows_a_create);
	tcase_add_test(tc, follows_a_replacement);
	tcase_add_test(tc, knows_events_it_has_seen);
	tcase_add_test(tc, a_new_job_starts_afresh);
	tcase_add_test(tc, a_failed_layout_is_no_success);
	tcase_add_test(tc, says_how_many_nodes_are_left);
	tcase_add_test(tc, retries_add_tasks);
	tcase_add_test(tc, survives_odd_events);
	tcase_add_test(tc, draws_a_frame);
	tcase_add_test(tc, tells_of_pauses_leases_and_templates);
	tcase_add_test(tc, draws_in_colour_and_utf8);
	tcase_add_test(tc, shows_failures_harmlessly);
	tcase_add_test(tc, fits_many_nodes_into_few_lines);
	tcase_add_test(tc, says_events_as_lines);
	tcase_add_loop_test(tc, writes_spans, 0, LOOM_COUNT(spans));
	tcase_add_loop_test(tc, knows_nodes_by_their_hosts, 0, LOOM_COUNT(hosts));
	tcase_add_test(tc, says_how_it_stands);
	TCase *parser = tcase_create("stream");
	tcase_add_loop_test(parser, parses_streams_however_they_are_cut, 1, 20);
	return UNIT_RUN("cli_view", tc, parser);
}
