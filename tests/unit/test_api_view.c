/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/cluster/view.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static char no_service[1];

static struct task task(int64_t num, const char *name, int64_t stage, enum task_state state)
{
	struct task t = { .cluster_id = 12,
		          .job_num = 3,
		          .num = num,
		          .node_num = 1000,
		          .stage = stage,
		          .state = state,
		          .service = no_service,
		          .attempt = 1 };
	snprintf(t.name, sizeof(t.name), "%s", name);
	snprintf(t.node_id, sizeof(t.node_id), "node-1");
	return t;
}

static const struct job job = { .cluster_id = 12,
	                        .num = 3,
	                        .action = "cluster_create",
	                        .status = JOB_RUNNING,
	                        .tasks_total = 4,
	                        .tasks_done = 1 };

/* "id,id|id": tasks of the stages, by the end of their ids. */
static char *stages_text(const struct json *plan)
{
	char *text = loom_strdup("");
	const struct json *stages = json_get(plan, "stages");
	for (size_t i = 0; i < json_len(stages); i++)
		for (size_t k = 0; k < json_len(json_at(stages, i)) || !k; k++) {
			const char *id = json_get_str(json_at(json_at(stages, i), k), "id");
			char *more = loom_asprintf("%s%s%s", text,
			                           k   ? ","
			                           : i ? "|"
			                               : "",
			                           id ? id + 13 : "-");
			loom_free(text);
			text = more;
		}
	return text;
}

static const struct {
	enum task_state states[4]; /* of tasks 1 and 2 in stage 0, 3 in stage 1, 4 in stage 2 */
	int64_t current;
} plans[] = {
	{ { TASK_READY, TASK_BLOCKED, TASK_BLOCKED, TASK_BLOCKED }, 0 },
	{ { TASK_COMPLETE, TASK_RUNNING, TASK_RUNNING, TASK_BLOCKED }, 0 },
	{ { TASK_COMPLETE, TASK_COMPLETE, TASK_RUNNING, TASK_BLOCKED }, 1 },
	{ { TASK_COMPLETE, TASK_COMPLETE, TASK_COMPLETE, TASK_READY }, 2 },
	{ { TASK_COMPLETE, TASK_COMPLETE, TASK_COMPLETE, TASK_COMPLETE }, 2 },
	{ { TASK_COMPLETE, TASK_FAILED, TASK_DROPPED, TASK_DROPPED }, 2 },
};

START_TEST(plan_shows_stages)
{
	const enum task_state *st = plans[_i].states;
	struct task v[] = { task(1, "CREATE", 0, st[0]), task(2, "CREATE", 0, st[1]),
		            task(3, "CONFIRM", 1, st[2]), task(4, "BOOTSTRAP", 2, st[3]) };
	struct tasks ts = { v, LOOM_COUNT(v) };
	LOOM_CLEANUP(json_free) struct json *p = view_plan(&job, &ts);
	LOOM_CLEANUP_STR char *text = stages_text(p);
	ck_assert_str_eq(text, "001,002|003|004");
	ck_assert_str_eq(json_get_str(p, "id"), "00000012-003");
	ck_assert_str_eq(json_get_str(p, "clusterId"), "00000012");
	ck_assert_str_eq(json_get_str(p, "action"), "CLUSTER_CREATE");
	ck_assert_int_eq(json_get_int(p, "currentStage", -1), plans[_i].current);
	ck_assert_str_eq(json_get_str(json_path(p, "stages/1/0"), "taskName"), "CONFIRM");
	ck_assert_str_eq(json_get_str(json_path(p, "stages/1/0"), "service"), "");
	ck_assert_str_eq(json_get_str(json_path(p, "stages/1/0"), "nodeId"), "node-1");
}
END_TEST

START_TEST(plan_without_tasks)
{
	struct tasks none = { NULL, 0 };
	LOOM_CLEANUP(json_free) struct json *p = view_plan(&job, &none);
	ck_assert_uint_eq(json_len(json_get(p, "stages")), 0);
	ck_assert(json_is(json_get(p, "stages"), JSON_ARRAY));
	ck_assert_int_eq(json_get_int(p, "currentStage", -1), 0);
}
END_TEST

