/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/reason.h"

#include "common/base/buf.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_MAX 700

/* "a", "a and b", "a, b and c" */
static void add_list(struct buf *b, const struct strs *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			buf_adds(b, i + 1 == l->n ? " and " : ", ");
		buf_adds(b, l->v[i]);
	}
}

static void add_types(struct buf *b, const struct model_types *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_addf(b, "%s%s", i ? ", " : "", t->v[i].name);
}

/* ---- single atoms --------------------------------------------------------------------------- */

static int no_type(const struct model_atom *a, const struct model_types *t, const char *what,
                   struct loom_err *err)
{
	struct buf who = BUF_INIT(TEXT_MAX);
	struct buf have = BUF_INIT(TEXT_MAX);

	add_list(&who, &a->services);
	add_types(&have, t);
	if (a->services.n == 1) {
		err_set(err, 400,
		        "service %s accepts none of the %s types that are available here: %s",
		        buf_str(&who), what, buf_str(&have));
	} else {
		err_set(err, 400,
		        "services %s must be on the same nodes (mustcoexist) but accept no common %s type "
		        "of those available here: %s",
		        buf_str(&who), what, buf_str(&have));
	}
	buf_fini(&who);
	buf_fini(&have);
	return 400;
}

static int forbidden(const struct model_atom *a, struct loom_err *err)
{
	struct buf who = BUF_INIT(TEXT_MAX);

	add_list(&who, &a->services);
	if (a->services.n == 1) {
		err_set(err, 400,
		        "service %s may not be on any node: a cantcoexist set names it alone",
		        buf_str(&who));
	} else {
		err_set(err, 400,
		        "services %s must be on the same nodes (mustcoexist), which a cantcoexist set "
		        "forbids",
		        buf_str(&who));
	}
	buf_fini(&who);
	return 400;
}

static int check_numbers(const struct model *m, const struct model_atom *a, struct loom_err *err)
{
	if (a->max < 1) {
		return err_set(err, 400,
		               "service %s is asked for but limited to at most %" PRId64 " nodes",
		               a->max_by, a->max);
	}
	if (a->min > a->max && str_eq(a->min_by, a->max_by)) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64
		               " nodes but may be on at most %" PRId64,
		               a->min_by, a->min, a->max);
	}
	if (a->min > a->max) {
		return err_set(
			err, 400,
			"service %s needs at least %" PRId64
			" nodes, but service %s, which must be on the same nodes (mustcoexist), may "
			"be on at most %" PRId64,
			a->min_by, a->min, a->max_by, a->max);
	}
	if (a->min > m->machines) {
		return err_set(err, 400,
		               "service %s needs at least %" PRId64 " nodes, but %" PRId64
		               " machines are asked for",
		               a->min_by, a->min, m->machines);
	}
	return 0;
}

int reason_check_atoms(const struct model *m, struct loom_err *err)
{
	for (int i = 0; i < m->n; i++) {
		const struct model_atom *a = &m->atoms[i];
		const uint64_t set = atom_bit(i);
		int r = check_numbers(m, a, err);

		if (r)
			return r;
		if (m->cant_empty) {
			return err_set(
				err, 400,
				"service %s may not be on any node: the template has an empty "
				"cantcoexist set, which forbids every set of services",
				a->services.v[0]);
		}
		if (model_best(&m->hardware, set) < 0)
			return no_type(a, &m->hardware, "hardware", err);
		if (model_best(&m->images, set) < 0)
			return no_type(a, &m->images, "image", err);
		if (!model_permits(m, set))
			return forbidden(a, err);
	}
	return 0;
}

/* ---- all together --------------------------------------------------------------------------- */

/* "services web (max 1) and db (max 1)" */
static void add_atoms(struct buf *b, const struct model *m, uint64_t set, bool maxima)
{
	size_t left = (size_t)__builtin_popcountll(set);

	buf_adds(b, left > 1 || m->atoms[__builtin_ctzll(set)].services.n > 1 ? "services "
	                                                                      : "service ");
	for (; set; set &= set - 1, left--) {
		const struct model_atom *a = &m->atoms[__builtin_ctzll(set)];
		LOOM_CLEANUP_STR char *names = strs_join(&a->services, "+");

		buf_addf(b, "%s (%s %" PRId64 ")", names, maxima ? "max" : "min",
		         maxima ? a->max : a->min);
		if (left > 1)
			buf_adds(b, left == 2 ? " and " : ", ");
	}
}

int reason_too_many_machines(const struct model *m, struct loom_err *err)
{
	struct buf who = BUF_INIT(TEXT_MAX);
	int64_t sum = 0;

	for (int i = 0; i < m->n; i++)
		sum += m->atoms[i].max;
	add_atoms(&who, m, model_all(m), true);
	err_set(err, 400,
	        "%" PRId64 " machines are asked for, but %s can fill at most %" PRId64 " nodes",
	        m->machines, buf_str(&who), sum);
	buf_fini(&who);
	return 400;
}

static enum set_cover_answer enough(const struct model *m, struct set_cover *c, uint64_t set,
                                    int64_t machines)
{
	int64_t need[MODEL_ATOMS];

	for (int i = 0; i < m->n; i++)
		need[i] = set & atom_bit(i) ? m->atoms[i].min : 0;
	return set_cover_within(c, need, machines);
}

/* Why the atoms of set cannot all share machines: the cant-coexist sets and missing common types.
 */
static void add_obstacles(struct buf *b, const struct model *m, uint64_t set)
{
	const char *sep = "";

	for (size_t i = 0; i < m->n_cant; i++) {
		if (m->cant[i] & ~set)
			continue;
		buf_addf(b, "%s", sep);
		add_list(b, &m->cant_by[i]);
		buf_adds(b, " may not share a node (cantcoexist)");
		sep = "; ";
	}
	for (int i = 0; i < m->n; i++) {
		for (int j = i + 1; j < m->n; j++) {
			const uint64_t pair = atom_bit(i) | atom_bit(j);
			const bool hardware = model_best(&m->hardware, pair) >= 0;

			if (pair & ~set || (hardware && model_best(&m->images, pair) >= 0))
				continue;
			buf_addf(b, "%s%s and %s have no common %s type", sep,
			         m->atoms[i].services.v[0], m->atoms[j].services.v[0],
			         hardware ? "image" : "hardware");
			sep = "; ";
		}
	}
}

int reason_too_few_machines(const struct model *m, struct set_cover *c, struct loom_err *err)
{
	struct buf who = BUF_INIT(TEXT_MAX);
	struct buf why = BUF_INIT(TEXT_MAX);
	uint64_t set = model_all(m);
	int64_t least = m->machines + 1;
	int64_t most = 0;

	/* only those that are needed for the refusal */
	for (int i = 0; i < m->n; i++) {
		if (enough(m, c, set & ~atom_bit(i), m->machines) == SET_COVER_NO)
			set &= ~atom_bit(i);
	}
	for (int i = 0; i < m->n; i++)
		most += set & atom_bit(i) ? m->atoms[i].min : 0;
	while (least < most && enough(m, c, set, least) == SET_COVER_NO)
		least++;
	add_atoms(&who, m, set, false);
	add_obstacles(&why, m, set);
	err_set(err, 400,
	        "%s need at least %" PRId64 " nodes together, but %" PRId64
	        " machines are asked for%s%s",
	        buf_str(&who), least, m->machines, why.len ? ": " : "", buf_str(&why));
	buf_fini(&who);
	buf_fini(&why);
	return 400;
}
