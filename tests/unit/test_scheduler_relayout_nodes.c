/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a layout in detail: new and changed nodes, many nodes. */
#include "tests/unit/relayout_case.h"

/* ---- details -------------------------------------------------------------------------------- */

START_TEST(new_node)
{
	static const struct row row = {
		"", EXPAND, PLAIN, "1000 small i1 chef", NULL, 1, NULL, ""
	};
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &row);
	w.in.last_nodenum = 1041;
	json_set_str(w.request, "hardwaretype", "small");
	json_set_str(w.request, "imagetype", "i1");
	ck_assert_msg(!relayout_find(&w.in, &t, &err), "%s", err.msg);
	ck_assert_uint_eq(t->added.n_nodes, 1);
	ck_assert_int_eq(t->added.nodes[0].nodenum, 1042);
	ck_assert_str_eq(t->added.nodes[0].hostname, "demo7-1042.example.org");
	ck_assert_str_eq(t->added.nodes[0].flavor, "S");
	ck_assert_str_eq(t->added.nodes[0].image, "one");
	ck_assert_str_eq(t->added.nodes[0].sshuser, "me");
	ck_assert_uint_eq(t->added.nodes[0].automators.n, 2);
	ck_assert_uint_eq(t->added.n_groups, 1);
	ck_assert_int_eq(t->added.groups[0].count, 1);
	tear_down(&w);
}
END_TEST

START_TEST(changed_node)
{
	static const struct row row = { "", ADD, PLAIN, "1000 small i1 w", "chef", 0, NULL, "" };
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &row);
	ck_assert_msg(!relayout_find(&w.in, &t, &err), "%s", err.msg);
	ck_assert_uint_eq(t->n_changed, 1);
	ck_assert_uint_eq(t->changed[0].services.n, 2);
	ck_assert_str_eq(t->changed[0].services.v[0], "chef");
	ck_assert_uint_eq(t->changed[0].automators.n, 2);
	ck_assert_str_eq(t->changed[0].automators.v[0], "chef-solo");
	ck_assert_uint_eq(t->services.n, 2);
	tear_down(&w);
}
END_TEST

/* What the cluster was made with counts, not what a service has become. */
START_TEST(frozen_definitions)
{
	static const struct row row = { "", REMOVE, PLAIN, "1000 small i1 a b", "a", 0, NULL, "" };
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(10000);
	struct world w;
	build(&w, &row);
	w.docs = unit_json("{'b':{'dependencies':{'runtime':{'requires':['a']}}}}");
	w.in.service_docs = w.docs;
	outcome(&w.in, &got);
	ck_assert_str_eq(buf_str(&got), "b requires a, which would no longer be on the cluster.");
	tear_down(&w);
}
END_TEST

START_TEST(no_nodes)
{
	static const struct row row = { "", SYNC, PLAIN, "", NULL, 0, NULL, "" };
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(1000);
	struct world w;
	build(&w, &row);
	outcome(&w.in, &got);
	ck_assert_str_eq(buf_str(&got), "the cluster has no nodes");
	tear_down(&w);
}
END_TEST

/* ---- size ----------------------------------------------------------------------------------- */

#define MANY 500