START_TEST(status_shows_progress)
{
	struct cluster c = { .id = 12, .status = CLUSTER_PENDING };
	LOOM_CLEANUP(json_free) struct json *s = view_status(&c, &job);
	LOOM_CLEANUP_STR char *text = json_text(s);
	ck_assert_str_eq(text, "{\"action\":\"cluster_create\",\"actionstatus\":\"running\","
	                       "\"stepstotal\":4,\"stepscompleted\":1,\"clusterid\":\"00000012\","
	                       "\"status\":\"pending\"}");
}
END_TEST

/* Details of a cluster with one node and these tasks and failures. */
static struct json *details(struct task *v, size_t n, const struct failure *f, size_t n_f)
{
	char tenant[] = "t", owner[] = "ann", name[] = "demo", host[] = "demo12-1000.local";
	struct cluster c = { .id = 12,
		             .tenant_id = tenant,
		             .owner_id = owner,
		             .name = name,
		             .description = no_service,
		             .status = CLUSTER_PENDING,
		             .event_seq = 9 };
	c.template = json_new_obj();
	c.provider = json_new_obj();
	c.config = json_new_obj();
	c.services = json_push(json_new_arr(), json_new_str("web"));
	c.service_docs =
		json_set(json_new_obj(), "web",
	                 json_set_int(json_set_str(json_new_obj(), "name", "web"), "version", 2));
	struct node node = { .id = "node-1", .num = 1000, .hostname = host };
	node.services = json_push(json_copy(c.services), json_new_str("gone"));
	node.automators = json_new_arr();
	node.ipaddresses = json_new_obj();
	node.results = json_set_str(json_new_obj(), "providerid", "i-5");
	struct nodes nodes = { &node, 1 };
	struct tasks ts = { v, n };
	struct view view = { &c, &job, &nodes, &ts, f, n_f };
	struct json *d = view_details(&view);
	struct json *owned[] = { c.template,      c.provider,       c.config,
		                 c.services,      c.service_docs,   node.services,
		                 node.automators, node.ipaddresses, node.results };
	for (size_t i = 0; i < LOOM_COUNT(owned); i++)
		json_free(owned[i]);
	return d;
}

START_TEST(details_show_the_attempts_of_a_node)
{
	struct task v[] = { task(1, "CREATE", 0, TASK_COMPLETE),
		            task(2, "CONFIRM", 1, TASK_RUNNING),
		            task(3, "BOOTSTRAP", 2, TASK_BLOCKED),
		            task(4, "INSTALL", 3, TASK_DROPPED),
		            task(5, "CREATE", 0, TASK_COMPLETE) };
	v[0].submit_time = 400;
	v[0].status_time = 500;
	v[1].submit_time = 900;
	snprintf(v[4].node_id, sizeof(v[4].node_id), "node-2");
	const struct failure f[] = {
		{ .job = 3,
		  .task = 1,
		  .attempt = 1,
		  .submit_time = 100,
		  .status_time = 200,
		  .stdout_ = "o" },
		{ .job = 3,
		  .task = 2,
		  .attempt = 1,
		  .submit_time = 600,
		  .status_time = 700,
		  .stderr_ = "e" },
		{ .job = 2, .task = 1, .attempt = 1, .submit_time = 50, .status_time = 60 },
	};
	LOOM_CLEANUP(json_free) struct json *d = details(v, LOOM_COUNT(v), f, LOOM_COUNT(f));
	LOOM_CLEANUP_STR char *text = json_text(json_path(d, "nodes/0/actions"));
	ck_assert_str_eq(
		text,
		"[{\"taskId\":\"00000012-003-001\",\"service\":\"\",\"action\":\"CREATE\","
		"\"submitTime\":100,\"statusTime\":200,\"status\":\"failed\",\"stdout\":\"o\"},"
		"{\"taskId\":\"00000012-003-001\",\"service\":\"\",\"action\":\"CREATE\","
		"\"submitTime\":400,\"statusTime\":500,\"status\":\"complete\"},"
		"{\"taskId\":\"00000012-003-002\",\"service\":\"\",\"action\":\"CONFIRM\","
		"\"submitTime\":600,\"statusTime\":700,\"status\":\"failed\",\"stderr\":\"e\"},"
		"{\"taskId\":\"00000012-003-002\",\"service\":\"\",\"action\":\"CONFIRM\","
		"\"submitTime\":900,\"statusTime\":0,\"status\":\"in_progress\"}]");
}
END_TEST

