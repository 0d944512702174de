/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of a cluster, and its events as lines. */
#include "tests/unit/view_case.h"

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

int main(void)
{
	TCase *tc = tcase_create("frames");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, draws_a_frame);
	tcase_add_test(tc, tells_of_pauses_leases_and_templates);
	tcase_add_test(tc, draws_in_colour_and_utf8);
	tcase_add_test(tc, shows_failures_harmlessly);
	tcase_add_test(tc, fits_many_nodes_into_few_lines);
	tcase_add_test(tc, says_events_as_lines);
	tcase_add_loop_test(tc, writes_spans, 0, LOOM_COUNT(spans));
	return UNIT_RUN("cli_frames", tc);
}
