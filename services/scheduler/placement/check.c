/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts against the rules of a template, and what is wrong with them in words. */
#include "services/scheduler/placement/placement_state.h"
#include "services/scheduler/plan/depend.h"

#include <inttypes.h>

#define NODES(n) (n), site_nodes_word(n)

const char *site_nodes_word(int64_t n)
{
	return n == 1 ? "node" : "nodes";
}

void site_list(struct buf *b, const struct strs *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (i)
			buf_adds(b, i + 1 == names->n ? " and " : ", ");
		buf_adds(b, names->v[i]);
	}
}

void site_list_set(struct buf *b, const struct site *s, const struct site_set *set)
{
	struct strs names = { 0 };

	for (size_t i = 0; i < set->n; i++)
		strs_add(&names, s->services[set->v[i]].name);
	site_list(b, &names);
	strs_fini(&names);
}

bool site_accepts(const struct json *accepted, const char *type)
{
	return !json_len(accepted) || json_arr_has_str(accepted, type);
}

bool site_contains(const struct site_set *set, const bool *has, const bool *more)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!has[set->v[i]] && !(more && more[set->v[i]]))
			return false;
	}
	return true;
}

/* ---- each machine --------------------------------------------------------------------------- */

static int first_nodenum(const struct site *s, const struct site_kind *k)
{
	return s->in->nodes[k->nodes[0]].nodenum;
}

static int check_types(const struct site *s, const struct site_kind *k, struct loom_err *err)
{
	for (size_t i = 0; i < s->n_services; i++) {
		const struct site_service *sv = &s->services[i];
		const bool hardware = site_accepts(sv->hardware, k->hardware);

		if (!k->has[i] || (hardware && site_accepts(sv->images, k->image)))
			continue;
		return err_set(err, 400,
		               "service %s does not accept the %s type %s of node %d, which has it",
		               sv->name, hardware ? "image" : "hardware",
		               hardware ? k->image : k->hardware, first_nodenum(s, k));
	}
	return 0;
}

static int check_must(const struct site *s, const struct site_kind *k, const bool *on,
                      struct loom_err *err)
{
	for (size_t i = 0; i < s->n_must; i++) {
		const struct site_set *set = &s->must[i];
		size_t has = SIZE_MAX;
		size_t lacks = SIZE_MAX;

		for (size_t j = 0; j < set->n; j++) {
			if (k->has[set->v[j]])
				has = has == SIZE_MAX ? set->v[j] : has;
			else if (on[set->v[j]])
				lacks = lacks == SIZE_MAX ? set->v[j] : lacks;
		}
		if (has != SIZE_MAX && lacks != SIZE_MAX) {
			return err_set(
				err, 400,
				"services %s and %s must be on the same nodes (mustcoexist), but "
				"node %d has only %s",
				s->services[has].name, s->services[lacks].name, first_nodenum(s, k),
				s->services[has].name);
		}
	}
	return 0;
}

static int check_cant(const struct site *s, const struct site_kind *k, struct loom_err *err)
{
	for (size_t i = 0; i < s->n_cant; i++) {
		struct buf who = BUF_INIT(SITE_TEXT);

		if (!site_contains(&s->cant[i], k->has, NULL))
			continue;
		site_list_set(&who, s, &s->cant[i]);
		err_set(err, 400,
		        "services %s may not share a node (cantcoexist), but are on node %d",
		        buf_str(&who), first_nodenum(s, k));
		buf_fini(&who);
		return 400;
	}
	return 0;
}

int site_check_nodes(const struct site *s, const struct site_layout *l, struct loom_err *err)
{
	int r = 0;

	if (s->cant_empty && s->n_services) {
		return err_set(
			err, 400,
			"template %s has an empty cantcoexist set, which forbids every set of "
			"services",
			s->template);
	}
	for (size_t i = 0; i < l->n_kinds && !r; i++) {
		if (!l->kinds[i].n)
			continue;
		r = check_types(s, &l->kinds[i], err);
		r = r ? r : check_must(s, &l->kinds[i], l->on, err);
		r = r ? r : check_cant(s, &l->kinds[i], err);
	}
	return r;
}

/* ---- numbers -------------------------------------------------------------------------------- */

