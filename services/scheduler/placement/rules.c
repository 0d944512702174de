/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/rules.h"

#include "services/scheduler/plan/depend.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MACHINES_MAX  1000000
#define QUANTITY_NONE INT32_MAX

static const char *text_or(const char *s, const char *other)
{
	return s && *s ? s : other;
}

/* ---- services ------------------------------------------------------------------------------- */

static void read_services(struct solve_facts *f)
{
	const struct json *list = json_get(f->in->request, "services");

	if (!json_len(list))
		list = json_path(f->in->template, "defaults/services");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_at(list, i);
		const char *name = json_is(e, JSON_OBJECT) ? json_get_str(e, "name") : json_str(e);

		if (name && !strs_has(&f->services, name))
			strs_add(&f->services, name);
	}
	strs_sort(&f->services);
}

static int check_compatible(const struct solve_facts *f, struct loom_err *err)
{
	const struct json *allowed = json_path(f->in->template, "compatibility/services");
	struct strs bad = { 0 };
	LOOM_CLEANUP_STR char *names = NULL;
	int r = 0;

	for (size_t i = 0; i < f->services.n && json_len(allowed); i++) {
		if (!json_arr_has_str(allowed, f->services.v[i]))
			strs_add(&bad, f->services.v[i]);
	}
	if (bad.n) {
		names = strs_join(&bad, ",");
		r = err_set(err, 400, "%s are incompatible with the cluster", names);
	}
	strs_fini(&bad);
	return r;
}

static int check_exist(const struct solve_facts *f, struct loom_err *err)
{
	for (size_t i = 0; i < f->services.n; i++) {
		if (!map_get(f->definitions, f->services.v[i]))
			return err_set(err, 400, "service %s does not exist", f->services.v[i]);
	}
	return 0;
}

static int report(struct strs *lines, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *text = NULL;
	int r = 0;

	if (lines->n) {
		text = strs_join(lines, "\n");
		r = err_set(err, 400, "%s", text);
	}
	strs_fini(lines);
	return r;
}

static int check_required(const struct solve_facts *f, struct loom_err *err)
{
	struct strs have = { 0 };
	struct strs lines = { 0 };

	for (size_t i = 0; i < f->services.n; i++) {
		const struct json *doc = map_get(f->definitions, f->services.v[i]);
		const struct json *provides = json_path(doc, "dependencies/provides");

		strs_add(&have, f->services.v[i]);
		for (size_t k = 0; k < json_len(provides); k++) {
			if (json_str(json_at(provides, k)))
				strs_add(&have, json_str(json_at(provides, k)));
		}
	}
	for (size_t i = 0; i < f->services.n; i++) {
		const struct json *doc = map_get(f->definitions, f->services.v[i]);
		struct strs needs = { 0 };

		service_add_names(doc, "install", "requires", &needs);
		service_add_names(doc, "runtime", "requires", &needs);
		for (size_t k = 0; k < needs.n; k++) {
			if (!strs_has(&have, needs.v[k])) {
				strs_addf(
					&lines,
					"%s requires %s, which is not on the cluster or in the list of "
					"services to add.",
					f->services.v[i], needs.v[k]);
			}
		}
		strs_fini(&needs);
	}
	strs_fini(&have);
	return report(&lines, err);
}

static int check_conflicts(const struct solve_facts *f, struct loom_err *err)
{
	struct strs lines = { 0 };

	for (size_t i = 0; i < f->services.n; i++) {
		const struct json *doc = map_get(f->definitions, f->services.v[i]);
		const struct json *list = json_path(doc, "dependencies/conflicts");

		for (size_t k = 0; k < json_len(list); k++) {
			const char *other = json_str(json_at(list, k));

			if (other && strs_has(&f->services, other))
				strs_addf(&lines, "%s conflicts with %s.", f->services.v[i], other);
		}
	}
	return report(&lines, err);
}

/* ---- hardware and image types --------------------------------------------------------------- */

const struct json *facts_type_entry(const struct solve_facts *f, const struct json *types,
                                    const char *name)
{
	for (size_t i = 0; i < json_len(types); i++) {
		const struct json *t = json_at(types, i);

		if (str_eq(json_get_str(t, "name"), name))
			return json_get(json_get(t, "providermap"), f->provider);
	}
	return NULL;
}

struct type_kind {
	const char *what;       /* in messages */
	const char *field;      /* of a create request and the template's defaults */
	const char *compatible; /* list in the template's compatibility */
	const char *key;        /* what the provider must offer */
};

