/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections: root/election/NAME/ID-SESSION-SEQUENCE, ephemeral and sequential.
 * The smallest sequence leads; each of the others watches the one before it. After every answer and
 * event it asks the same question again: who is there, and where am I? The session in the name
 * finds a node whose creation was in doubt, and tells it from one left by an older session. Loop
 * thread.
 */
#include "common/coord/coord.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/coord/coord_private.h"

#include <inttypes.h>
#include <string.h>

struct coord_election {
	struct coord_election *next;
	char *name, *id, *dir;
	char *own, *before; /* watched paths */
	coord_leader_cb cb;
	void *arg;
	bool busy, again, leader;
	bool aside; /* does not stand for now */
};

enum { SEQUENCE = 10, SESSION = 16 }; /* digits */

static void run(struct coord *c, struct coord_election *e);

static void set_path(char **path, const char *dir, const char *node)
{
	loom_free(*path);
	*path = node ? loom_asprintf("%s/%s", dir, node) : NULL;
}

static void set_leader(struct coord *c, struct coord_election *e, bool leader)
{
	leader = leader && !c->lapsed;
	if (e->leader == leader)
		return;
	e->leader = leader;
	metric_add(&coord_metrics[COORD_M_LEADING], leader ? 1 : -1);
	log_info(leader ? "leadership gained" : "leadership lost", LOG_S("election", e->name));
	if (e->cb)
		e->cb(leader, e->arg);
}

static void idle(struct coord *c, struct coord_election *e, bool once_more)
{
	e->busy = false;
	if (once_more || e->again) {
		e->again = false;
		run(c, e);
	}
}

/* ID-SESSION-SEQUENCE: returns the sequence; NULL if the name has another form. */
static const char *sequence_of(const char *node)
{
	size_t n = strlen(node);
	if (n < SEQUENCE + SESSION + 3 || node[n - SEQUENCE - 1] != '-' ||
	    strspn(node + n - SEQUENCE, "0123456789") != SEQUENCE ||
	    node[n - SEQUENCE - SESSION - 2] != '-')
		return NULL;
	return node + n - SEQUENCE;
}

static bool is_of_id(const char *node, const char *id)
{
	size_t n = strlen(id);
	return strlen(node) == n + SESSION + SEQUENCE + 2 && strncmp(node, id, n) == 0;
}

static void created(struct coord *c, struct coord_op *op)
{
	if (op->rc == ZNONODE)
		c->has_dirs = false;
	if (op->rc != ZOK)
		coord_retry(c);
	idle(c, op->target, op->rc == ZOK);
}

static void watched(struct coord *c, struct coord_op *op)
{
	if (op->rc != ZOK && op->rc != ZNONODE)
		coord_retry(c);
	idle(c, op->target, op->rc == ZNONODE);
}

/* Finds the first node of our present ZooKeeper session (deletes further ones, and those of our
 * older sessions) and the node right before it. */
static void find_own(struct coord *c, struct coord_election *e, const struct strs *names,
                     const char *prefix, const char **ret_own, const char **ret_before)
{
	const char *own = NULL, *before = NULL;
	for (size_t i = 0; i < names->n; i++) {
		if (sequence_of(names->v[i]) && str_starts(names->v[i], prefix) &&
		    (!own || strcmp(sequence_of(names->v[i]), sequence_of(own)) < 0))
			own = names->v[i];
	}
	for (size_t i = 0; i < names->n; i++) {
		const char *node = names->v[i], *seq = sequence_of(node);
		if (!seq || node == own)
			continue;
		if (is_of_id(node, e->id)) {
			LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", e->dir, node);
			coord_delete(c, path, NULL, NULL);
		}
		if (own && strcmp(seq, sequence_of(own)) < 0 &&
		    (!before || strcmp(seq, sequence_of(before)) > 0))
			before = node;
	}
	*ret_own = own;
	*ret_before = before;
}

