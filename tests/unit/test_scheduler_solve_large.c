/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts of many services and nodes. */
#include "tests/unit/solve_case.h"

static uint64_t random_state;

static int pick(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (unsigned)n);
}

static void add_quantities(struct buf *b, int n, int least, int most, int more)
{
	buf_adds(b, "]},'services':{");
	for (int i = 0; i < n; i++) {
		const int min = least + pick(most);
		buf_addf(b, "%s'x%d':{'quantities':{'min':%d,'max':%d}}", i ? "," : "", i, min,
		         min + 1 + pick(more));
	}
	buf_adds(b, "}}}");
}

/* A template in which each of n services has numbers, with some random sets that cannot coexist. */
static void add_template(struct buf *b, int n, int sets, int of, int most)
{
	buf_adds(b, "{'name':'big','constraints':{'layout':{'cantcoexist':[");
	for (int i = 0; i < sets; i++) {
		buf_addf(b, "%s[", i ? "," : "");
		for (int k = 0; k < of; k++)
			buf_addf(b, "%s'x%d'", k ? "," : "",
			         (i * 7 + k * (1 + pick(3)) + pick(2)) % n);
		buf_adds(b, "]");
	}
	add_quantities(b, n, 0, most, 200);
}

/* The same with random pairs. */
static void add_pairs(struct buf *b, int n, int pairs, int most)
{
	buf_adds(b, "{'name':'big','constraints':{'layout':{'cantcoexist':[");
	for (int i = 0; i < pairs; i++) {
		const int one = pick(n);
		buf_addf(b, "%s['x%d','x%d']", i ? "," : "", one, (one + 1 + pick(n - 1)) % n);
	}
	add_quantities(b, n, 1, most, 20);
}

/* Checks a layout against the numbers, the long way. */
static void check_layout(const struct json *template, const struct layout *l, size_t nodes)
{
	const struct json *limits = json_path(template, "constraints/services");
	const struct json *cant = json_path(template, "constraints/layout/cantcoexist");
	ck_assert_uint_eq(l->n_nodes, nodes);
	for (size_t s = 0; s < l->services.n; s++) {
		const char *name = l->services.v[s];
		const struct json *q = json_get(json_get(limits, name), "quantities");
		int64_t n = 0;
		for (size_t i = 0; i < l->n_groups; i++)
			n += strs_has(&l->groups[i].services, name) ? l->groups[i].count : 0;
		ck_assert_int_ge(n, 1);
		ck_assert_int_ge(n, json_get_int(q, "min", 0));
		ck_assert_int_le(n, json_get_int(q, "max", INT32_MAX));
	}
	for (size_t i = 0; i < l->n_groups; i++) {
		for (size_t k = 0; k < json_len(cant); k++) {
			const struct json *set = json_at(cant, k);
			bool all = true;
			for (size_t j = 0; j < json_len(set); j++)
				all &= strs_has(&l->groups[i].services, json_str(json_at(set, j)));
			ck_assert(!all);
		}
	}
}

static int solve_big(const char *template, int n, int nodes)
{
	LOOM_CLEANUP(buf_fini) struct buf docs = BUF_INIT(100000);
	LOOM_CLEANUP(buf_fini) struct buf ask = BUF_INIT(100000);
	LOOM_CLEANUP(json_free) struct json *t = unit_json(template);
	LOOM_CLEANUP(json_free) struct json *p = unit_json(provider);
	LOOM_CLEANUP(json_free) struct json *h = unit_json(hardware);
	LOOM_CLEANUP(json_free) struct json *im = unit_json(images);
	LOOM_CLEANUP(json_free) struct json *s = NULL;
	LOOM_CLEANUP(json_free) struct json *q = NULL;
	LOOM_CLEANUP(layout_free) struct layout *l = NULL;
	struct loom_err err = { 0 };
	struct solve_input in;
	int r;
	buf_addf(&ask, "{'numMachines':%d,'services':[", nodes);
	buf_adds(&docs, "[");
	for (int i = 0; i < n; i++) {
		buf_addf(&ask, "%s'x%d'", i ? "," : "", i);
		buf_addf(&docs, "%s{'name':'x%d'}", i ? "," : "", i);
	}
	buf_adds(&ask, "]}");
	buf_adds(&docs, "]");
	s = unit_json(buf_str(&docs));
	q = unit_json(buf_str(&ask));
	in = (struct solve_input){ q, t, p, h, im, s, 1, "big" };
	r = solve(&in, &l, &err);
	if (!r)
		check_layout(t, l, (size_t)nodes);
	else
		ck_assert_int_eq(r, 400); /* never 422: too hard */
	return r;
}

