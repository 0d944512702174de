/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members: root/members/ROLE/ID, ephemeral, with the member's data.
 *
 * Joining asks one question after every answer and event: is my node there, and does it belong to
 * my ZooKeeper session? So a create whose answer was lost is no special case. Watching reads the
 * list, then the data of each, and reports only complete lists. Loop thread.
 */
#include "common/coord/coord.h"

#include "common/coord/coord_private.h"

#include <stdlib.h>
#include <string.h>

struct coord_join {
	struct coord_join *next;
	char *dir, *path, *data;
	bool busy, again;
};

struct list {
	struct coord_member *v; /* strings owned */
	size_t n;
};

struct coord_watching {
	struct coord_watching *next;
	char *dir;
	coord_members_cb cb;
	void *arg;
	bool busy, again, failed, reported;
	size_t left; /* entries of reading without data yet */
	struct list reading, current;
};

static void join_check(struct coord *c, struct coord_join *j);
static void watch_read(struct coord *c, struct coord_watching *w);

/* ---- joining --------------------------------------------------------------------------------- */

static void join_idle(struct coord *c, struct coord_join *j, bool check)
{
	j->busy = false;
	if (check || j->again) {
		j->again = false;
		join_check(c, j);
	}
}

static void join_changed(struct coord *c, struct coord_op *op)
{
	struct coord_join *j = op->target;
	if (op->rc == ZNONODE)
		c->has_dirs = false;
	if (op->rc != ZOK && op->rc != ZNODEEXISTS)
		coord_retry(c);
	join_idle(c, j, op->rc == ZOK || op->rc == ZNODEEXISTS);
}

static void join_seen(struct coord *c, struct coord_op *op)
{
	struct coord_join *j = op->target;
	if (op->rc == ZNONODE && c->connected) {
		coord_create_node(c, j->path, j->data, ZOO_EPHEMERAL, join_changed, j);
	} else if (op->rc == ZOK && op->stat.ephemeralOwner != c->client_id && c->connected) {
		/* Left by an older session of this process; the server would remove it only
		 * later. */
		coord_delete(c, j->path, join_changed, j);
	} else {
		if (op->rc != ZOK)
			coord_retry(c);
		join_idle(c, j, false);
	}
}

static void join_check(struct coord *c, struct coord_join *j)
{
	if (!c->connected)
		return;
	if (j->busy) {
		j->again = true;
		return;
	}
	j->busy = true;
	coord_exists(c, j->path, true, join_seen, j);
}

void coord_join(struct coord *c, const char *role, const char *id, const char *data)
{
	struct coord_join *j = loom_calloc(1, sizeof(*j));
	loom_assert(!strchr(role, '/') && !strchr(id, '/'));
	j->dir = loom_asprintf("%s/members/%s", c->root, role);
	j->path = loom_asprintf("%s/%s", j->dir, id);
	j->data = loom_strdup(data ? data : "");
	j->next = c->joins;
	c->joins = j;
	if (c->connected) {
		coord_ensure(c, j->dir);
		join_check(c, j);
	}
}

/* ---- watching -------------------------------------------------------------------------------- */

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		union {
			const char *in;
			char *out;
		} id = { .in = l->v[i].id }, data = { .in = l->v[i].data };

		loom_free(id.out);
		loom_free(data.out);
	}
	loom_free(l->v);
	*l = (struct list){ 0 };
}

static bool list_equal(const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!str_eq(a->v[i].id, b->v[i].id) || !str_eq(a->v[i].data, b->v[i].data))
			return false;
	}
	return true;
}

/* Drops nodes that vanished before their data was read. */
static void list_drop_vanished(struct list *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].data) {
			l->v[n++] = l->v[i];
		} else {
			struct list vanished = { .v = loom_malloc(sizeof(*l->v)), .n = 1 };
			vanished.v[0] = l->v[i];
			list_free(&vanished);
		}
	}
	l->n = n;
}