/* Machines with pseudo-random sets of twelve services, of which some have minima. */
START_TEST(many_nodes)
{
	static const enum relayout_operation operations[] = { ADD, REMOVE, EXPAND, SHRINK, SHRINK };
	static const char template[] = TEMPLATE(
		CANT("['s0','s1'],['new1','new2'],['new1','s3'],['new2','s4'],['new1','new3','s5']") "," LIMITS(
			AT_LEAST("s2", 90) "," AT_LEAST("s3", 80) "," MIN_MAX(
				"new1", 20, 100) "," MIN_MAX("new2", 30,
	                                                     200) "," MIN_MAX("new3", 150, 300)));
	struct relayout_node *nodes = loom_calloc(MANY, sizeof(*nodes));
	LOOM_CLEANUP(buf_fini) struct buf docs = BUF_INIT(10000);
	LOOM_CLEANUP(json_free) struct json *t = unit_json(template);
	LOOM_CLEANUP(json_free) struct json *p = unit_json(provider);
	LOOM_CLEANUP(json_free) struct json *h = unit_json(hardware);
	LOOM_CLEANUP(json_free) struct json *i = unit_json(images);
	LOOM_CLEANUP(json_free) struct json *s = NULL;
	LOOM_CLEANUP(relayout_free) struct relayout *found = NULL;
	struct strs named = { 0 };
	struct loom_err err = { 0 };
	unsigned seed = 12345;
	struct relayout_input in = {
		.operation = operations[_i],
		.nodes = nodes,
		.n_nodes = MANY,
		.template = t,
		.provider = p,
		.hardwaretypes = h,
		.imagetypes = i,
		.cluster_name = "many",
		.named = &named,
		.count = _i == 4 ? 300 : 100,
	};
	for (int v = 0; v < 15; v++)
		buf_addf(&docs, "%s{'name':'%s%d'}", v ? "," : "[", v < 12 ? "s" : "new",
		         v < 12 ? v : v - 11);
	buf_adds(&docs, "]");
	s = unit_json(buf_str(&docs));
	in.services = s;
	for (size_t n = 0; n < MANY; n++) {
		nodes[n] = (struct relayout_node){ .id = "n",
			                           .nodenum = 1000 + (int)n,
			                           .hardwaretype = "small",
			                           .imagetype = "i1" };
		for (int v = 0; v < 12; v++) {
			seed = seed * 1103515245u + 12345u;
			if ((seed >> 16) % 4 == 0 &&
			    (v != 1 || !strs_has(&nodes[n].services, "s0")))
				strs_addf(&nodes[n].services, "s%d", v);
		}
	}
	if (operations[_i] == ADD) {
		strs_add(&named, "new1");
		strs_add(&named, "new2");
		strs_add(&named, "new3");
	} else if (operations[_i] == REMOVE) {
		strs_add(&named, "s2");
	}
	ck_assert_msg(!relayout_find(&in, &found, &err), "%s", err.msg);
	if (operations[_i] == SHRINK)
		ck_assert_uint_eq(found->n_removed, (size_t)in.count);
	if (operations[_i] == EXPAND)
		ck_assert_uint_eq(found->added.n_nodes, (size_t)in.count);
	for (size_t n = 0; n < MANY; n++)
		strs_fini(&nodes[n].services);
	loom_free(nodes);
	strs_fini(&named);
}
END_TEST

/* Sixty kinds of nodes, each of which draws on eight of thirty limits: too many ways to look at all
 * within so many steps, which are those of a shrink. */
START_TEST(removal_gives_up)
{
	enum { KINDS = 60, LIMITED = 30, DRAWS = 8 };
	struct removal_kind kinds[KINDS];
	size_t draws[KINDS][DRAWS];
	int64_t left[LIMITED], ret[KINDS], cost;
	uint64_t state = 11;
	for (size_t i = 0; i < LIMITED; i++)
		left[i] = 3 + (int64_t)(i % 5);
	for (size_t i = 0; i < KINDS; i++) {
		kinds[i] = (struct removal_kind){ .have = 1 + (int64_t)(i % 4),
			                          .cost = 1 + (int64_t)(i % 9),
			                          .draws = draws[i],
			                          .n_draws = DRAWS };
		for (size_t k = 0; k < DRAWS; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			draws[i][k] = (size_t)(state >> 33) % LIMITED;
		}
	}
	struct removal_search p = {
		.kinds = kinds, .n = KINDS, .left = left, .n_limits = LIMITED, .work = 300000000
	};
	ck_assert_int_eq(removal_find(&p, 19, INT64_MAX, false, ret, &cost), REMOVAL_UNKNOWN);
	ck_assert_int_lt(p.work, 0);
	p.work = 300000000;
	ck_assert_int_eq(removal_find(&p, 1, INT64_MAX, false, ret, &cost), REMOVAL_YES);
	ck_assert_int_eq(cost, 1);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("relayout nodes");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, new_node);
	tcase_add_test(t, changed_node);
	tcase_add_test(t, frozen_definitions);
	tcase_add_test(t, no_nodes);
	tcase_add_loop_test(t, many_nodes, 0, 5);
	tcase_add_test(t, removal_gives_up);
	return UNIT_RUN("scheduler_relayout_nodes", t);
}
