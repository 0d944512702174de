/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of changes of clusters that exist. JSON is written with ' for ". */
#include "tests/unit/plan_relayout_case.h"

#include "common/base/buf.h"

struct world {
	struct json *docs, *states[MOST_NODES];
	struct strs on[MOST_NODES], planned, planned_nodes, leaving, changed;
	struct plan_node nodes[MOST_NODES];
	struct plan_input in;
};

static void add_node(struct world *w, const char *text)
{
	static const char *const ids[MOST_NODES] = { "n1", "n2", "n3", "n4" };
	const size_t i = w->in.n_nodes++;
	struct strs words = { 0 };
	split(text, &words);
	w->states[i] = json_new_obj();
	for (size_t k = 0; k < words.n; k++) {
		const size_t last = strlen(words.v[k]) - 1;
		const char mark = words.v[k][last];
		const char *state = mark == '+'   ? "running"
		                    : mark == '-' ? "stopped"
		                    : mark == '.' ? "installed"
		                                  : NULL;
		LOOM_CLEANUP_STR char *name = loom_strndup(words.v[k], state ? last : last + 1);
		strs_add(&w->on[i], name);
		json_set_str(w->states[i], name, state);
	}
	w->nodes[i] = (struct plan_node){ ids[i], (int)i + 1, &w->on[i] };
	strs_fini(&words);
}

static const struct strs *list(const char *text, struct strs *to)
{
	if (!text)
		return NULL;
	split(text, to);
	return to;
}

static void build(struct world *w, const struct setup *s)
{
	memset(w, 0, sizeof(*w));
	w->docs = unit_json(s->services);
	w->in.action = s->action;
	w->in.nodes = w->nodes;
	w->in.services = w->docs;
	for (size_t i = 0; i < MOST_NODES && s->nodes[i]; i++)
		add_node(w, s->nodes[i]);
	w->in.states = (const struct json *const *)w->states;
	w->in.planned_services = list(s->planned, &w->planned);
	w->in.planned_nodes = list(s->planned_nodes, &w->planned_nodes);
	if (s->action == PLAN_REPLACE)
		w->in.leaving_nodes = list("n2", &w->leaving);
	w->in.changed_services = list(s->changed, &w->changed);
}

static void tear_down(struct world *w)
{
	json_free(w->docs);
	for (int i = 0; i < MOST_NODES; i++) {
		strs_fini(&w->on[i]);
		json_free(w->states[i]);
	}
	strs_fini(&w->planned);
	strs_fini(&w->planned_nodes);
	strs_fini(&w->leaving);
	strs_fini(&w->changed);
}

static void show_task(const struct plan_input *in, const struct plan_task *t, struct buf *b)
{
	buf_addf(b, "%s%s%s@%d", t->name, *t->service ? " " : "", t->service,
	         in->nodes[t->node].nodenum);
}

/* Stages, each on a line: tasks as "START a@2" or "CREATE@1". */
static void show_stages(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i)
			buf_adds(b, p->tasks[i - 1].stage == p->tasks[i].stage ? ", " : "\n");
		show_task(in, &p->tasks[i], b);
	}
}

/* Edges between different services or nodes, each on a line. */
static void show_edges(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		for (size_t k = 0; k < t->n_after; k++) {
			const struct plan_task *f = &p->tasks[t->after[k] - 1];
			if (f->node == t->node && (!*f->service || str_eq(f->service, t->service)))
				continue;
			buf_adds(b, b->len ? "\n" : "");
			show_task(in, f, b);
			buf_adds(b, " > ");
			show_task(in, t, b);
		}
	}
}

START_TEST(plans)
{
	LOOM_CLEANUP(plan_free) struct plan *p = NULL;
	LOOM_CLEANUP(buf_fini) struct buf stages = BUF_INIT(10000);
	LOOM_CLEANUP(buf_fini) struct buf edges = BUF_INIT(10000);
	const struct setup *s = &setups[_i];
	struct loom_err err = { 0 };
	struct world w;
	build(&w, s);
	ck_assert_msg(plan_make(&w.in, &p, &err) == 0, "%s: %s", s->name, err.msg);
	check_plan(p);
	show_stages(&w.in, p, &stages);
	show_edges(&w.in, p, &edges);
	ck_assert_msg(!s->stages || str_eq(buf_str(&stages), s->stages), "%s:\n%s\n\nwanted:\n%s",
	              s->name, buf_str(&stages), s->stages);
	ck_assert_msg(!s->edges || str_eq(buf_str(&edges), s->edges), "%s:\n%s\n\nwanted:\n%s",
	              s->name, buf_str(&edges), s->edges);
	tear_down(&w);
}
END_TEST

/* Groups say the same as edges, also where tasks are left out. */
START_TEST(groups)
{
	LOOM_CLEANUP(plan_free) struct plan *a = NULL;
	LOOM_CLEANUP(plan_free) struct plan *b = NULL;
	struct world w;
	build(&w, &setups[_i]);
	ck_assert_int_eq(plan_make(&w.in, &a, NULL), 0);
	w.in.groups = true;
	ck_assert_int_eq(plan_make(&w.in, &b, NULL), 0);
	ck_assert_uint_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		size_t n = b->tasks[i].n_after;
		for (size_t k = 0; k < b->tasks[i].n_after_groups; k++)
			n += b->groups[b->tasks[i].after_groups[k]].n_tasks;
		ck_assert_uint_eq(n, a->tasks[i].n_after);
		ck_assert_int_eq(a->tasks[i].stage, b->tasks[i].stage);
	}
	for (size_t k = 0; k < b->n_groups; k++)
		ck_assert_uint_gt(b->groups[k].n_tasks, 0);
	tear_down(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("change");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, plans, 0, LOOM_COUNT(setups));
	tcase_add_loop_test(t, groups, 0, LOOM_COUNT(setups));
	return UNIT_RUN("scheduler_change", t);
}
