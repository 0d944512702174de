/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explains why new nodes are impossible.
 * A reason names only the services and rules that contradict each other.
 */
#include "services/scheduler/placement/reason.h"

#include <inttypes.h>
#include <string.h>

void reason_add_list(struct buf *b, const struct strs *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (i)
			buf_adds(b, i + 1 == names->n ? " and " : ", ");
		buf_adds(b, names->v[i]);
	}
}

void reason_add_set(struct buf *b, const struct rules *r, const struct rules_set *set)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (size_t i = 0; i < set->n; i++)
		strs_add(&names, r->services[set->v[i]].name);
	reason_add_list(b, &names);
}

void reason_add_name(struct buf *b, const char *name)
{
	if (name)
		buf_addf(b, "%s%s", b->len ? ", " : "", name);
}

/* ---- single groups -------------------------------------------------------------------------- */

/* image: else hardware. */
static int no_type(const struct model *m, const struct coexist_group *g, bool image,
                   struct loom_err *err)
{
	const struct model_types *t = image ? &m->images : &m->hardware;
	const char *what = image ? "image" : "hardware";
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP(buf_fini) struct buf have = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP(buf_fini) struct buf takes = BUF_INIT(REASON_LIST);
	reason_add_list(&who, &g->services);
	for (size_t i = 0; i < t->n; i++)
		reason_add_name(&have, t->v[i].name);
	if (g->services.n == 1) {
		const struct rules_service *sv =
			&m->rules->services[rules_find(m->rules, g->services.v[0])];
		const struct json *accepted = image ? sv->images : sv->hardware;
		for (size_t i = 0; i < json_len(accepted); i++)
			reason_add_name(&takes, json_str(json_at(accepted, i)));
		return err_set(err, 400,
		               "service %s accepts none of the %s types that are available here: "
		               "%s; it accepts %s",
		               buf_str(&who), what, buf_str(&have), buf_str(&takes));
	}
	return err_set(
		err, 400,
		"services %s must be on the same nodes (mustcoexist) but accept no common %s "
		"type of those available here: %s",
		buf_str(&who), what, buf_str(&have));
}

static int forbidden(const struct coexist_group *g, struct loom_err *err)
{
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	reason_add_list(&who, &g->services);
	if (g->services.n == 1) {
		return err_set(
			err, 400,
			"service %s may not be on any node: a cantcoexist set names it alone",
			buf_str(&who));
	}
	return err_set(
		err, 400,
		"services %s must be on the same nodes (mustcoexist), which a cantcoexist set "
		"forbids",
		buf_str(&who));
}

static int check_numbers(const struct model *m, const struct model_group *group,
                         struct loom_err *err)
{
	const struct coexist_group *g = &group->of;
	if (g->max < 1) {
		return err_set(err, 400,
		               "service %s is asked for but limited to at most %" PRId64 " nodes",
		               g->max_by, g->max);
	}
	if (g->min > g->max && str_eq(g->min_by, g->max_by)) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64
		               " nodes but may be on at most %" PRId64,
		               g->min_by, g->min, g->max);
	}
	if (g->min > g->max) {
		return err_set(
			err, 400,
			"service %s needs at least %" PRId64
			" nodes, but service %s, which must be on the same nodes (mustcoexist), may "
			"be on at most %" PRId64,
			g->min_by, g->min, g->max_by, g->max);
	}
	if (group->need > m->nodes && m->fresh) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64 " nodes, but %" PRId64
		               " %s asked for",
		               g->min_by, g->min, m->nodes, m->nodes == 1 ? "is" : "are");
	}
	if (group->need > m->nodes) {
		return err_set(err, 400,
		               "service %s is on %" PRId64 " %s and needs at least %" PRId64
		               ", but only %" PRId64 " %s to be added",
		               g->min_by, REASON_NODES(group->have), g->min, m->nodes,
		               m->nodes == 1 ? "is" : "are");
	}
	return 0;
}

int reason_check_groups(const struct model *m, struct loom_err *err)
{
	for (int i = 0; i < m->n; i++) {
		const struct coexist_group *g = &m->groups[i].of;
		if (!m->groups[i].need)
			continue;
		int rc = check_numbers(m, &m->groups[i], err);
		if (rc)
			return rc;
		if (m->cant_empty) {
			return err_set(
				err, 400,
				"service %s may not be on any node: the template has an empty "
				"cantcoexist set, which forbids every set of services",
				g->services.v[0]);
		}
		if (model_best(&m->hardware, group_bit(i)) < 0)
			return no_type(m, g, false, err);
		if (model_best(&m->images, group_bit(i)) < 0)
			return no_type(m, g, true, err);
		if (!model_permits(m, group_bit(i)))
			return forbidden(g, err);
	}
	return 0;
}

