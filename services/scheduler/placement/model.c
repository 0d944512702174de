/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds the model of a cluster's new nodes from the rules and finds the largest permitted sets.
 * The search needs only these: every other permitted set is a subset of one of them.
 */
#include "services/scheduler/placement/model.h"

#include "services/scheduler/placement/reason.h"

#include <stdlib.h>
#include <string.h>

/* Work limit of finding the largest sets: 0.04 s, measured with 60 services, 300 pairs of which may
 * not share a node, and no limit on the number of sets. */
#define LARGEST_WORK 50000000

/* ---- hardware and image types --------------------------------------------------------------- */

struct type_field {
	const char *what;       /* in messages */
	const char *field;      /* of a create request and the template's defaults */
	const char *compatible; /* list in the template's compatibility */
	const char *key;        /* what the provider must offer */
};

static const struct type_field hardware_field = { "hardware", "hardwaretype", "hardwaretypes",
	                                          "flavor" };
static const struct type_field image_field = { "image", "imagetype", "imagetypes", "image" };

static int compare_types(const void *a, const void *b)
{
	return strcmp(((const struct model_type *)a)->name, ((const struct model_type *)b)->name);
}

/* The type named by the request, or else by the template's defaults; NULL: any. */
static const char *wanted_type(const struct relayout_input *in, const char *field)
{
	const char *name = json_get_str(in->request, field);
	if (!name || !*name)
		name = json_get_str(json_get(in->template, "defaults"), field);
	return name && *name ? name : NULL;
}

/* Says what there would be: what the provider has, and what the template allows. */
static int no_types(const struct rules *r, const struct type_field *f, const struct json *types,
                    const char *provider, struct loom_err *err)
{
	const struct json *allowed =
		json_get(json_get(r->in->template, "compatibility"), f->compatible);
	const char *wanted = wanted_type(r->in, f->field);
	LOOM_CLEANUP(buf_fini) struct buf has = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP(buf_fini) struct buf may = BUF_INIT(REASON_LIST);
	for (size_t i = 0; i < json_len(types); i++) {
		const struct json *offers = json_get(json_at(types, i), "providermap");
		if (json_get_str(json_get(offers, provider), f->key))
			reason_add_name(&has, json_get_str(json_at(types, i), "name"));
	}
	for (size_t i = 0; i < json_len(allowed); i++)
		reason_add_name(&may, json_str(json_at(allowed, i)));
	return err_set(err, 400,
	               "no %s types are available to use with template %s and provider %s%s%s%s; "
	               "the provider has %s%s%s",
	               f->what, r->template, provider && *provider ? provider : "?",
	               wanted ? " (asked for: " : "", wanted ? wanted : "", wanted ? ")" : "",
	               has.len ? buf_str(&has) : "none", may.len ? ", the template allows " : "",
	               buf_str(&may));
}

static int read_types(const struct rules *r, const struct type_field *f, const struct json *types,
                      struct model_types *ret, struct loom_err *err)
{
	const struct json *compatible = json_get(r->in->template, "compatibility");
	const struct json *allowed = json_get(compatible, f->compatible);
	const char *provider = json_get_str(r->in->provider, "name");
	const char *wanted = wanted_type(r->in, f->field);
	ret->v = loom_calloc(json_len(types) + 1, sizeof(*ret->v));
	for (size_t i = 0; i < json_len(types); i++) {
		const char *name = json_get_str(json_at(types, i), "name");
		const struct json *offers = json_get(json_at(types, i), "providermap");
		const struct json *entry = json_get(offers, provider);
		if (name && (!wanted || !strcmp(name, wanted)) && json_get_str(entry, f->key) &&
		    rules_accepts(allowed, name))
			ret->v[ret->n++] = (struct model_type){ name, ~(uint64_t)0, entry };
	}
	if (!ret->n)
		return no_types(r, f, types, provider, err);
	qsort(ret->v, ret->n, sizeof(*ret->v), compare_types);
	return 0;
}

/* ---- groups --------------------------------------------------------------------------------- */

static void restrict_fits(struct model_types *types, const struct json *accepted, uint64_t bit)
{
	for (size_t i = 0; i < types->n; i++) {
		if (!rules_accepts(accepted, types->v[i].name))
			types->v[i].fits &= ~bit;
	}
}

static void read_cant(struct model *m, const struct rules *r, const int *group_of)
{
	m->cant_empty = r->cant_empty;
	m->n_cant = r->n_cant;
	m->cant = loom_calloc(r->n_cant + 1, sizeof(*m->cant));
	for (size_t i = 0; i < r->n_cant; i++) {
		for (size_t k = 0; k < r->cant[i].n; k++)
			m->cant[i] |= group_bit(group_of[r->cant[i].v[k]]);
	}
}

/* Puts each service into its group or into `everywhere`. group_of (by service) must be all -1. */
static int read_groups(struct model *m, const struct rules *r, int *group_of, struct loom_err *err)
{
	size_t *root = rules_coexist(r, NULL);
	int rc = 0;
	for (size_t i = 0; i < r->n_services && !rc; i++) {
		const struct rules_service *sv = &r->services[i];
		if (!sv->constrained) {
			strs_add(&m->everywhere, sv->name);
			continue;
		}
		if (group_of[root[i]] < 0 && m->n == MODEL_GROUPS_MAX) {
			rc = err_set(err, 400,
			             "more than %d services or groups of services have constraints",
			             MODEL_GROUPS_MAX);
			break;
		}
		if (group_of[root[i]] < 0)
			group_of[root[i]] = m->n++;
		group_of[i] = group_of[root[i]];
		coexist_group_add(&m->groups[group_of[i]].of, sv);
		restrict_fits(&m->hardware, sv->hardware, group_bit(group_of[i]));
		restrict_fits(&m->images, sv->images, group_bit(group_of[i]));
	}
	loom_free(root);
	return rc;
}

