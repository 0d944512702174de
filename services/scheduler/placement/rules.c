/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the constraints of a template for the services of one cluster.
 * Nothing else reads them: placing, checking and explaining all use this struct.
 */
#include "services/scheduler/placement/rules.h"

#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/service_doc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- services ------------------------------------------------------------------------------- */

static int compare_services(const void *a, const void *b)
{
	return strcmp(((const struct rules_service *)a)->name,
	              ((const struct rules_service *)b)->name);
}

size_t rules_find(const struct rules *r, const char *name)
{
	const struct rules_service key = { .name = name };
	if (!name || !r->n_services)
		return SIZE_MAX;
	const struct rules_service *found =
		bsearch(&key, r->services, r->n_services, sizeof(key), compare_services);
	return found ? (size_t)(found - r->services) : SIZE_MAX;
}

static void add_services(struct rules *r, struct map *seen, const struct strs *names, bool present)
{
	for (size_t i = 0; names && i < names->n; i++) {
		if (map_get(seen, names->v[i]))
			continue;
		map_set(seen, names->v[i], r);
		r->services = loom_realloc(r->services, (r->n_services + 1) * sizeof(*r->services));
		r->services[r->n_services++] =
			(struct rules_service){ .name = names->v[i], .present = present };
	}
}

static void read_limits(const struct json *limits, struct rules_service *sv)
{
	const struct json *limit = json_get(limits, sv->name);
	const struct json *q = json_get(limit, "quantities");
	sv->limited = sv->constrained = limit != NULL;
	sv->hardware = json_get(limit, "hardwaretypes");
	sv->images = json_get(limit, "imagetypes");
	sv->min = json_get_int(q, "min", 0);
	sv->max = json_get_int(q, "max", RULES_UNLIMITED);
	if (sv->max > RULES_UNLIMITED)
		sv->max = RULES_UNLIMITED;
}

static void read_services(struct rules *r, const struct strs *named)
{
	LOOM_CLEANUP(map_destroy) struct map *seen = map_create(NULL);
	LOOM_CLEANUP(map_destroy) struct map *docs = service_doc_map(r->in->services);
	const struct json *limits = json_path(r->in->template, "constraints/services");
	for (size_t i = 0; i < r->in->n_nodes; i++)
		add_services(r, seen, &r->in->nodes[i].services, true);
	add_services(r, seen, named, false);
	if (r->n_services)
		qsort(r->services, r->n_services, sizeof(*r->services), compare_services);
	for (size_t i = 0; i < r->n_services; i++) {
		struct rules_service *sv = &r->services[i];
		/* A cluster keeps the definitions that it was created with. */
		sv->doc = sv->present ? json_get(r->in->service_docs, sv->name) : NULL;
		if (!sv->doc)
			sv->doc = map_get(docs, sv->name);
		read_limits(limits, sv);
	}
}

/* ---- sets ----------------------------------------------------------------------------------- */

static int compare_sizes(const void *a, const void *b)
{
	const size_t x = *(const size_t *)a;
	const size_t y = *(const size_t *)b;
	return (x > y) - (x < y);
}

/* Reads the services of a set that are in r; *ret_all: are all of them? */
static struct rules_set read_set(struct rules *r, const struct json *names, bool *ret_all)
{
	struct rules_set set = { .v = loom_calloc(json_len(names) + 1, sizeof(*set.v)) };
	size_t n = 0;
	*ret_all = true;
	for (size_t k = 0; k < json_len(names); k++) {
		const size_t found = rules_find(r, json_str(json_at(names, k)));
		if (found == SIZE_MAX) {
			*ret_all = false;
			continue;
		}
		r->services[found].constrained = true;
		set.v[n++] = found;
	}
	qsort(set.v, n, sizeof(*set.v), compare_sizes);
	for (size_t k = 0; k < n; k++) {
		if (!set.n || set.v[set.n - 1] != set.v[k])
			set.v[set.n++] = set.v[k];
	}
	return set;
}