/* Twelve services with constraints on five hundred nodes: loose, and close to what is possible. */
START_TEST(twelve_services_500_nodes)
{
	int solved = 0;
	random_state = (uint64_t)_i + 5;
	for (int k = 0; k < 20; k++) {
		LOOM_CLEANUP(buf_fini) struct buf t = BUF_INIT(100000);
		add_template(&t, 12, 4 + pick(30), 2 + pick(3), 1 + pick(100));
		solved += solve_big(buf_str(&t), 12, 500) == 0;
	}
	ck_assert_int_gt(solved, 3);
}
END_TEST

START_TEST(forty_services_at_most_one)
{
	LOOM_CLEANUP(buf_fini) struct buf t = BUF_INIT(100000);
	buf_adds(&t, "{'name':'big','constraints':{'services':{");
	for (int i = 0; i < 40; i++)
		buf_addf(&t, "%s'x%d':{'quantities':{'max':1}}", i ? "," : "", i);
	buf_adds(&t, "}}}");
	for (int nodes = 1; nodes <= 40; nodes++)
		ck_assert_int_eq(solve_big(buf_str(&t), 40, nodes), 0);
	ck_assert_int_eq(solve_big(buf_str(&t), 40, 41), 400);
}
END_TEST

/* Thirty services, no two of which may share a node. */
START_TEST(thirty_services_apart)
{
	LOOM_CLEANUP(buf_fini) struct buf t = BUF_INIT(100000);
	const char *sep = "";
	buf_adds(&t, "{'name':'big','constraints':{'layout':{'cantcoexist':[");
	for (int i = 0; i < 30; i++) {
		for (int k = i + 1; k < 30; k++) {
			buf_addf(&t, "%s['x%d','x%d']", sep, i, k);
			sep = ",";
		}
	}
	buf_adds(&t, "]}}}");
	ck_assert_int_eq(solve_big(buf_str(&t), 30, 29), 400);
	ck_assert_int_eq(solve_big(buf_str(&t), 30, 30), 0);
	ck_assert_int_eq(solve_big(buf_str(&t), 30, 10000), 0);
}
END_TEST

/* Services of which random pairs may not share a node: hundreds of largest sets. `time` of this
 * test is what the numbers in placement/set_cover.c were chosen by. */
START_TEST(tangled)
{
	static const struct {
		int services, pairs, nodes;
	} sizes[] = { { 24, 60, 100 }, { 32, 120, 100 } };
	int solved = 0;
	random_state = 5;
	for (int k = 0; k < 10; k++) {
		LOOM_CLEANUP(buf_fini) struct buf t = BUF_INIT(100000);
		add_pairs(&t, sizes[_i].services, sizes[_i].pairs, sizes[_i].nodes / 3);
		solved += solve_big(buf_str(&t), sizes[_i].services, sizes[_i].nodes) == 0;
	}
	ck_assert_int_gt(solved, 3);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("solve large");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, twelve_services_500_nodes, 0, 10);
	tcase_add_test(t, forty_services_at_most_one);
	tcase_add_test(t, thirty_services_apart);
	tcase_add_loop_test(t, tangled, 0, 2);
	return UNIT_RUN("scheduler_solve_large", t);
}
