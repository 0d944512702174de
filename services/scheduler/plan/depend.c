/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the dependencies of services into graphs and answers which service must wait for which.
 * Services without the action in question are passed through, because order must hold across them.
 */
#include "services/scheduler/plan/depend.h"

#include "common/base/buf.h"

#include <string.h>

/* ---- relations ------------------------------------------------------------------------------ */

/* Lists of indexes, one per service. */
struct edges {
	size_t *v, *first; /* those of i are v[first[i]] .. v[first[i + 1] - 1] */
};

struct depend {
	const struct strs *names;
	size_t n;
	const struct json **docs;
	bool *acts[DEPEND_RELATIONS_];         /* services that have the relation's action */
	struct edges edges[DEPEND_RELATIONS_]; /* as in the definitions */
	bool *reach[DEPEND_RELATIONS_]; /* n x n, filled on first use; [i][i]: i is in a cycle */
};

static const char *const relation_action[DEPEND_RELATIONS_] = {
	[DEPEND_INSTALL] = "install",
	[DEPEND_RUNTIME] = "start",
	[DEPEND_STOP] = "stop",
	[DEPEND_REMOVE] = "remove",
};

/* A growing list of indexes. */
struct indexes {
	size_t *v;
	size_t n;
};

static void indexes_free(void *p)
{
	loom_free(((struct indexes *)p)->v);
	loom_free(p);
}

static void indexes_add(struct indexes *p, size_t i)
{
	p->v = LOOM_GROW(p->v, p->n);
	p->v[p->n++] = i;
}

static void index_add(struct map *index, const char *name, size_t i)
{
	struct indexes *p = map_get(index, name);
	if (!p) {
		p = loom_calloc(1, sizeof(*p));
		map_set(index, name, p);
	}
	indexes_add(p, i);
}

/* Maps each name to its services: all that provide it or, if none does, the one called so. */
static struct map *index_names(const struct depend *d)
{
	struct map *index = map_create(indexes_free);
	for (size_t i = 0; i < d->n; i++) {
		const struct json *list = json_path(d->docs[i], "dependencies/provides");
		for (size_t k = 0; k < json_len(list); k++) {
			const char *name = json_str(json_at(list, k));
			if (name && strcmp(name, d->names->v[i]) != 0)
				index_add(index, name, i);
		}
	}
	for (size_t i = 0; i < d->n; i++) {
		if (!map_get(index, d->names->v[i]))
			index_add(index, d->names->v[i], i);
	}
	return index;
}

/* What each service needs in a phase. Owned, one list per service. */
static struct strs *read_needs(const struct depend *d, const char *phase)
{
	struct strs *needs = loom_calloc(d->n + 1, sizeof(*needs));
	for (size_t i = 0; i < d->n; i++) {
		service_doc_add_needs(d->docs[i], phase, "requires", &needs[i]);
		service_doc_add_needs(d->docs[i], phase, "uses", &needs[i]);
	}
	return needs;
}

/* Adds what i waits for because of one name. Those that both provide and need it are equals: each
 * has it from itself, and none waits for another. */
static void add_waits(size_t i, const char *name, const struct indexes *by, const struct strs *own,
                      const struct strs *needs, struct indexes *all)
{
	const bool provides = by && strs_has(own, name);
	for (size_t k = 0; by && k < by->n; k++) {
		const size_t from = by->v[k];
		if (from != i && !(provides && strs_has(&needs[from], name)))
			indexes_add(all, from);
	}
}

static void read_edges(struct depend *d, const struct map *index, const char *phase,
                       struct edges *e)
{
	struct indexes all = { .v = loom_calloc(1, sizeof(*all.v)) };
	struct strs *needs = read_needs(d, phase);
	e->first = loom_calloc(d->n + 1, sizeof(*e->first));
	for (size_t i = 0; i < d->n; i++) {
		LOOM_CLEANUP(strs_fini) struct strs own = { 0 };
		service_doc_add_provided(d->docs[i], &own);
		for (size_t k = 0; k < needs[i].n; k++) {
			const char *name = needs[i].v[k];
			add_waits(i, name, map_get(index, name), &own, needs, &all);
		}
		e->first[i + 1] = all.n;
	}
	e->v = all.v;
	for (size_t i = 0; i < d->n; i++)
		strs_fini(&needs[i]);
	loom_free(needs);
}

