/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord - who is alive (ZooKeeper): membership and election. A hint that the database confirms.
 *
 * ZooKeeper's threads only post to the loop; all callbacks and calls here are on the loop. When the
 * quorum is away the last known members are kept; an expired session rebuilds everything. A leader
 * counts as deposed on its own monotonic clock before the server would expire it: two thirds of the
 * session timeout after it sent the last request that was answered.
 *
 * With a key, what is made can only be changed by who has it (digest authentication with a secret
 * derived from the cluster's key); anybody may read it, for it holds only addresses. Nodes that an
 * older version left open are closed.
 *
 * Roles, ids and names are path components (no '/'); an id is new at each start of a process.
 * Callbacks are never run from inside a call of this module, and must not call coord_destroy().
 */
#ifndef LOOM_COORD_COORD_H
#define LOOM_COORD_COORD_H

#include "common/base/config.h"
#include "common/net/loop.h"

struct coord;

struct coord_config {
	char *quorum;         /* host:port,host:port... */
	char *root;           /* "/loom" */
	int64_t session_ms;   /* asked for; the quorum has the last word */
	const char *key_file; /* the cluster's, borrowed; not a key of its own. NULL: open to all */
};
extern const struct config_key coord_config_keys[]; /* zk_quorum zk_root zk_session */

struct coord_member {
	const char *id;
	const char *data; /* e.g. the bus address */
};
/* The whole present list of a role, sorted by id, borrowed for the call. */
typedef void (*coord_members_cb)(const struct coord_member *m, size_t n, void *arg);
typedef void (*coord_leader_cb)(bool leader, void *arg);

/* Never fails for an absent quorum: keeps trying. NULL with err filled: the key cannot be read. */
struct coord *coord_create(struct loop *l, const struct coord_config *cfg, struct loom_err *err);
/* Closes the session (ephemeral nodes go at once), frees all; no callback follows. */
void coord_destroy(struct coord *c);
bool coord_connected(const struct coord *c); /* any thread */
void coord_join(struct coord *c, const char *role, const char *id, const char *data);
void coord_watch(struct coord *c, const char *role, coord_members_cb cb, void *arg);
/* Stands for election under a name; cb (may be NULL) at each change. */
void coord_elect(struct coord *c, const char *name, const char *id, coord_leader_cb cb, void *arg);
bool coord_is_leader(const struct coord *c, const char *name); /* asks the clock, too */

LOOM_DEFINE_CLEANUP(struct coord *, coord_destroy)

#endif
