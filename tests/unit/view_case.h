/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_case - a view of a cluster, fed with events.
 */
#ifndef TESTS_VIEW_CASE_H
#define TESTS_VIEW_CASE_H

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

#endif