/* whole: drop sets with services that are not in r. */
static struct rules_set *read_sets(struct rules *r, const struct json *sets, bool whole,
                                   size_t *ret_n)
{
	struct rules_set *ret = loom_calloc(json_len(sets) + 1, sizeof(*ret));
	*ret_n = 0;
	for (size_t i = 0; i < json_len(sets); i++) {
		bool all;
		const struct rules_set set = read_set(r, json_at(sets, i), &all);
		if (set.n && (all || !whole))
			ret[(*ret_n)++] = set;
		else
			loom_free(set.v);
	}
	return ret;
}

void rules_read(struct rules *r, const struct relayout_input *in, const struct strs *named)
{
	const struct json *layout = json_path(in->template, "constraints/layout");
	const struct json *cant = json_get(layout, "cantcoexist");
	const char *name = json_get_str(in->template, "name");
	*r = (struct rules){ .in = in, .template = name && *name ? name : "?" };
	read_services(r, named);
	r->must = read_sets(r, json_get(layout, "mustcoexist"), false, &r->n_must);
	r->cant = read_sets(r, cant, true, &r->n_cant);
	for (size_t i = 0; i < json_len(cant); i++)
		r->cant_empty |= !json_len(json_at(cant, i));
}

static void sets_fini(struct rules_set *sets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		loom_free(sets[i].v);
	loom_free(sets);
}

void rules_fini(struct rules *r)
{
	sets_fini(r->must, r->n_must);
	sets_fini(r->cant, r->n_cant);
	loom_free(r->services);
	*r = (struct rules){ 0 };
}

bool rules_accepts(const struct json *accepted, const char *type)
{
	return !json_len(accepted) || json_arr_has_str(accepted, type);
}

bool rules_contains(const struct rules_set *set, const bool *has, const bool *more)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!has[set->v[i]] && !(more && more[set->v[i]]))
			return false;
	}
	return true;
}

/* ---- services that share nodes -------------------------------------------------------------- */

void coexist_group_add(struct coexist_group *g, const struct rules_service *sv)
{
	const int64_t min = sv->min > 1 ? sv->min : 1;
	if (!g->services.n || min > g->min) {
		g->min = min;
		g->min_by = sv->name;
	}
	if (!g->services.n || sv->max < g->max) {
		g->max = sv->max;
		g->max_by = sv->name;
	}
	strs_add(&g->services, sv->name);
}

static size_t root_of(const size_t *root, size_t i)
{
	while (root[i] != i)
		i = root[i];
	return i;
}

size_t *rules_coexist(const struct rules *r, const bool *which)
{
	size_t *root = loom_calloc(r->n_services + 1, sizeof(*root));
	for (size_t i = 0; i < r->n_services; i++)
		root[i] = i;
	for (size_t i = 0; i < r->n_must; i++) {
		const struct rules_set *set = &r->must[i];
		bool counts = !which;
		for (size_t k = 0; k < set->n && !counts; k++)
			counts = which[set->v[k]];
		for (size_t k = 1; k < set->n && counts; k++)
			root[root_of(root, set->v[k])] = root_of(root, set->v[0]);
	}
	for (size_t i = 0; i < r->n_services; i++)
		root[i] = root_of(root, i);
	return root;
}

/* ---- checks --------------------------------------------------------------------------------- */

/* Reports all problems, one per line. Takes the lines. */
static int report(struct strs *lines, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *text = strs_join(lines, "\n");
	const int rc = lines->n ? err_set(err, 400, "%s", text) : 0;
	strs_fini(lines);
	return rc;
}

static bool is_on(const bool *on, size_t service)
{
	return !on || on[service];
}