static void reverse_edges(size_t n, const struct edges *from, struct edges *to)
{
	to->first = loom_calloc(n + 2, sizeof(*to->first));
	to->v = loom_calloc(from->first[n] + 1, sizeof(*to->v));
	for (size_t k = 0; k < from->first[n]; k++)
		to->first[from->v[k] + 2]++;
	for (size_t i = 0; i < n; i++)
		to->first[i + 2] += to->first[i + 1];
	for (size_t i = 0; i < n; i++) {
		for (size_t k = from->first[i]; k < from->first[i + 1]; k++)
			to->v[to->first[from->v[k] + 1]++] = i;
	}
}

/* Marks every service that `from` reaches in at least one step. stack has room for n. */
static void mark_reach(const struct edges *e, size_t from, bool *mark, size_t *stack)
{
	size_t top = 0;
	stack[top++] = from;
	while (top) {
		const size_t i = stack[--top];
		for (size_t k = e->first[i]; k < e->first[i + 1]; k++) {
			if (mark[e->v[k]])
				continue;
			mark[e->v[k]] = true;
			if (e->v[k] != from)
				stack[top++] = e->v[k];
		}
	}
}

/* n x n flags, owned */
static bool *mark_all(size_t n, const struct edges *e)
{
	size_t *stack = loom_calloc(n + 1, sizeof(*stack));
	bool *reach = loom_calloc(n * n + 1, sizeof(*reach));
	for (size_t i = 0; i < n; i++)
		mark_reach(e, i, reach + i * n, stack);
	loom_free(stack);
	return reach;
}

static void edges_fini(struct edges *e)
{
	loom_free(e->v);
	loom_free(e->first);
}

static size_t add_edges(const struct edges *from, size_t i, size_t *v)
{
	const size_t n = from->first[i + 1] - from->first[i];
	if (n)
		memcpy(v, from->v + from->first[i], n * sizeof(*v));
	return n;
}

/* Joins install and runtime dependencies, without the edges of cycles. */
static void join_edges(size_t n, const struct edges *a, const struct edges *b, struct edges *to)
{
	size_t out = 0;
	size_t from = 0;
	to->v = loom_calloc(a->first[n] + b->first[n] + 1, sizeof(*to->v));
	to->first = loom_calloc(n + 1, sizeof(*to->first));
	for (size_t i = 0; i < n; i++) {
		to->first[i + 1] = to->first[i] + add_edges(a, i, to->v + to->first[i]);
		to->first[i + 1] += add_edges(b, i, to->v + to->first[i + 1]);
	}
	bool *reach = mark_all(n, to);
	for (size_t i = 0; i < n; i++) {
		const size_t end = to->first[i + 1];
		for (; from < end; from++) {
			if (!reach[to->v[from] * n + i])
				to->v[out++] = to->v[from];
		}
		to->first[i + 1] = out;
	}
	loom_free(reach);
}

struct depend *depend_create(const struct strs *names, const struct map *docs)
{
	struct depend *d = loom_calloc(1, sizeof(*d));
	struct edges both = { 0 };
	d->names = names;
	d->n = names->n;
	d->docs = loom_calloc(d->n + 1, sizeof(*d->docs));
	for (size_t i = 0; i < d->n; i++)
		d->docs[i] = map_get(docs, names->v[i]);
	for (int rel = 0; rel < DEPEND_RELATIONS_; rel++) {
		d->acts[rel] = loom_calloc(d->n + 1, sizeof(*d->acts[rel]));
		for (size_t i = 0; i < d->n; i++)
			d->acts[rel][i] = service_doc_has_action(d->docs[i], relation_action[rel]);
	}
	struct map *index = index_names(d);
	read_edges(d, index, "install", &d->edges[DEPEND_INSTALL]);
	read_edges(d, index, "runtime", &d->edges[DEPEND_RUNTIME]);
	reverse_edges(d->n, &d->edges[DEPEND_RUNTIME], &d->edges[DEPEND_STOP]);
	join_edges(d->n, &d->edges[DEPEND_INSTALL], &d->edges[DEPEND_RUNTIME], &both);
	reverse_edges(d->n, &both, &d->edges[DEPEND_REMOVE]);
	edges_fini(&both);
	map_destroy(index);
	return d;
}

void depend_destroy(struct depend *d)
{
	if (!d)
		return;
	for (int rel = 0; rel < DEPEND_RELATIONS_; rel++) {
		edges_fini(&d->edges[rel]);
		loom_free(d->acts[rel]);
		loom_free(d->reach[rel]);
	}
	loom_free(d->docs);
	loom_free(d);
}

const bool *depend_acts(const struct depend *d, enum depend_relation rel)
{
	return d->acts[rel];
}