/* Computes need and room: the limits less the present nodes. */
static void read_numbers(struct model *m, const struct placement_state *s)
{
	for (int i = 0; i < m->n; i++) {
		struct model_group *g = &m->groups[i];
		const size_t service = rules_find(&s->rules, g->of.services.v[0]);
		g->have = placement_count(s->kinds, s->n_kinds, service);
		g->need = g->of.min > g->have ? g->of.min - g->have : 0;
		g->room = g->of.max > g->have ? g->of.max - g->have : 0;
	}
}

int model_read(struct model *m, const struct placement_state *s, int64_t count,
               struct loom_err *err)
{
	const struct rules *r = &s->rules;
	int *group_of = loom_malloc((r->n_services + 1) * sizeof(*group_of));
	*m = (struct model){ .rules = r, .nodes = count, .fresh = !s->n_kinds };
	for (size_t i = 0; i < r->n_services; i++)
		group_of[i] = -1;
	int rc = read_types(r, &hardware_field, s->in->hardwaretypes, &m->hardware, err);
	rc = rc ? rc : read_types(r, &image_field, s->in->imagetypes, &m->images, err);
	rc = rc ? rc : read_groups(m, r, group_of, err);
	if (!rc) {
		read_cant(m, r, group_of);
		read_numbers(m, s);
	}
	loom_free(group_of);
	return rc;
}

void model_fini(struct model *m)
{
	for (int i = 0; i < m->n; i++)
		strs_fini(&m->groups[i].of.services);
	strs_fini(&m->everywhere);
	loom_free(m->cant);
	loom_free(m->hardware.v);
	loom_free(m->images.v);
	loom_free(m->largest);
	*m = (struct model){ 0 };
}

/* ---- what is permitted ---------------------------------------------------------------------- */

int model_best(const struct model_types *t, uint64_t set)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!(set & ~t->v[i].fits))
			return (int)i;
	}
	return -1;
}

bool model_permits(const struct model *m, uint64_t set)
{
	if (!set)
		return true;
	if (m->cant_empty)
		return false;
	for (size_t i = 0; i < m->n_cant; i++) {
		if (!(m->cant[i] & ~set))
			return false;
	}
	return model_best(&m->hardware, set) >= 0 && model_best(&m->images, set) >= 0;
}

struct finder {
	struct model *m;
	size_t cap;
	long work;
	bool too_many;
};

static bool is_largest(const struct model *m, uint64_t set)
{
	for (int i = 0; i < m->n; i++) {
		if (!(set & group_bit(i)) && model_permits(m, set | group_bit(i)))
			return false;
	}
	return true;
}

static void keep(struct finder *f, uint64_t set)
{
	struct model *m = f->m;
	if (!is_largest(m, set))
		return;
	if (m->n_largest == MODEL_SETS_MAX) {
		f->too_many = true;
		return;
	}
	if (m->n_largest == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		m->largest = loom_realloc(m->largest, f->cap * sizeof(*m->largest));
	}
	m->largest[m->n_largest++] = set;
}

/*
 * Finds all largest permitted subsets of set that contain kept. Picks a violated cant-coexist set;
 * each branch drops one of its groups and keeps the groups that earlier branches dropped, so that
 * no two branches find the same set.
 */
static void find(struct finder *f, uint64_t set, uint64_t kept)
{
	const struct model *m = f->m;
	uint64_t broken = 0;
	f->work -= (long)m->n_cant + 1;
	if (f->work < 0)
		f->too_many = true;
	if (f->too_many)
		return;
	for (size_t i = 0; i < m->n_cant && !broken; i++) {
		if (!(m->cant[i] & ~set))
			broken = m->cant[i];
	}
	if (!broken) {
		keep(f, set);
		return;
	}
	for (int i = 0; i < m->n; i++) {
		if (!(broken & group_bit(i)) || (kept & group_bit(i)))
			continue;
		find(f, set & ~group_bit(i), kept);
		kept |= group_bit(i);
	}
}

static int compare_sets(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Does an earlier type accept everything that type i accepts? */
static bool is_covered(const struct model_types *t, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (!(t->v[i].fits & ~t->v[j].fits))
			return true;
	}
	return false;
}

bool model_find_largest(struct model *m)
{
	struct finder f = { .m = m, .work = LARGEST_WORK };
	size_t out = 0;
	if (m->cant_empty)
		return true;
	for (size_t h = 0; h < m->hardware.n; h++) {
		if (is_covered(&m->hardware, h))
			continue;
		for (size_t i = 0; i < m->images.n; i++) {
			if (!is_covered(&m->images, i))
				find(&f, m->hardware.v[h].fits & m->images.v[i].fits, 0);
		}
	}
	if (f.too_many)
		return false;
	if (m->n_largest)
		qsort(m->largest, m->n_largest, sizeof(*m->largest), compare_sets);
	for (size_t i = 0; i < m->n_largest; i++) {
		if (!out || m->largest[out - 1] != m->largest[i])
			m->largest[out++] = m->largest[i];
	}
	m->n_largest = out;
	return true;
}