int site_check_counts(const struct site *s, const struct site_layout *l, struct loom_err *err)
{
	for (size_t i = 0; i < s->n_services; i++) {
		const struct site_service *sv = &s->services[i];
		const int64_t count = site_count(l->kinds, l->n_kinds, i);

		if (!l->on[i] || (count >= sv->min && count <= sv->max))
			continue;
		if (count < sv->min) {
			return err_set(err, 400,
			               "service %s needs at least %" PRId64
			               " %s, but would be on %" PRId64,
			               sv->name, NODES(sv->min), count);
		}
		return err_set(err, 400,
		               "service %s may be on at most %" PRId64
		               " %s, but would be on %" PRId64,
		               sv->name, NODES(sv->max), count);
	}
	return 0;
}

int site_check_size(const struct site *s, int64_t machines, struct loom_err *err)
{
	const struct json *size = json_path(s->in->template, "constraints/size");
	const int64_t min = json_get_int(size, "min", 1);
	const int64_t max = json_get_int(size, "max", INT32_MAX);

	if (machines >= min && machines <= max)
		return 0;
	if (max == INT32_MAX) {
		return err_set(err, 400,
		               "template %s asks for at least %" PRId64
		               " %s; there would be %" PRId64,
		               s->template, NODES(min), machines);
	}
	return err_set(err, 400,
	               "template %s asks for at least %" PRId64 " and at most %" PRId64
	               " nodes; there would be %" PRId64,
	               s->template, min, max, machines);
}

/* ---- services with each other --------------------------------------------------------------- */

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

int site_check_compatible(const struct site *s, const bool *which, struct loom_err *err)
{
	const struct json *allowed = json_path(s->in->template, "compatibility/services");
	struct strs bad = { 0 };
	LOOM_CLEANUP_STR char *names = NULL;

	for (size_t i = 0; i < s->n_services; i++) {
		if (which[i] && !site_accepts(allowed, s->services[i].name))
			strs_add(&bad, s->services[i].name);
	}
	if (!bad.n)
		return 0;
	names = strs_join(&bad, ",");
	strs_fini(&bad);
	return err_set(err, 400, "%s are incompatible with the cluster", names);
}

void site_add_provided(const struct site *s, const bool *on, struct strs *ret)
{
	for (size_t i = 0; i < s->n_services; i++) {
		const struct json *list = json_path(s->services[i].doc, "dependencies/provides");

		if (!on[i])
			continue;
		strs_add(ret, s->services[i].name);
		for (size_t k = 0; k < json_len(list); k++) {
			if (json_str(json_at(list, k)))
				strs_add(ret, json_str(json_at(list, k)));
		}
	}
}

int site_check_required(const struct site *s, const bool *on, struct loom_err *err)
{
	struct strs have = { 0 };
	struct strs lines = { 0 };

	site_add_provided(s, on, &have);
	for (size_t i = 0; i < s->n_services; i++) {
		struct strs needs = { 0 };

		if (!on[i])
			continue;
		service_add_names(s->services[i].doc, "install", "requires", &needs);
		service_add_names(s->services[i].doc, "runtime", "requires", &needs);
		for (size_t k = 0; k < needs.n; k++) {
			if (!strs_has(&have, needs.v[k])) {
				strs_addf(
					&lines,
					"%s requires %s, which is not on the cluster or in the list of "
					"services to add.",
					s->services[i].name, needs.v[k]);
			}
		}
		strs_fini(&needs);
	}
	strs_fini(&have);
	return report(&lines, err);
}

int site_check_conflicts(const struct site *s, const bool *on, struct loom_err *err)
{
	struct strs lines = { 0 };

	for (size_t i = 0; i < s->n_services; i++) {
		const struct json *list = json_path(s->services[i].doc, "dependencies/conflicts");

		for (size_t k = 0; k < json_len(list) && on[i]; k++) {
			const size_t other = site_find(s, json_str(json_at(list, k)));

			if (other != SIZE_MAX && on[other]) {
				strs_addf(&lines, "%s conflicts with %s.", s->services[i].name,
				          s->services[other].name);
			}
		}
	}
	return report(&lines, err);
}
