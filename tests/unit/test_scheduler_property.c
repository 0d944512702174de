/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random templates, clusters and operations. Every layout keeps the rules; every target is compared
 * with a plain enumeration written straight from the rules; every plan is carried out, in random
 * order, by a machine that knows what must not happen, some by way of a retry; and what it leaves
 * must be the target.
 *
 * LOOM_SEED=N looks at one seed and shows its plans.
 */
#include "services/scheduler/placement/relayout.h"
#include "services/scheduler/placement/solve.h"
#include "tests/support/unit.h"
#include "tests/unit/property_brute.h"
#include "tests/unit/property_left.h"

/* ---- asking --------------------------------------------------------------------------------- */

struct asked {
	struct json *template, *provider, *hardware, *images, *services;
	char types[NODES][2][8];
	char ids[NODES][8];
	struct relayout_node nodes[NODES];
	struct strs named;
	struct relayout_input in;
};

static void ask(struct asked *a, const struct farm *c, enum relayout_operation operation,
                const struct rules *rules, unsigned named)
{
	memset(a, 0, sizeof(*a));
	a->template = template_of(rules);
	a->provider = json_set_str(json_new_obj(), "name", "prov");
	a->hardware = catalog_of(c->hardware, "h", "flavor");
	a->images = catalog_of(c->images, "i", "image");
	a->services = services_of(c);
	strs_of(named, &a->named);
	a->in = (struct relayout_input){
		.operation = operation,
		.nodes = a->nodes,
		.n_nodes = (size_t)c->n,
		.last_nodenum = c->last,
		.template = a->template,
		.provider = a->provider,
		.hardwaretypes = a->hardware,
		.imagetypes = a->images,
		.services = a->services,
		.cluster_name = "c",
		.named = &a->named,
		.grow = &a->named,
	};
	for (int i = 0; i < c->n; i++) {
		/* in any order */
		const int at = c->n - 1 - i;
		snprintf(a->types[at][0], 8, "h%d", c->nodes[i].hw);
		snprintf(a->types[at][1], 8, "i%d", c->nodes[i].img);
		snprintf(a->ids[at], 8, "n%d", c->nodes[i].num);
		a->nodes[at] = (struct relayout_node){
			a->ids[at], c->nodes[i].num, a->types[at][0], a->types[at][1], { 0 }
		};
		strs_of(c->nodes[i].on, &a->nodes[at].services);
	}
}

static void asked_fini(struct asked *a)
{
	json_free(a->template);
	json_free(a->provider);
	json_free(a->hardware);
	json_free(a->images);
	json_free(a->services);
	strs_fini(&a->named);
	for (int i = 0; i < NODES; i++)
		strs_fini(&a->nodes[i].services);
}

/* What the target makes of the cluster. */
static struct farm apply(const struct farm *from, const struct relayout_input *in,
                         const struct relayout *t)
{
	struct farm c = *from;
	unsigned gone = 0;
	for (size_t i = 0; i < t->n_changed; i++) {
		const struct relayout_change *ch = &t->changed[i];
		struct machine *m = &c.nodes[index_of(&c, in->nodes[ch->node].nodenum)];
		m->on = (m->on | set_of(&ch->added)) & ~set_of(&ch->removed);
		check_that(m->on == set_of(&ch->services), "node %d", m->num);
	}
	for (size_t i = 0; i < t->n_removed; i++)
		gone |= 1u << index_of(&c, in->nodes[t->removed[i]].nodenum);
	c = without(&c, gone);
	for (size_t i = 0; i < t->added.n_nodes; i++) {
		const struct layout_node *n = &t->added.nodes[i];
		memset(c.states[c.n], 0, sizeof(c.states[0]));
		c.nodes[c.n++] = (struct machine){ n->nodenum, atoi(n->hardwaretype + 1),
			                           atoi(n->imagetype + 1), set_of(&n->services) };
		c.last = n->nodenum;
	}
	check_that(set_of(&t->services) == present(&c), "services");
	return c;
}