static void watch_complete(struct coord *c, struct coord_watching *w)
{
	bool again = w->again;
	w->busy = w->again = false;
	if (w->failed) {
		list_free(&w->reading);
		coord_retry(c);
	} else {
		list_drop_vanished(&w->reading);
		bool news = !w->reported || !list_equal(&w->reading, &w->current);
		list_free(&w->current);
		w->current = w->reading;
		w->reading = (struct list){ 0 };
		w->reported = true;
		if (news)
			w->cb(w->current.v, w->current.n, w->arg);
	}
	if (again)
		watch_read(c, w);
}

static void watch_got(struct coord *c, struct coord_op *op)
{
	struct coord_watching *w = op->target;
	if (op->rc == ZOK)
		w->reading.v[op->index].data = loom_take(op->data);
	else if (op->rc != ZNONODE)
		w->failed = true;
	if (--w->left == 0)
		watch_complete(c, w);
}

static void watch_listed(struct coord *c, struct coord_op *op)
{
	struct coord_watching *w = op->target;
	if (op->rc == ZNONODE)
		c->has_dirs = false;
	if (op->rc != ZOK || !c->connected) {
		w->failed = true;
		watch_complete(c, w);
		return;
	}
	strs_sort(&op->names);
	w->reading.n = w->left = op->names.n;
	w->reading.v = loom_calloc(op->names.n + 1, sizeof(*w->reading.v));
	for (size_t i = 0; i < op->names.n; i++)
		w->reading.v[i].id = loom_strdup(op->names.v[i]);
	for (size_t i = 0; i < op->names.n; i++) {
		LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", w->dir, op->names.v[i]);
		coord_get(c, path, watch_got, w, i);
	}
	if (op->names.n == 0)
		watch_complete(c, w);
}

static void watch_read(struct coord *c, struct coord_watching *w)
{
	if (!c->connected)
		return;
	if (w->busy) {
		w->again = true;
		return;
	}
	w->busy = true;
	w->failed = false;
	coord_children(c, w->dir, true, watch_listed, w);
}

void coord_watch(struct coord *c, const char *role, coord_members_cb cb, void *arg)
{
	struct coord_watching *w = loom_calloc(1, sizeof(*w));
	loom_assert(!strchr(role, '/'));
	w->dir = loom_asprintf("%s/members/%s", c->root, role);
	w->cb = cb;
	w->arg = arg;
	w->next = c->watches;
	c->watches = w;
	if (c->connected) {
		coord_ensure(c, w->dir);
		watch_read(c, w);
	}
}

/* ---- all of them ----------------------------------------------------------------------------- */

void coord_members_dirs(struct coord *c)
{
	for (const struct coord_join *j = c->joins; j; j = j->next)
		coord_ensure(c, j->dir);
	for (const struct coord_watching *w = c->watches; w; w = w->next)
		coord_ensure(c, w->dir);
}

void coord_members_refresh(struct coord *c)
{
	for (struct coord_join *j = c->joins; j; j = j->next)
		join_check(c, j);
	for (struct coord_watching *w = c->watches; w; w = w->next)
		watch_read(c, w);
}

void coord_members_changed(struct coord *c, const char *path)
{
	for (struct coord_join *j = c->joins; j; j = j->next) {
		if (str_eq(j->path, path))
			join_check(c, j);
	}
	for (struct coord_watching *w = c->watches; w; w = w->next) {
		if (str_eq(w->dir, path))
			watch_read(c, w);
	}
}

void coord_members_reset(struct coord *c)
{
	for (struct coord_join *j = c->joins; j; j = j->next)
		j->busy = j->again = false;
	for (struct coord_watching *w = c->watches; w; w = w->next) {
		w->busy = w->again = false;
		list_free(&w->reading);
	}
}

void coord_members_free(struct coord *c)
{
	while (c->joins) {
		struct coord_join *j = c->joins;
		c->joins = j->next;
		loom_free(j->dir);
		loom_free(j->path);
		loom_free(j->data);
		loom_free(j);
	}
	while (c->watches) {
		struct coord_watching *w = c->watches;
		c->watches = w->next;
		list_free(&w->reading);
		list_free(&w->current);
		loom_free(w->dir);
		loom_free(w);
	}
}