/* ---- all together --------------------------------------------------------------------------- */

/* "services web (max 1) and db (max 1)" */
static void add_groups(struct buf *b, const struct model *m, uint64_t set, bool maxima)
{
	size_t left = (size_t)__builtin_popcountll(set);
	buf_adds(b, left > 1 || m->groups[__builtin_ctzll(set)].of.services.n > 1 ? "services "
	                                                                          : "service ");
	for (; set; set &= set - 1, left--) {
		const struct model_group *g = &m->groups[__builtin_ctzll(set)];
		LOOM_CLEANUP_STR char *names = strs_join(&g->of.services, "+");
		if (m->fresh) {
			buf_addf(b, "%s (%s %" PRId64 ")", names, maxima ? "max" : "min",
			         maxima ? g->room : g->need);
		} else if (!maxima) {
			buf_addf(b, "%s (%" PRId64 " more)", names, g->need);
		} else if (g->room || g->of.max <= g->have) {
			buf_addf(b, "%s (on %" PRId64 " of at most %" PRId64 ")", names, g->have,
			         g->of.max);
		} else {
			buf_addf(b, "%s (accepted by no type of node that is available)", names);
		}
		if (left > 1)
			buf_adds(b, left == 2 ? " and " : ", ");
	}
}

int reason_too_many_nodes(const struct model *m, struct loom_err *err)
{
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	int64_t sum = 0;
	for (int i = 0; i < m->n; i++)
		sum += m->groups[i].room;
	add_groups(&who, m, model_all(m), true);
	if (m->fresh) {
		return err_set(err, 400,
		               "%" PRId64 " %s asked for, but %s can fill at most %" PRId64 " %s",
		               m->nodes, m->nodes == 1 ? "node is" : "nodes are", buf_str(&who),
		               REASON_NODES(sum));
	}
	return err_set(err, 400,
	               "at most %" PRId64
	               " %s can be added: there would be no service for more: %s",
	               REASON_NODES(sum), buf_str(&who));
}

static enum set_cover_answer enough(const struct model *m, struct set_cover *c, uint64_t set,
                                    int64_t nodes)
{
	int64_t need[MODEL_GROUPS_MAX];
	for (int i = 0; i < m->n; i++)
		need[i] = set & group_bit(i) ? m->groups[i].need : 0;
	return set_cover_within(c, need, nodes);
}

/* Lists why the groups of set cannot all share nodes: cant-coexist sets and missing common
 * types. */
static void add_obstacles(struct buf *b, const struct model *m, uint64_t set)
{
	const char *sep = "";
	for (size_t i = 0; i < m->n_cant; i++) {
		if (m->cant[i] & ~set)
			continue;
		buf_adds(b, sep);
		reason_add_set(b, m->rules, &m->rules->cant[i]);
		buf_adds(b, " may not share a node (cantcoexist)");
		sep = "; ";
	}
	for (int i = 0; i < m->n; i++) {
		for (int j = i + 1; j < m->n; j++) {
			const uint64_t pair = group_bit(i) | group_bit(j);
			const bool hardware = model_best(&m->hardware, pair) >= 0;
			if (pair & ~set || (hardware && model_best(&m->images, pair) >= 0))
				continue;
			buf_addf(b, "%s%s and %s have no common %s type", sep,
			         m->groups[i].of.services.v[0], m->groups[j].of.services.v[0],
			         hardware ? "image" : "hardware");
			sep = "; ";
		}
	}
}

int reason_too_few_nodes(const struct model *m, struct set_cover *c, struct loom_err *err)
{
	LOOM_CLEANUP(buf_fini) struct buf who = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP(buf_fini) struct buf why = BUF_INIT(REASON_LIST);
	uint64_t set = model_all(m);
	int64_t least = m->nodes + 1;
	int64_t most = 0;
	for (int i = 0; i < m->n; i++) {
		if (!m->groups[i].need ||
		    enough(m, c, set & ~group_bit(i), m->nodes) == SET_COVER_NO)
			set &= ~group_bit(i);
	}
	for (int i = 0; i < m->n; i++)
		most += set & group_bit(i) ? m->groups[i].need : 0;
	while (least < most && enough(m, c, set, least) == SET_COVER_NO)
		least++;
	add_groups(&who, m, set, false);
	add_obstacles(&why, m, set);
	return err_set(err, 400,
	               "%s need at least %" PRId64 " %s together, but %" PRId64 " %s asked for%s%s",
	               buf_str(&who), least, m->fresh ? "nodes" : "new nodes", m->nodes,
	               m->nodes == 1 ? "is" : "are", why.len ? ": " : "", buf_str(&why));
}