static void check_same(const struct farm *got, const struct farm *want)
{
	check_that(got->n == want->n, "%d nodes, not %d", got->n, want->n);
	for (int i = 0; i < got->n; i++) {
		const struct machine *a = &got->nodes[i];
		const struct machine *b = &want->nodes[i];
		check_that(a->num == b->num && a->hw == b->hw && a->img == b->img && a->on == b->on,
		           "node %d h%d i%d %x, not %d h%d i%d %x", a->num, a->hw, a->img, a->on,
		           b->num, b->hw, b->img, b->on);
	}
}

/* ---- operations ----------------------------------------------------------------------------- */

static void plan_change(const struct farm *old, struct farm *new, enum relayout_operation operation,
                        unsigned named)
{
	static const enum plan_action actions[] = {
		[RELAYOUT_ADD_SERVICES] = PLAN_ADD_SERVICES,
		[RELAYOUT_REMOVE_SERVICES] = PLAN_REMOVE_SERVICES,
		[RELAYOUT_EXPAND] = PLAN_EXPAND,
		[RELAYOUT_SHRINK] = PLAN_SHRINK,
	};
	const bool more = operation == RELAYOUT_ADD_SERVICES || operation == RELAYOUT_EXPAND;
	struct planned p = { .action = actions[operation], .services = named };
	p.c = more ? *new : *old;
	p.all_services = operation == RELAYOUT_EXPAND || operation == RELAYOUT_SHRINK;
	p.all_nodes = operation == RELAYOUT_REMOVE_SERVICES;
	for (int i = 0; i < p.c.n; i++) {
		const int before = index_of(old, p.c.nodes[i].num);
		const int after = index_of(new, p.c.nodes[i].num);
		if (before < 0 || after < 0 || old->nodes[before].on != new->nodes[after].on)
			p.moved |= 1u << i;
	}
	run_plan(&p, new);
}

/* Asks for a target, compares it with the enumeration, plans it, carries it out. */
static void change(struct farm *c, enum relayout_operation operation, int *ret_done)
{
	const struct farm old = *c;
	struct rules rules = operation == RELAYOUT_SYNC ? make_rules(c) : c->rules;
	unsigned named = (unsigned)(pick(1 << SERVICES) & pick(1 << SERVICES));
	struct farm want = *c;
	struct relayout *t = NULL;
	struct loom_err err = { 0 };
	unsigned gone = 0;
	struct asked a;
	bool possible = false;
	int r;
	if (operation == RELAYOUT_ADD_SERVICES || operation == RELAYOUT_REMOVE_SERVICES) {
		/* mostly something that makes sense */
		named |= 1u << pick(SERVICES);
		if (pick(8))
			named &= operation == RELAYOUT_ADD_SERVICES ? ~present(c) : present(c);
	} else if (operation == RELAYOUT_EXPAND) {
		named = pick(2) ? 0 : named & (pick(8) ? present(c) : ~0u);
	}
	ask(&a, c, operation, &rules, named);
	a.in.count = 1 + pick(3);
	if (operation == RELAYOUT_EXPAND && c->n + a.in.count > NODES)
		a.in.count = NODES - c->n;
	switch (operation) {
	case RELAYOUT_ADD_SERVICES:
		possible = brute_add(&want, named);
		break;
	case RELAYOUT_REMOVE_SERVICES:
		possible = brute_remove(&want, named);
		break;
	case RELAYOUT_EXPAND:
		possible = a.in.count && brute_expand(&want, (int)a.in.count, named);
		break;
	case RELAYOUT_SHRINK:
		possible = brute_shrink(c, (int)a.in.count, &gone);
		want = without(c, gone);
		break;
	case RELAYOUT_SYNC:
	case RELAYOUT_CREATE:
	case RELAYOUT_OPERATIONS_:
		possible = is_valid(c, &rules, present(c));
		want.rules = rules;
		break;
	}
	r = relayout_find(&a.in, &t, &err);
	check_that(r == (possible ? 0 : 400), "operation %d: %d, %s", (int)operation, r, err.msg);
	check_that(!r || *err.msg, "a refusal without a reason");
	if (!r) {
		*c = apply(&old, &a.in, t);
		c->rules = rules;
		check_same(c, &want);
		check_that(is_valid(c, &rules, present(c)), "the rules");
		if (operation != RELAYOUT_SYNC)
			plan_change(&old, c, operation, named);
		ret_done[operation]++;
	}
	relayout_free(t);
	asked_fini(&a);
}

