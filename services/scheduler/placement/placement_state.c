/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/placement_state.h"

#include "services/scheduler/plan/depend.h"

#include <stdlib.h>
#include <string.h>

#define UNLIMITED INT32_MAX

/* ---- services ------------------------------------------------------------------------------- */

static int compare_services(const void *a, const void *b)
{
	return strcmp(((const struct site_service *)a)->name,
	              ((const struct site_service *)b)->name);
}

size_t site_find(const struct site *s, const char *name)
{
	const struct site_service key = { .name = name };
	const struct site_service *found;

	if (!name || !s->n_services)
		return SIZE_MAX;
	found = bsearch(&key, s->services, s->n_services, sizeof(key), compare_services);
	return found ? (size_t)(found - s->services) : SIZE_MAX;
}

static void add_service(struct site *s, struct map *seen, const char *name, bool present)
{
	if (map_get(seen, name))
		return;
	map_set(seen, name, s);
	s->services = loom_realloc(s->services, (s->n_services + 1) * sizeof(*s->services));
	s->services[s->n_services++] = (struct site_service){ .name = name, .present = present };
}

static void read_limits(struct site *s, struct site_service *sv)
{
	const struct json *all = json_path(s->in->template, "constraints/services");
	const struct json *limit = json_get(all, sv->name);
	const struct json *q = json_get(limit, "quantities");

	sv->limited = limit != NULL;
	sv->hardware = json_get(limit, "hardwaretypes");
	sv->images = json_get(limit, "imagetypes");
	sv->min = json_get_int(q, "min", 0);
	sv->max = json_get_int(q, "max", UNLIMITED);
	sv->max = sv->max > UNLIMITED ? UNLIMITED : sv->max;
}

static void read_services(struct site *s, const struct strs *named)
{
	LOOM_CLEANUP(map_destroy) struct map *seen = map_create(NULL);
	const struct relayout_input *in = s->in;

	for (size_t i = 0; i < in->n_nodes; i++) {
		for (size_t k = 0; k < in->nodes[i].services.n; k++)
			add_service(s, seen, in->nodes[i].services.v[k], true);
	}
	for (size_t k = 0; named && k < named->n; k++)
		add_service(s, seen, named->v[k], false);
	if (s->n_services)
		qsort(s->services, s->n_services, sizeof(*s->services), compare_services);
	for (size_t i = 0; i < s->n_services; i++) {
		struct site_service *sv = &s->services[i];

		sv->doc = sv->present ? json_get(in->service_docs, sv->name) : NULL;
		if (!sv->doc)
			sv->doc = map_get(s->docs, sv->name);
		read_limits(s, sv);
	}
}

/* ---- sets ----------------------------------------------------------------------------------- */

static int compare_sizes(const void *a, const void *b)
{
	const size_t x = *(const size_t *)a;
	const size_t y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static void add_to_set(struct site_set *set, size_t service)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->v[i] == service)
			return;
	}
	set->v[set->n++] = service;
}

/* whole: only sets all of whose services are here. */
static struct site_set *read_sets(const struct site *s, const struct json *sets, bool whole,
                                  size_t *ret_n)
{
	struct site_set *ret = loom_calloc(json_len(sets) + 1, sizeof(*ret));

	*ret_n = 0;
	for (size_t i = 0; i < json_len(sets); i++) {
		const struct json *set = json_at(sets, i);
		struct site_set *to = &ret[*ret_n];
		bool all = true;

		to->v = loom_calloc(json_len(set) + 1, sizeof(*to->v));
		for (size_t k = 0; k < json_len(set); k++) {
			const size_t found = site_find(s, json_str(json_at(set, k)));

			if (found == SIZE_MAX)
				all = false;
			else
				add_to_set(to, found);
		}
		qsort(to->v, to->n, sizeof(*to->v), compare_sizes);
		if (to->n && (all || !whole)) {
			(*ret_n)++;
		} else {
			loom_free(to->v);
			*to = (struct site_set){ 0 };
		}
	}
	return ret;
}

