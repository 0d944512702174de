/* SPDX-License-Identifier: Apache-2.0 */
/* How large plans are. */
#include "tests/unit/planner_case.h"

#define ALL I "," C "," Z "," S "," T

/* Services s0 .. each start after the one before, all on all nodes. */
static struct plan *plan_chain(size_t n_nodes, int n_services, bool groups)
{
	LOOM_CLEANUP(buf_fini) struct buf docs = BUF_INIT(100000);
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	struct plan_node *nodes = loom_calloc(n_nodes, sizeof(*nodes));
	struct strs names = { 0 };
	struct plan *p = NULL;
	struct plan_input in = { .action = PLAN_CREATE, .nodes = nodes, .n_nodes = n_nodes };
	buf_addc(&docs, '[');
	for (int i = 0; i < n_services; i++) {
		buf_addf(&docs,
		         "%s{'name':'s%d','provisioner':{'actions':{" ALL "}},'dependencies':{",
		         i ? "," : "", i);
		if (i)
			buf_addf(&docs, NEEDS("'s%d'"), i - 1);
		buf_adds(&docs, "}}");
		strs_addf(&names, "s%d", i);
	}
	buf_addc(&docs, ']');
	v = unit_json(buf_str(&docs));
	/* numbered from the last to the first */
	for (size_t i = 0; i < n_nodes; i++)
		nodes[i] = (struct plan_node){ "n", (int)(2000 - i), &names };
	in.services = v;
	in.groups = groups;
	ck_assert_int_eq(plan_make(&in, &p, NULL), 0);
	for (size_t i = 1; i < p->n; i++) {
		ck_assert(p->tasks[i - 1].stage < p->tasks[i].stage ||
		          nodes[p->tasks[i - 1].node].nodenum < nodes[p->tasks[i].node].nodenum);
	}
	strs_fini(&names);
	loom_free(nodes);
	return p;
}

START_TEST(groups_are_linear)
{
	LOOM_CLEANUP(plan_free) struct plan *p = plan_chain(1000, 10, true);
	ck_assert_uint_eq(p->n, 1000 * (3 + 4 * 10));
	ck_assert_uint_eq(count_edges(p), p->n - 1000);
	ck_assert_uint_eq(p->n_groups, 9);
	for (size_t i = 0; i < p->n_groups; i++) {
		ck_assert_uint_eq(p->groups[i].n_tasks, 1000);
		ck_assert_int_eq(p->groups[i].step, STEP_START);
		for (size_t k = 0; k < 1000; k++) {
			const struct plan_task *t = &p->tasks[p->groups[i].tasks[k] - 1];
			ck_assert_int_eq(t->step, STEP_START);
			ck_assert_str_eq(t->service, p->groups[i].service);
		}
	}
}
END_TEST

/* What a plan holds grows with its tasks, whether these are many nodes or a long chain of services:
 * each task waits for the one before it and, where services depend on each other, for one group. */
START_TEST(plans_are_linear)
{
	static const struct {
		size_t nodes;
		int services;
	} rows[] = { { 625, 4 }, { 5, 200 }, { 50, 200 } };
	const size_t nodes = rows[_i].nodes;
	const size_t services = (size_t)rows[_i].services;
	LOOM_CLEANUP(plan_free) struct plan *p = plan_chain(nodes, rows[_i].services, true);
	size_t waits = 0;
	size_t members = 0;
	ck_assert_uint_eq(p->n, nodes * (3 + 4 * services));
	ck_assert_uint_eq(count_edges(p), p->n - nodes);
	for (size_t i = 0; i < p->n; i++)
		waits += p->tasks[i].n_after_groups;
	ck_assert_uint_eq(waits, 2 * nodes * (services - 1));
	ck_assert_uint_eq(p->n_groups, services - 1);
	for (size_t i = 0; i < p->n_groups; i++)
		members += p->groups[i].n_tasks;
	ck_assert_uint_eq(members, nodes * (services - 1));
}
END_TEST

/* Groups say the same as edges. */
START_TEST(groups_equal_edges)
{
	LOOM_CLEANUP(plan_free) struct plan *a = plan_chain(20, 4, false);
	LOOM_CLEANUP(plan_free) struct plan *b = plan_chain(20, 4, true);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_int_eq(a->stages, b->stages);
	ck_assert_uint_eq(a->n_groups, 0);
	check_plan(a);
	for (size_t i = 0; i < a->n; i++) {
		const struct plan_task *x = &a->tasks[i];
		const struct plan_task *y = &b->tasks[i];
		size_t n = y->n_after;
		ck_assert(x->step == y->step && x->node == y->node && x->stage == y->stage);
		ck_assert_str_eq(x->service, y->service);
		for (size_t k = 0; k < y->n_after_groups; k++) {
			const struct plan_group *g = &b->groups[y->after_groups[k]];
			n += g->n_tasks;
			for (size_t j = 0; j < g->n_tasks; j++) {
				bool found = false;
				for (size_t m = 0; m < x->n_after; m++)
					found |= x->after[m] == g->tasks[j];
				ck_assert(found);
			}
		}
		ck_assert_uint_eq(n, x->n_after);
	}
}
END_TEST

START_TEST(all_to_all_edges)
{
	LOOM_CLEANUP(plan_free) struct plan *p = plan_chain(500, 2, false);
	ck_assert_uint_eq(p->n, 500 * (3 + 4 * 2));
	/* the chains; then INITIALIZE and START of s1 each after START of s0 on every node */
	ck_assert_uint_eq(count_edges(p), p->n - 500 + 2 * 500 * 500);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("plan size");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, groups_are_linear);
	tcase_add_loop_test(t, plans_are_linear, 0, 3);
	tcase_add_test(t, groups_equal_edges);
	tcase_add_test(t, all_to_all_edges);
	return UNIT_RUN("scheduler_plan_size", t);
}