START_TEST(details_show_the_node)
{
	LOOM_CLEANUP(json_free) struct json *d = details(NULL, 0, NULL, 0);
	const struct json *n = json_path(d, "nodes/0");
	ck_assert_str_eq(json_get_str(n, "clusterId"), "00000012");
	ck_assert_str_eq(json_get_str(json_get(n, "provisionerResults"), "providerid"), "i-5");
	ck_assert_int_eq(json_get_int(json_path(n, "services/0"), "version", 0), 2);
	ck_assert_str_eq(json_get_str(json_path(n, "services/1"), "name"), "gone");
	ck_assert_str_eq(json_get_str(json_get(d, "account"), "tenantId"), "t");
	ck_assert_str_eq(json_get_str(d, "latestJobId"), "00000012-003");
	ck_assert_int_eq(json_get_int(d, "lastEvent", 0), 9);
	ck_assert_ptr_null(json_get(d, "message"));
}
END_TEST

START_TEST(details_show_at_most_200_attempts_the_latest)
{
	struct failure f[250];
	struct task v[] = { task(1, "CREATE", 0, TASK_READY) };
	for (int i = 0; i < 250; i++)
		f[i] = (struct failure){
			.job = 3, .task = 1, .attempt = i + 1, .submit_time = 1000 + i
		};
	LOOM_CLEANUP(json_free) struct json *d = details(v, 1, f, LOOM_COUNT(f));
	const struct json *a = json_path(d, "nodes/0/actions");
	ck_assert_uint_eq(json_len(a), 200);
	ck_assert_int_eq(json_get_int(json_at(a, 0), "submitTime", 0), 1050);
	ck_assert_int_eq(json_get_int(json_at(a, 199), "submitTime", 0), 1249);
}
END_TEST

/* What looks at each attempt for each node does not come to its end within the test's time. */
START_TEST(details_of_a_large_cluster)
{
	enum { NODES = 1000, TASKS = 10 * NODES, FAILURES = 3 * TASKS };
	struct task *v = loom_calloc(TASKS, sizeof(*v));
	struct failure *f = loom_calloc(FAILURES, sizeof(*f));
	struct node *n = loom_calloc(NODES, sizeof(*n));
	struct cluster c = { .id = 12, .status = CLUSTER_PENDING };
	for (int i = 0; i < NODES; i++) {
		n[i].num = 1000 + i;
		snprintf(n[i].id, sizeof(n[i].id), "node-%d", i);
	}
	for (int i = 0; i < TASKS; i++) {
		v[i] = task(i + 1, "INSTALL", 0, TASK_COMPLETE);
		v[i].submit_time = 100;
		snprintf(v[i].node_id, sizeof(v[i].node_id), "node-%d", i % NODES);
	}
	for (int i = 0; i < FAILURES; i++)
		f[i] = (struct failure){ .job = 3,
			                 .task = i % TASKS + 1,
			                 .submit_time = i / TASKS };
	struct nodes nodes = { n, NODES };
	struct tasks ts = { v, TASKS };
	struct view view = { &c, &job, &nodes, &ts, f, FAILURES };
	LOOM_CLEANUP(json_free) struct json *all = view_nodes(&view);
	for (int i = 0; i < NODES; i++) {
		const struct json *a = json_get(json_at(all, (size_t)i), "actions");
		ck_assert_uint_eq(json_len(a), 40);
		ck_assert_str_eq(json_get_str(json_at(a, 29), "status"), "failed");
		ck_assert_str_eq(json_get_str(json_at(a, 30), "status"), "complete");
	}
	loom_free(v);
	loom_free(f);
	loom_free(n);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("view");
	tcase_add_loop_test(c, plan_shows_stages, 0, LOOM_COUNT(plans));
	tcase_add_test(c, plan_without_tasks);
	tcase_add_test(c, status_shows_progress);
	tcase_add_test(c, details_show_the_attempts_of_a_node);
	tcase_add_test(c, details_show_the_node);
	tcase_add_test(c, details_show_at_most_200_attempts_the_latest);
	tcase_add_test(c, details_of_a_large_cluster);
	return UNIT_RUN("api_view", c);
}