static const struct type_kind hardware_kind = { "hardware", "hardwaretype", "hardwaretypes",
	                                        "flavor" };
static const struct type_kind image_kind = { "image", "imagetype", "imagetypes", "image" };

static int compare_types(const void *a, const void *b)
{
	return strcmp(((const struct model_type *)a)->name, ((const struct model_type *)b)->name);
}

static int read_types(const struct solve_facts *f, const struct type_kind *kind,
                      const struct json *types, struct model_types *ret, struct loom_err *err)
{
	const struct json *template = f->in->template;
	const struct json *allowed =
		json_get(json_get(template, "compatibility"), kind->compatible);
	const char *wanted =
		text_or(json_get_str(f->in->request, kind->field),
	                text_or(json_get_str(json_get(template, "defaults"), kind->field), NULL));

	ret->v = loom_calloc(json_len(types) + 1, sizeof(*ret->v));
	for (size_t i = 0; i < json_len(types); i++) {
		const struct json *t = json_at(types, i);
		const char *name = json_get_str(t, "name");
		const struct json *entry = json_get(json_get(t, "providermap"), f->provider);

		if (!name || (wanted && strcmp(name, wanted) != 0) ||
		    !json_get_str(entry, kind->key) ||
		    (json_len(allowed) && !json_arr_has_str(allowed, name)))
			continue;
		ret->v[ret->n++].name = name;
	}
	if (!ret->n) {
		return err_set(err, 400,
		               "no %s types are available to use with template %s and provider %s"
		               "%s%s%s",
		               kind->what, f->template, f->provider, wanted ? " (asked for: " : "",
		               wanted ? wanted : "", wanted ? ")" : "");
	}
	qsort(ret->v, ret->n, sizeof(*ret->v), compare_types);
	return 0;
}

/* ---- constraints ---------------------------------------------------------------------------- */

static size_t index_of(const struct strs *l, const char *name)
{
	for (size_t i = 0; i < l->n && name; i++) {
		if (!strcmp(l->v[i], name))
			return i;
	}
	return SIZE_MAX;
}

static size_t root_of(const size_t *group, size_t i)
{
	while (group[i] != i)
		i = group[i];
	return i;
}

/* Marks the services that a list of sets names; joins those of one set when asked to. */
static void read_sets(const struct solve_facts *f, const struct json *sets, bool join,
                      bool *constrained, size_t *group)
{
	for (size_t i = 0; i < json_len(sets); i++) {
		const struct json *set = json_at(sets, i);
		size_t first = SIZE_MAX;

		for (size_t k = 0; k < json_len(set); k++) {
			const size_t s = index_of(&f->services, json_str(json_at(set, k)));

			if (s == SIZE_MAX)
				continue;
			constrained[s] = true;
			if (first == SIZE_MAX)
				first = s;
			else if (join)
				group[root_of(group, s)] = root_of(group, first);
		}
	}
}

static void add_quantities(struct model_atom *a, const char *service, const struct json *constraint)
{
	const struct json *q = json_get(constraint, "quantities");
	const int64_t asked = json_get_int(q, "min", 0);
	const int64_t min = asked > 1 ? asked : 1;
	const int64_t max = json_get_int(q, "max", QUANTITY_NONE);

	if (!a->services.n || min > a->min) {
		a->min = min;
		a->min_by = service;
	}
	if (!a->services.n || max < a->max) {
		a->max = max;
		a->max_by = service;
	}
	if (a->max > QUANTITY_NONE)
		a->max = QUANTITY_NONE;
}

static void add_fits(struct model_types *types, const struct json *accepted, uint64_t bit)
{
	for (size_t i = 0; i < types->n; i++) {
		if (json_len(accepted) && !json_arr_has_str(accepted, types->v[i].name))
			types->v[i].fits &= ~bit;
	}
}

static void read_cant(struct solve_facts *f, const struct json *sets, const int *atom_of)
{
	struct model *m = &f->model;

	m->cant = loom_calloc(json_len(sets) + 1, sizeof(*m->cant));
	m->cant_by = loom_calloc(json_len(sets) + 1, sizeof(*m->cant_by));
	for (size_t i = 0; i < json_len(sets); i++) {
		const struct json *set = json_at(sets, i);
		struct strs names = { 0 };
		uint64_t mask = 0;

		m->cant_empty |= !json_len(set);
		for (size_t k = 0; k < json_len(set); k++) {
			const size_t s = index_of(&f->services, json_str(json_at(set, k)));

			if (s == SIZE_MAX || atom_of[s] < 0)
				break;
			mask |= atom_bit(atom_of[s]);
			strs_add(&names, f->services.v[s]);
		}
		if (names.n && names.n == json_len(set)) {
			m->cant[m->n_cant] = mask;
			m->cant_by[m->n_cant++] = names;
		} else {
			strs_fini(&names);
		}
	}
}

