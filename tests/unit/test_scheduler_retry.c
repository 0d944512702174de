/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/plan/retry.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

/* A job of five tasks, 1 -> 2 -> 3 -> 4 and 1 -> 5, one letter each: c complete, f failed, d
 * dropped. */
static const struct {
	const char *states, *skip,
		*want; /* want: "num<after,after;..." of the new plan; NULL: refused */
	const char *only;
} cases[] = {
	{ "ccccc", "[]", "", NULL },
	{ "cfddc", "[]", "1<;2<1;3<2;", NULL },
	{ "cfddd", "[]", "1<;2<1;3<2;4<;", NULL },
	{ "cfddc", "[\"00000007-002-002\"]", "1<;2<1;", NULL },
	{ "fdddd", "[\"00000007-002-002\"]", "1<;2<1;3<2;4<1;", NULL },
	{ "fdddd", "[\"00000007-002-002\",\"00000007-002-003\"]", "1<;2<1;3<1;", NULL },
	{ "cfddc", "[\"00000007-002-001\"]", NULL, NULL },
	{ "cfddc", "[\"00000007-003-002\"]", NULL, NULL },
	{ "cfddc", "[\"00000007-002-099\"]", NULL, NULL },
	{ "cfddc", "[\"nonsense\"]", NULL, NULL },
	{ "cfddc", "[5]", NULL, NULL },
	/* behind the bar: for later */
	{ "fdddd", "[]", "1<;|2<1;3<2;4<3;5<1;", "[\"00000007-002-001\"]" },
	{ "fdddd", "[]", "1<;2<1;3<2;|4<3;5<1;", "[\"00000007-002-003\"]" },
	{ "fdddd", "[]", "1<;2<1;|3<1;4<3;5<4;", "[\"00000007-002-005\"]" },
	{ "cfddd", "[]", "1<;|2<;3<2;4<3;", "[\"00000007-002-005\"]" },
	{ "fdddd", "[]", "1<;2<1;3<1;|4<2;5<4;",
	  "[\"00000007-002-005\",\"00000007-002-002\",\"00000007-002-005\"]" },
	{ "fdddd", "[\"00000007-002-002\"]", "1<;2<1;|3<2;4<1;", "[\"00000007-002-003\"]" },
	{ "fdddd", "[]", "1<;2<1;3<2;4<3;5<1;", "[\"00000007-002-004\",\"00000007-002-005\"]" },
	{ "cfddc", "[]", NULL, "[\"00000007-002-001\"]" },
	{ "cfddc", "[]", NULL, "[\"00000007-002-002\",\"nonsense\"]" },
};

static enum task_state state_of(char c)
{
	return c == 'c' ? TASK_COMPLETE : c == 'f' ? TASK_FAILED : TASK_DROPPED;
}

static void render(const struct plan *p, char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < p->n + p->n_later; i++) {
		if (i == p->n)
			n += (size_t)snprintf(out + n, size - n, "|");
		ck_assert_int_eq(p->tasks[i].num, (int)i + 1);
		n += (size_t)snprintf(out + n, size - n, "%d<", p->tasks[i].num);
		for (size_t k = 0; k < p->tasks[i].n_after; k++)
			n += (size_t)snprintf(out + n, size - n, "%s%d", k ? "," : "",
			                      p->tasks[i].after[k]);
		n += (size_t)snprintf(out + n, size - n, ";");
	}
}

START_TEST(plans_what_is_left)
{
	struct node node = { .id = "node-1", .num = 1000 };
	struct nodes nodes = { &node, 1 };
	struct task v[5];
	for (int i = 0; i < 5; i++) {
		v[i] = (struct task){ .cluster_id = 7,
			              .job_num = 2,
			              .num = i + 1,
			              .node_id = "node-1",
			              .name = "INSTALL",
			              .stage = i,
			              .state = state_of(cases[_i].states[i]) };
	}
	struct tasks tasks = { v, 5 };
	const struct task_edge edges[] = { { 1, 2 }, { 2, 3 }, { 3, 4 }, { 1, 5 } };
	LOOM_CLEANUP(json_free) struct json *skip = NULL;
	LOOM_CLEANUP(json_free) struct json *only = NULL;
	ck_assert_int_eq(json_parse_str(cases[_i].skip, &skip, NULL), 0);
	if (cases[_i].only)
		ck_assert_int_eq(json_parse_str(cases[_i].only, &only, NULL), 0);
	struct retry_input in = { .tasks = &tasks,
		                  .edges = edges,
		                  .n_edges = 4,
		                  .nodes = &nodes,
		                  .skip = skip,
		                  .only = only };
	LOOM_CLEANUP(plan_free) struct plan *p = NULL;
	struct loom_err err;
	int rc = retry_plan(&in, &p, &err);
	ck_assert_int_eq(rc, cases[_i].want ? 0 : 400);
	if (rc)
		return;
	char got[128];
	render(p, got, sizeof(got));
	ck_assert_str_eq(got, cases[_i].want);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("retry");
	tcase_add_loop_test(c, plans_what_is_left, 0, (int)LOOM_COUNT(cases));
	return UNIT_RUN("scheduler_retry", c);
}
