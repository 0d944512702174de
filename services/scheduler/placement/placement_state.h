/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement_state - a cluster as it stands, together with the rules of a template: its machines by
 * kind, its services and their limits. And the checks of a layout against the rules.
 *
 * Any thread; strings and documents are borrowed from the relayout_input.
 */
#ifndef LOOM_SCHEDULER_PLACEMENT_STATE_H
#define LOOM_SCHEDULER_PLACEMENT_STATE_H

#include "common/base/buf.h"
#include "services/scheduler/placement/relayout.h"

#include <stdbool.h>

#define SITE_TEXT 700 /* of a list inside a reason */

struct site_service {
	const char *name;
	const struct json *doc;               /* NULL: no definition */
	const struct json *hardware, *images; /* accepted; none: all */
	int64_t min, max;
	bool limited; /* the template has an entry for it */
	bool present; /* on a machine now */
};

/* A must-coexist or cant-coexist set: services by index, ascending. */
struct site_set {
	size_t *v;
	size_t n;
};

/* Machines that are alike. */
struct site_kind {
	const char *hardware, *image;
	bool *has;     /* by service */
	size_t *nodes; /* indexes into relayout_input.nodes, by nodenum */
	size_t n;
};

struct site {
	const struct relayout_input *in;
	const char *template;          /* name */
	struct site_service *services; /* by name: those on the cluster, and those asked for */
	size_t n_services;
	struct site_set *must, *cant; /* must: less services not here; cant: without such sets */
	size_t n_must, n_cant;
	bool cant_empty; /* an empty cant-coexist set forbids everything */
	struct site_kind *kinds;
	size_t n_kinds;
	struct map *docs; /* latest definitions, by name */
};

/* named: services that need not be on the cluster, or NULL. Call site_fini() in any case. */
void site_read(struct site *s, const struct relayout_input *in, const struct strs *named);
void site_fini(struct site *s);
void site_kinds_fini(struct site_kind *kinds, size_t n);

/* Index of a service, or SIZE_MAX. */
size_t site_find(const struct site *s, const char *name);
/* How many machines of the kinds have a service. */
int64_t site_count(const struct site_kind *kinds, size_t n, size_t service);
bool site_accepts(const struct json *accepted, const char *type);
/* Is all of set in a kind, or in `more`, too (NULL: nothing). */
bool site_contains(const struct site_set *set, const bool *has, const bool *more);

/* ---- checks: 0, or 400 with err ------------------------------------------------------------- */

struct site_layout {
	const struct site_kind *kinds;
	size_t n_kinds;
	const bool *on; /* services of the cluster in that layout */
};

/* Each machine: hardware, image, mustcoexist, cantcoexist. */
LOOM_MUST_CHECK int site_check_nodes(const struct site *s, const struct site_layout *l,
                                     struct loom_err *err);
/* How many machines have each service. */
LOOM_MUST_CHECK int site_check_counts(const struct site *s, const struct site_layout *l,
                                      struct loom_err *err);
/* How many machines there are. */
LOOM_MUST_CHECK int site_check_size(const struct site *s, int64_t machines, struct loom_err *err);
/* on: the services of the cluster afterwards. Those that the template is not made for; */
LOOM_MUST_CHECK int site_check_compatible(const struct site *s, const bool *which,
                                          struct loom_err *err);
/* those that lack a service they require; */
LOOM_MUST_CHECK int site_check_required(const struct site *s, const bool *on, struct loom_err *err);
/* and those that conflict. */
LOOM_MUST_CHECK int site_check_conflicts(const struct site *s, const bool *on,
                                         struct loom_err *err);
/* Names that the services and what they provide stand for are added to ret. */
void site_add_provided(const struct site *s, const bool *on, struct strs *ret);

/* ---- words ---------------------------------------------------------------------------------- */

/* "a", "a and b", "a, b and c" */
void site_list(struct buf *b, const struct strs *names);
void site_list_set(struct buf *b, const struct site *s, const struct site_set *set);
/* "1 node", "2 nodes" */
const char *site_nodes_word(int64_t n);

#endif