/* Puts each service into its atom, or everywhere. atom_of: one per service. */
static int read_atoms(struct solve_facts *f, const bool *constrained, const size_t *group,
                      int *atom_of, struct loom_err *err)
{
	const struct json *limits = json_path(f->in->template, "constraints/services");
	struct model *m = &f->model;

	for (size_t i = 0; i < f->services.n; i++)
		atom_of[i] = -1;
	for (size_t i = 0; i < f->services.n; i++) {
		const char *name = f->services.v[i];
		const struct json *limit = json_get(limits, name);
		const size_t root = root_of(group, i);

		if (!constrained[i]) {
			strs_add(&m->everywhere, name);
			continue;
		}
		if (atom_of[root] < 0 && m->n == MODEL_ATOMS) {
			return err_set(
				err, 400,
				"more than %d services or groups of services have constraints",
				MODEL_ATOMS);
		}
		if (atom_of[root] < 0)
			atom_of[root] = m->n++;
		atom_of[i] = atom_of[root];
		add_quantities(&m->atoms[atom_of[i]], name, limit);
		strs_add(&m->atoms[atom_of[i]].services, name);
		add_fits(&m->hardware, json_get(limit, "hardwaretypes"), atom_bit(atom_of[i]));
		add_fits(&m->images, json_get(limit, "imagetypes"), atom_bit(atom_of[i]));
	}
	return 0;
}

static int read_constraints(struct solve_facts *f, struct loom_err *err)
{
	const struct json *all = json_get(f->in->template, "constraints");
	const struct json *layout = json_get(all, "layout");
	const size_t n = f->services.n;
	bool *constrained = loom_calloc(n, sizeof(*constrained));
	size_t *group = loom_calloc(n, sizeof(*group));
	int *atom_of = loom_calloc(n, sizeof(*atom_of));
	int r;

	for (size_t i = 0; i < n; i++) {
		group[i] = i;
		constrained[i] = json_get(json_get(all, "services"), f->services.v[i]) != NULL;
	}
	for (size_t i = 0; i < f->model.hardware.n; i++)
		f->model.hardware.v[i].fits = ~(uint64_t)0;
	for (size_t i = 0; i < f->model.images.n; i++)
		f->model.images.v[i].fits = ~(uint64_t)0;
	read_sets(f, json_get(layout, "mustcoexist"), true, constrained, group);
	read_sets(f, json_get(layout, "cantcoexist"), false, constrained, group);
	r = read_atoms(f, constrained, group, atom_of, err);
	if (!r)
		read_cant(f, json_get(layout, "cantcoexist"), atom_of);
	loom_free(constrained);
	loom_free(group);
	loom_free(atom_of);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int read_machines(struct solve_facts *f, struct loom_err *err)
{
	f->model.machines = json_get_int(f->in->request, "numMachines", 0);
	if (f->model.machines < 1)
		return err_set(err, 400, "cluster size must be greater than 0");
	if (f->model.machines > MACHINES_MAX)
		return err_set(err, 400, "numMachines above %d", MACHINES_MAX);
	return 0;
}

int facts_read(struct solve_facts *f, const struct solve_input *in, struct loom_err *err)
{
	struct model *m;
	int r;

	*f = (struct solve_facts){
		.in = in,
		.template = text_or(json_get_str(in->template, "name"), "?"),
		.provider = text_or(json_get_str(in->provider, "name"), "?"),
		.definitions = service_map(in->services),
	};
	m = &f->model;
	r = read_machines(f, err);
	r = r ? r : read_types(f, &hardware_kind, in->hardwaretypes, &m->hardware, err);
	r = r ? r : read_types(f, &image_kind, in->imagetypes, &m->images, err);
	if (r)
		return r;
	read_services(f);
	if (!f->services.n) {
		return err_set(err, 400,
		               "no services: the request names none and template %s has no default",
		               f->template);
	}
	r = check_compatible(f, err);
	r = r ? r : check_exist(f, err);
	r = r ? r : check_required(f, err);
	r = r ? r : check_conflicts(f, err);
	return r ? r : read_constraints(f, err);
}

void facts_fini(struct solve_facts *f)
{
	strs_fini(&f->services);
	map_destroy(f->definitions);
	model_fini(&f->model);
	*f = (struct solve_facts){ 0 };
}