int rules_check_compatible(const struct rules *r, const bool *which, struct loom_err *err)
{
	const struct json *allowed = json_path(r->in->template, "compatibility/services");
	LOOM_CLEANUP(buf_fini) struct buf may = BUF_INIT(REASON_LIST);
	LOOM_CLEANUP_STR char *names = NULL;
	struct strs bad = { 0 };
	for (size_t i = 0; i < r->n_services; i++) {
		if (is_on(which, i) && !rules_accepts(allowed, r->services[i].name))
			strs_add(&bad, r->services[i].name);
	}
	if (!bad.n)
		return 0;
	names = strs_join(&bad, ",");
	strs_fini(&bad);
	for (size_t i = 0; i < json_len(allowed); i++)
		reason_add_name(&may, json_str(json_at(allowed, i)));
	return err_set(err, 400,
	               "%s are incompatible with the cluster; template %s allows %s "
	               "(compatibility.services)",
	               names, r->template, buf_str(&may));
}

int rules_check_defined(const struct rules *r, const bool *which, struct loom_err *err)
{
	for (size_t i = 0; i < r->n_services; i++) {
		if (is_on(which, i) && !r->services[i].doc)
			return err_set(err, 400, "service %s does not exist", r->services[i].name);
	}
	return 0;
}

int rules_check_conflicts(const struct rules *r, const bool *on, struct loom_err *err)
{
	struct strs lines = { 0 };
	for (size_t i = 0; i < r->n_services; i++) {
		const struct rules_service *sv = &r->services[i];
		const struct json *list = json_path(sv->doc, "dependencies/conflicts");
		for (size_t k = 0; k < json_len(list) && is_on(on, i); k++) {
			const size_t other = rules_find(r, json_str(json_at(list, k)));
			if (other != SIZE_MAX && is_on(on, other)) {
				strs_addf(&lines, "%s conflicts with %s.", sv->name,
				          r->services[other].name);
			}
		}
	}
	return report(&lines, err);
}

/* The names of the services and of everything that they provide. */
static struct map *provided(const struct rules *r, const bool *on)
{
	struct map *names = map_create(NULL);
	for (size_t i = 0; i < r->n_services; i++) {
		struct strs more = { 0 };
		if (!is_on(on, i))
			continue;
		map_set(names, r->services[i].name, names);
		service_doc_add_provided(r->services[i].doc, &more);
		for (size_t k = 0; k < more.n; k++)
			map_set(names, more.v[k], names);
		strs_fini(&more);
	}
	return names;
}

int rules_check_required(const struct rules *r, const bool *before, const bool *on,
                         struct loom_err *err)
{
	LOOM_CLEANUP(map_destroy) struct map *had = before ? provided(r, before) : NULL;
	LOOM_CLEANUP(map_destroy) struct map *have = provided(r, on);
	struct strs lines = { 0 };
	for (size_t i = 0; i < r->n_services; i++) {
		struct strs needs = { 0 };
		if (!is_on(on, i))
			continue;
		service_doc_add_needs(r->services[i].doc, "install", "requires", &needs);
		service_doc_add_needs(r->services[i].doc, "runtime", "requires", &needs);
		for (size_t k = 0; k < needs.n; k++) {
			if (map_get(have, needs.v[k]) || (had && !map_get(had, needs.v[k])))
				continue;
			strs_addf(&lines, "%s requires %s, which %s.", r->services[i].name,
			          needs.v[k],
			          had ? "would no longer be on the cluster"
			              : "is not on the cluster or in the list of services to add");
		}
		strs_fini(&needs);
	}
	return report(&lines, err);
}

int rules_check_size(const struct rules *r, int64_t nodes, struct loom_err *err)
{
	const struct json *size = json_path(r->in->template, "constraints/size");
	const int64_t min = json_get_int(size, "min", 1);
	const int64_t max = json_get_int(size, "max", RULES_UNLIMITED);
	if (nodes >= min && nodes <= max)
		return 0;
	if (max == RULES_UNLIMITED) {
		return err_set(err, 400,
		               "template %s asks for at least %" PRId64
		               " %s; there would be %" PRId64,
		               r->template, REASON_NODES(min), nodes);
	}
	return err_set(err, 400,
	               "template %s asks for at least %" PRId64 " and at most %" PRId64
	               " nodes; there would be %" PRId64,
	               r->template, min, max, nodes);
}
