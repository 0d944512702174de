/* SPDX-License-Identifier: Apache-2.0 */
/* Events into a view, and a view into text. */
#include "tests/unit/view_case.h"

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
	tcase_add_loop_test(tc, knows_nodes_by_their_hosts, 0, LOOM_COUNT(hosts));
	tcase_add_test(tc, says_how_it_stands);
	TCase *parser = tcase_create("stream");
	tcase_add_loop_test(parser, parses_streams_however_they_are_cut, 1, 20);
	return UNIT_RUN("cli_view", tc, parser);
}
