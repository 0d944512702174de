/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner_case - plans made from short texts.
 */
#ifndef TESTS_PLANNER_CASE_H
#define TESTS_PLANNER_CASE_H

#include "services/scheduler/plan/planner.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

/*
 * A service as "name acts -> needs": acts are letters of I C Z S T (install, configure, initialize,
 * start, stop), R remove.
 */
#define SERVICE(name, acts, deps) \
	"{'name':'" name "','provisioner':{'actions':{" acts "}},'dependencies':{" deps "}}"
#define I          "'install':{'type':'shell'}"
#define C          "'configure':{'type':'shell'}"
#define Z          "'initialize':{'type':'shell'}"
#define S          "'start':{'type':'shell'}"
#define T          "'stop':{'type':'shell'}"
#define R          "'remove':{'type':'shell'}"
#define NEEDS(l)   "'runtime':{'requires':[" l "]}"
#define USES(l)    "'runtime':{'uses':[" l "]}"
#define INSTALL(l) "'install':{'requires':[" l "]}"

/* "a b c" to a list */
LOOM_UNUSED static void split(const char *text, struct strs *out)
{
	while (*text) {
		const size_t n = strcspn(text, " ");
		if (n) {
			LOOM_CLEANUP_STR char *word = loom_strndup(text, n);
			strs_add(out, word);
		}
		text += n + (text[n] == ' ');
	}
}

LOOM_UNUSED static size_t count_edges(const struct plan *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		n += p->tasks[i].n_after;
	return n;
}

/* What must hold for any plan. */
static void check_plan(const struct plan *p)
{
	int stage = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		ck_assert_int_eq(t->num, (int)i + 1);
		ck_assert(t->stage == stage || t->stage == stage + 1);
		stage = t->stage;
		for (size_t k = 0; k < t->n_after; k++) {
			ck_assert_int_lt(p->tasks[t->after[k] - 1].stage, t->stage);
			ck_assert(!k || t->after[k - 1] < t->after[k]);
		}
		for (size_t k = i; k-- > 0 && p->tasks[k].stage == stage;)
			ck_assert_int_ne(p->tasks[k].node, t->node);
	}
	ck_assert_int_eq(p->stages, p->n ? stage + 1 : 0);
}

#endif