bool depend_has_action(const struct depend *d, size_t service, const char *action)
{
	return service_doc_has_action(d->docs[service], action);
}

/* ---- reachability --------------------------------------------------------------------------- */

static const bool *reach_from(struct depend *d, enum depend_relation rel, size_t i)
{
	if (!d->reach[rel])
		d->reach[rel] = mark_all(d->n, &d->edges[rel]);
	return d->reach[rel] + i * d->n;
}

bool depend_runtime(struct depend *d, size_t a, size_t b)
{
	return a != b && reach_from(d, DEPEND_RUNTIME, a)[b];
}

/* ---- nearest acting services ---------------------------------------------------------------- */

/* The acting services that `service` reaches through services that do not act. Ascending; owned. */
static struct depend_list nearest(const struct depend *d, enum depend_relation rel, size_t service,
                                  const bool *acts)
{
	const struct edges *e = &d->edges[rel];
	bool *seen = loom_calloc(d->n + 1, sizeof(*seen));
	size_t *stack = loom_calloc(d->n + 1, sizeof(*stack));
	size_t *found = loom_calloc(d->n + 1, sizeof(*found));
	size_t top = 0;
	size_t n = 0;
	seen[service] = true;
	stack[top++] = service;
	while (top) {
		const size_t i = stack[--top];
		for (size_t k = e->first[i]; k < e->first[i + 1]; k++) {
			const size_t next = e->v[k];
			if (seen[next])
				continue;
			seen[next] = true;
			if (!acts[next])
				stack[top++] = next;
		}
	}
	seen[service] = false;
	for (size_t i = 0; i < d->n; i++) {
		if (seen[i] && acts[i])
			found[n++] = i;
	}
	loom_free(seen);
	loom_free(stack);
	return (struct depend_list){ found, n };
}

struct depend_list depend_nearest(struct depend *d, enum depend_relation rel, size_t service,
                                  const bool *acts, bool all)
{
	struct depend_list found = nearest(d, rel, service, acts);
	size_t *kept = loom_calloc(found.n + 1, sizeof(*kept));
	size_t n = 0;
	for (size_t i = 0; i < found.n; i++) {
		bool implied = false;
		for (size_t k = 0; k < found.n && !implied && !all; k++) {
			implied = k != i && reach_from(d, rel, found.v[k])[found.v[i]] &&
			          !reach_from(d, rel, found.v[i])[found.v[k]];
		}
		if (!implied)
			kept[n++] = found.v[i];
	}
	loom_free(found.v);
	return (struct depend_list){ kept, n };
}

/* ---- circles -------------------------------------------------------------------------------- */

struct circle {
	struct depend *d;
	enum depend_relation rel;
	signed char *state; /* 0 new, 1 on the path, 2 done */
	size_t *path;
	size_t depth;
};

static int refuse(const struct circle *c, size_t from, struct loom_err *err)
{
	struct buf b = BUF_INIT(800);
	size_t i = 0;
	while (c->path[i] != from)
		i++;
	for (; i < c->depth; i++)
		buf_addf(&b, "%s -> ", c->d->names->v[c->path[i]]);
	buf_adds(&b, c->d->names->v[from]);
	err_set(err, 400,
	        "services depend on each other in a circle, so there is no order to %s them: %s",
	        relation_action[c->rel], buf_str(&b));
	buf_fini(&b);
	return 400;
}

static int visit(struct circle *c, size_t i, struct loom_err *err)
{
	int rc = 0;
	c->state[i] = 1;
	c->path[c->depth++] = i;
	struct depend_list l = nearest(c->d, c->rel, i, c->d->acts[c->rel]);
	for (size_t k = 0; k < l.n && !rc; k++) {
		if (c->state[l.v[k]] == 1)
			rc = refuse(c, l.v[k], err);
		else if (!c->state[l.v[k]])
			rc = visit(c, l.v[k], err);
	}
	loom_free(l.v);
	c->depth--;
	c->state[i] = 2;
	return rc;
}

int depend_check(struct depend *d, enum depend_relation rel, const bool *start,
                 struct loom_err *err)
{
	struct circle c = { .d = d, .rel = rel };
	int rc = 0;
	c.state = loom_calloc(d->n + 1, sizeof(*c.state));
	c.path = loom_calloc(d->n + 1, sizeof(*c.path));
	for (size_t i = 0; i < d->n && !rc; i++) {
		if (start[i] && !c.state[i])
			rc = visit(&c, i, err);
	}
	loom_free(c.state);
	loom_free(c.path);
	return rc;
}
