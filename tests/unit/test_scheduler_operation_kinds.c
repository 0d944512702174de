/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations, and how its rows are found. */
#include "common/operation/operation.h"

#include "common/base/str.h"
#include "common/model/cluster/state.h"
#include "services/scheduler/plan/planner.h"
#include "tests/support/unit.h"

#include <string.h>

START_TEST(rows_are_whole)
{
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		ck_assert_ptr_eq(operation_kind_find(k->name), k);
		ck_assert_msg(k->from && k->needs && k->takes && k->title && k->doing && k->done,
		              "%s", k->name);
		ck_assert_int_eq(!k->method, !k->path);
		ck_assert_int_eq(!k->method, !*k->from);
		ck_assert_int_eq(!k->command, !k->help);
		ck_assert_int_eq(!k->command, !k->arguments);
		ck_assert_msg(!k->arguments || !strchr(k->arguments, ' ') || *k->takes,
		              "%s: an argument of no field", k->name);
		if (k->path)
			ck_assert_ptr_eq(operation_kind_at(k->method, k->path), k);
		if (k->one_path)
			ck_assert_ptr_eq(operation_kind_at(k->method, k->one_path), k);
	}
}
END_TEST

/* All that is needed is also read, and every status is one that clusters have. */
START_TEST(words_are_known)
{
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		LOOM_CLEANUP_STR char *needs = loom_strdup(k->needs);
		LOOM_CLEANUP_STR char *from = loom_strdup(k->from);
		char *state = NULL;
		for (char *w = strtok_r(needs, "|", &state); w; w = strtok_r(NULL, "|", &state))
			ck_assert_msg(operation_kind_takes(k, w), "%s: %s", k->name, w);
		for (char *w = strtok_r(from, " ", &state); w; w = strtok_r(NULL, " ", &state)) {
			enum cluster_status st;
			ck_assert_msg(cluster_status_parse(w, &st), "%s: %s", k->name, w);
			ck_assert(operation_kind_allowed(k, w));
		}
	}
}
END_TEST

/* Every job of a plan has words, and every action that a row names is one of the planner's. */
START_TEST(actions_are_the_planners)
{
	for (int a = 0; a < PLAN_ACTIONS_; a++)
		ck_assert_msg(operation_kind_of_action(plan_action_name((enum plan_action)a)) !=
		                      NULL,
		              "%s", plan_action_name((enum plan_action)a));
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		enum plan_action a;
		ck_assert_msg(!*k->action || plan_action_parse(k->action, &a), "%s", k->action);
		ck_assert(!k->plain_action || plan_action_parse(k->plain_action, &a));
	}
}
END_TEST

static const struct {
	const char *method, *path, *name; /* NULL: nothing is there */
} places[] = {
	{ "PUT", "config", "configure" },
	{ "POST", "config", NULL },
	{ "POST", "services", "add_services" },
	{ "POST", "services/", NULL },
	{ "POST", "services/stop", "stop" },
	{ "POST", "services/web/stop", "stop" },
	{ "POST", "services//stop", NULL },
	{ "POST", "services/stop/stop", "stop" },
	{ "POST", "services/stop/stop/stop", NULL },
	{ "DELETE", "services/web", "remove_services" },
	{ "DELETE", "services/", NULL },
	{ "DELETE", "services", NULL },
	{ "POST", "clustertemplate/sync", "sync" },
	{ "POST", "clustertemplate", NULL },
	{ "POST", "expand", "expand" },
	{ "POST", "expander", NULL },
	{ "POST", "expan", NULL },
	{ "GET", "expand", NULL },
	{ "POST", "", NULL },
	{ "POST", "create", NULL },
};

START_TEST(finds_by_path)
{
	const struct operation_kind *k = operation_kind_at(places[_i].method, places[_i].path);
	ck_assert_pstr_eq(k ? k->name : NULL, places[_i].name);
}
END_TEST

static const struct {
	const char *action, *name;
} actions[] = {
	{ "EXPAND_CLUSTER", "expand" },
	{ "cluster_configure", "configure" },
	{ "cluster_configure_with_restart", "configure" },
	{ "solve_layout", "solve" },
	{ "expand", NULL },
	{ "", NULL },
	{ NULL, NULL },
};

START_TEST(finds_by_action)
{
	const struct operation_kind *k = operation_kind_of_action(actions[_i].action);
	ck_assert_pstr_eq(k ? k->name : NULL, actions[_i].name);
}
END_TEST

START_TEST(finds_words)
{
	ck_assert(operation_has_word("a bc d", " ", "bc"));
	ck_assert(operation_has_word("a|bc", "|", "bc"));
	ck_assert(!operation_has_word("a bc", " ", "b"));
	ck_assert(!operation_has_word("a bc", " ", "a bc"));
	ck_assert(!operation_has_word("a bc", " ", ""));
	ck_assert(!operation_has_word("", " ", "a"));
	ck_assert(!operation_has_word(NULL, " ", "a"));
	ck_assert(!operation_has_word("a", " ", NULL));
	ck_assert(!operation_kind_allowed(operation_kind_find("expand"), "inconsistent"));
	ck_assert(!operation_kind_allowed(operation_kind_find("create"), "active"));
	ck_assert(!operation_kind_allowed(NULL, "active"));
	ck_assert_str_eq(operation_parameter_in("services/{service}/stop")->field, "services");
	ck_assert_ptr_null(operation_parameter_in("services/{servic}/stop"));
	ck_assert_ptr_null(operation_parameter_in("services"));
	ck_assert_ptr_null(operation_parameter_in(NULL));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("operation");
	tcase_add_test(c, rows_are_whole);
	tcase_add_test(c, words_are_known);
	tcase_add_test(c, actions_are_the_planners);
	tcase_add_loop_test(c, finds_by_path, 0, LOOM_COUNT(places));
	tcase_add_loop_test(c, finds_by_action, 0, LOOM_COUNT(actions));
	tcase_add_test(c, finds_words);
	return UNIT_RUN("operation", c);
}