static void listed(struct coord *c, struct coord_op *op)
{
	struct coord_election *e = op->target;
	const char *own, *before;
	if (op->rc == ZNONODE)
		c->has_dirs = false;
	if (op->rc != ZOK || !c->connected) {
		coord_retry(c);
		idle(c, e, false);
		return;
	}
	LOOM_CLEANUP_STR char *prefix = loom_asprintf("%s-%016" PRIx64 "-", e->id, c->client_id);
	find_own(c, e, &op->names, prefix, &own, &before);
	set_path(&e->own, e->dir, own);
	set_path(&e->before, e->dir, before);
	if (e->aside) {
		if (own)
			coord_delete(c, e->own, NULL, NULL);
		set_leader(c, e, false);
		idle(c, e, false);
		return;
	}
	if (!own) {
		LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", e->dir, prefix);
		coord_create_node(c, path, "", ZOO_EPHEMERAL_SEQUENTIAL, created, e);
		set_leader(c, e, false);
		return;
	}
	if (before)
		coord_exists(c, e->own, true, NULL, NULL);
	coord_exists(c, before ? e->before : e->own, true, watched, e);
	set_leader(c, e, !before);
}

static void run(struct coord *c, struct coord_election *e)
{
	if (!c->connected)
		return;
	if (e->busy) {
		e->again = true;
		return;
	}
	e->busy = true;
	coord_sync(c, e->dir);
	coord_children(c, e->dir, false, listed, e);
}

void coord_elect(struct coord *c, const char *name, const char *id, coord_leader_cb cb, void *arg)
{
	struct coord_election *e = loom_calloc(1, sizeof(*e));
	loom_assert(!strchr(name, '/') && !strchr(id, '/'));
	e->name = loom_strdup(name);
	e->id = loom_strdup(id);
	e->dir = loom_asprintf("%s/election/%s", c->root, name);
	e->cb = cb;
	e->arg = arg;
	e->next = c->elections;
	c->elections = e;
	if (c->connected) {
		coord_ensure(c, e->dir);
		run(c, e);
	}
}

void coord_stand(struct coord *c, const char *name, bool stand)
{
	for (struct coord_election *e = c->elections; e; e = e->next) {
		if (!str_eq(e->name, name) || e->aside == !stand)
			continue;
		e->aside = !stand;
		if (e->aside)
			set_leader(c, e, false);
		run(c, e);
	}
}

bool coord_is_leader(const struct coord *c, const char *name)
{
	for (const struct coord_election *e = c->elections; e; e = e->next) {
		if (str_eq(e->name, name))
			return e->leader && clock_mono_ms() < coord_lapse_time(c);
	}
	return false;
}

void coord_elections_dirs(struct coord *c)
{
	for (const struct coord_election *e = c->elections; e; e = e->next)
		coord_ensure(c, e->dir);
}

void coord_elections_refresh(struct coord *c)
{
	for (struct coord_election *e = c->elections; e; e = e->next)
		run(c, e);
}

void coord_elections_changed(struct coord *c, const char *path)
{
	for (struct coord_election *e = c->elections; e; e = e->next) {
		if (str_eq(e->own, path) || str_eq(e->before, path))
			run(c, e);
	}
}

void coord_elections_depose(struct coord *c)
{
	for (struct coord_election *e = c->elections; e; e = e->next)
		set_leader(c, e, false);
}

void coord_elections_reset(struct coord *c)
{
	for (struct coord_election *e = c->elections; e; e = e->next) {
		e->busy = e->again = false;
		set_path(&e->own, e->dir, NULL);
		set_path(&e->before, e->dir, NULL);
	}
}

void coord_elections_free(struct coord *c)
{
	while (c->elections) {
		struct coord_election *e = c->elections;
		c->elections = e->next;
		if (e->leader)
			metric_add(&coord_metrics[COORD_M_LEADING], -1);
		loom_free(e->name);
		loom_free(e->id);
		loom_free(e->dir);
		loom_free(e->own);
		loom_free(e->before);
		loom_free(e);
	}
}