/* The same machines may also be named. */
static void shrink_named(const struct farm *c)
{
	const unsigned gone = (unsigned)pick(1 << c->n);
	struct relayout *t = NULL;
	struct loom_err err = { 0 };
	int64_t nums[NODES];
	struct asked a;
	int r;
	ask(&a, c, RELAYOUT_SHRINK, &c->rules, 0);
	a.in.nodenums = nums;
	for (int i = 0; i < c->n; i++) {
		if (gone & (1u << i))
			nums[a.in.n_nodenums++] = c->nodes[i].num;
	}
	r = relayout_find(&a.in, &t, &err);
	check_that(r == (gone && may_go(c, gone) ? 0 : 400), "%d, %s", r, err.msg);
	if (!r) {
		const struct farm got = apply(c, &a.in, t);
		const struct farm want = without(c, gone);
		check_same(&got, &want);
	}
	relayout_free(t);
	asked_fini(&a);
}

static void operate(struct farm *c)
{
	static const enum plan_action actions[] = { PLAN_START, PLAN_STOP, PLAN_RESTART,
		                                    PLAN_CONFIGURE, PLAN_CONFIGURE_WITH_RESTART };
	struct planned p = { .action = actions[pick(5)], .c = *c, .all_nodes = true };
	p.all_services = pick(2);
	p.all_changed = pick(2);
	p.services = (unsigned)pick(1 << SERVICES) & present(c);
	p.changed = (unsigned)pick(1 << SERVICES);
	if (p.action == PLAN_STOP || p.action == PLAN_START || p.action == PLAN_RESTART)
		p.all_changed = true;
	run_plan(&p, c);
}

static void create(struct farm *c)
{
	struct planned p = { .action = PLAN_CREATE, .c = *c, .all_services = true };
	p.moved = (1u << c->n) - 1;
	p.all_nodes = p.all_changed = true;
	run_plan(&p, c);
}

/* All machines go, whatever is on them. */
static void destroy(struct farm *c)
{
	struct planned p = { .action = PLAN_DELETE, .c = *c, .all_services = true };
	struct farm none = { .n = 0 };
	p.moved = (1u << c->n) - 1;
	p.all_nodes = p.all_changed = true;
	run_plan(&p, &none);
}

/* Expands a cluster without nodes. */
static void check_expansion(const struct farm *none, const struct farm *want, unsigned services,
                            int count, bool possible)
{
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	struct asked a;
	int r;
	ask(&a, none, RELAYOUT_CREATE, &none->rules, services);
	a.in.grow = NULL;
	a.in.count = count;
	r = relayout_find(&a.in, &t, &err);
	check_that(r == (possible ? 0 : 400), "%d, %s", r, err.msg);
	if (!r) {
		const struct farm got = apply(none, &a.in, t);
		check_same(&got, want);
	}
	asked_fini(&a);
}

/* A new cluster of the same services under the same rules: as solve() lays it out, as an expansion
 * from no nodes and as the enumeration has it, which are all the same; false when there is none. */