static void read_layout(struct site *s)
{
	const struct json *layout = json_path(s->in->template, "constraints/layout");
	const struct json *cant = json_get(layout, "cantcoexist");

	s->must = read_sets(s, json_get(layout, "mustcoexist"), false, &s->n_must);
	s->cant = read_sets(s, cant, true, &s->n_cant);
	for (size_t i = 0; i < json_len(cant); i++)
		s->cant_empty |= !json_len(json_at(cant, i));
}

/* ---- kinds ---------------------------------------------------------------------------------- */

struct machine {
	const char *hardware, *image;
	bool *has;
	size_t n_services, node;
	int nodenum;
};

static int compare_machines(const void *a, const void *b)
{
	const struct machine *x = a;
	const struct machine *y = b;
	int c = strcmp(x->hardware, y->hardware);

	c = c ? c : strcmp(x->image, y->image);
	c = c ? c : -memcmp(x->has, y->has, x->n_services);
	return c ? c : (x->nodenum > y->nodenum) - (x->nodenum < y->nodenum);
}

static bool is_alike(const struct machine *x, const struct machine *y)
{
	return !strcmp(x->hardware, y->hardware) && !strcmp(x->image, y->image) &&
	       !memcmp(x->has, y->has, x->n_services);
}

static void read_kinds(struct site *s)
{
	const struct relayout_input *in = s->in;
	struct machine *all = loom_calloc(in->n_nodes + 1, sizeof(*all));

	for (size_t i = 0; i < in->n_nodes; i++) {
		const struct relayout_node *n = &in->nodes[i];

		all[i] = (struct machine){
			.hardware = n->hardwaretype ? n->hardwaretype : "",
			.image = n->imagetype ? n->imagetype : "",
			.has = loom_calloc(s->n_services + 1, sizeof(bool)),
			.n_services = s->n_services,
			.node = i,
			.nodenum = n->nodenum,
		};
		for (size_t k = 0; k < n->services.n; k++)
			all[i].has[site_find(s, n->services.v[k])] = true;
	}
	qsort(all, in->n_nodes, sizeof(*all), compare_machines);
	s->kinds = loom_calloc(in->n_nodes + 1, sizeof(*s->kinds));
	for (size_t i = 0, end; i < in->n_nodes; i = end) {
		struct site_kind *k = &s->kinds[s->n_kinds++];

		for (end = i + 1; end < in->n_nodes && is_alike(&all[i], &all[end]);)
			end++;
		*k = (struct site_kind){ .hardware = all[i].hardware, .image = all[i].image };
		k->has = loom_calloc(s->n_services + 1, sizeof(bool));
		memcpy(k->has, all[i].has, s->n_services * sizeof(bool));
		k->nodes = loom_calloc(end - i, sizeof(*k->nodes));
		for (; k->n < end - i; k->n++)
			k->nodes[k->n] = all[i + k->n].node;
	}
	for (size_t i = 0; i < in->n_nodes; i++)
		loom_free(all[i].has);
	loom_free(all);
}

int64_t site_count(const struct site_kind *kinds, size_t n, size_t service)
{
	int64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += kinds[i].has[service] ? (int64_t)kinds[i].n : 0;
	return count;
}

/* ---- all of it ------------------------------------------------------------------------------ */

void site_read(struct site *s, const struct relayout_input *in, const struct strs *named)
{
	const char *name = json_get_str(in->template, "name");

	*s = (struct site){
		.in = in,
		.template = name && *name ? name : "?",
		.docs = service_map(in->services),
	};
	read_services(s, named);
	read_layout(s);
	read_kinds(s);
}

void site_kinds_fini(struct site_kind *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		loom_free(kinds[i].has);
		loom_free(kinds[i].nodes);
	}
	loom_free(kinds);
}

static void sets_fini(struct site_set *sets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		loom_free(sets[i].v);
	loom_free(sets);
}

void site_fini(struct site *s)
{
	site_kinds_fini(s->kinds, s->n_kinds);
	sets_fini(s->must, s->n_must);
	sets_fini(s->cant, s->n_cant);
	loom_free(s->services);
	map_destroy(s->docs);
	*s = (struct site){ 0 };
}