static bool lay_out(const struct farm *like, struct farm *ret)
{
	struct farm none = *like;
	struct farm want;
	struct strs names = { 0 };
	struct layout *l = NULL;
	struct loom_err err = { 0 };
	struct asked a;
	bool possible;
	int r;
	none.n = 0;
	none.last = LAYOUT_FIRST_NODENUM - 1;
	want = none;
	possible = brute_create(&want, like->n, present(like));
	check_expansion(&none, &want, present(like), like->n, possible);
	ask(&a, like, RELAYOUT_EXPAND, &like->rules, 0);
	strs_of(present(like), &names);
	struct json *request = json_set_int(json_new_obj(), "numMachines", like->n);
	struct json *list = json_new_arr();

	for (size_t i = 0; i < names.n; i++)
		json_push(list, json_new_str(names.v[i]));
	json_set(request, "services", list);
	r = solve(
		&(struct solve_input){
			.request = request,
			.template = a.template,
			.provider = a.provider,
			.hardwaretypes = a.hardware,
			.imagetypes = a.images,
			.services = a.services,
			.cluster_id = 1,
			.cluster_name = "c",
		},
		&l, &err);
	check_that(r == (possible ? 0 : 400) && !r == !!l && (!r || *err.msg), "%d", r);
	*ret = none;
	memset(ret->states, 0, sizeof(ret->states));
	for (size_t i = 0; l && i < l->n_nodes; i++) {
		const struct layout_node *n = &l->nodes[i];
		check_that(n->nodenum == LAYOUT_FIRST_NODENUM + (int)i, "node %d", n->nodenum);
		ret->nodes[ret->n++] =
			(struct machine){ n->nodenum, atoi(n->hardwaretype + 1),
			                  atoi(n->imagetype + 1), set_of(&n->services) };
	}
	if (l) {
		check_same(ret, &want);
		check_that(ret->n == like->n && present(ret) == present(like), "%d nodes", ret->n);
		check_that(is_valid(ret, &ret->rules, present(ret)), "the rules");
	}
	layout_free(l);
	json_free(request);
	strs_fini(&names);
	asked_fini(&a);
	return !r;
}

/* Some services stop by themselves. */
static void disturb(struct farm *c)
{
	for (int i = 0; i < c->n; i++) {
		for (int s = 0; s < SERVICES; s++) {
			if (c->states[i][s] == RUNNING && !pick(6))
				c->states[i][s] = STOPPED;
		}
	}
}

static bool run_seed(long seed, int *ret_done, int *ret_solved)
{
	struct farm c;
	struct farm fresh;
	seed_shown = seed;
	random_state = (uint64_t)seed;
	(void)pick(2);
	if (!make_cluster(&c))
		return false;
	create(&c);
	for (int i = 0; i < 6; i++) {
		if (!pick(3))
			disturb(&c);
		if (pick(3))
			change(&c, (enum relayout_operation)pick(RELAYOUT_CREATE), ret_done);
		else
			operate(&c);
		shrink_named(&c);
	}
	if (lay_out(&c, &fresh)) {
		create(&fresh);
		destroy(&fresh);
		++*ret_solved;
	}
	destroy(&c);
	return true;
}

#define BLOCKS 8
#define SEEDS  250 /* in each */

START_TEST(properties)
{
	const char *only = getenv("LOOM_SEED");
	int done[RELAYOUT_CREATE] = { 0 };
	int clusters = 0;
	int solved = 0;
	if (only && _i)
		return;
	if (only) {
		(void)run_seed(atol(only), done, &solved);
		return;
	}
	for (long seed = 1; seed <= SEEDS; seed++)
		clusters += run_seed(_i * SEEDS + seed, done, &solved);
	/* it was not all refused */
	ck_assert_int_gt(clusters, SEEDS / 4);
	ck_assert_int_gt(solved, SEEDS / 8);
	for (int i = 0; i < RELAYOUT_CREATE; i++)
		ck_assert_msg(done[i] > 5, "operation %d: %d", i, done[i]);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("property");
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, properties, 0, BLOCKS);
	return UNIT_RUN("scheduler_property", t);
}
