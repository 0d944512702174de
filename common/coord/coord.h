/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord - tells who is alive (ZooKeeper): membership and election. A hint that the database
 * confirms.
 *
 * ZooKeeper's threads only post to the loop; all callbacks and calls here are on the loop. While
 * the quorum is away the last known members are kept; an expired session rebuilds everything. A
 * leader steps down by its own monotonic clock before the server would expire it: two thirds of the
 * session timeout after it sent the last answered request.
 *
 * With a key, only its owners can change our nodes (digest authentication with a secret derived
 * from the cluster's key); anybody may read them, because they hold only addresses. Nodes that an
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
	int64_t session_ms;   /* requested; the quorum decides */
	const char *key_file; /* the cluster's key, borrowed; NULL: nodes are open to all */
};
extern const struct config_key coord_config_keys[]; /* zk_quorum zk_root zk_session */

struct coord_member {
	const char *id;
	const char *data; /* e.g. the bus address */
};
/* All present members of a role, sorted by id, borrowed during the call. */
typedef void (*coord_members_cb)(const struct coord_member *m, size_t n, void *arg);
typedef void (*coord_leader_cb)(bool leader, void *arg);

/* Is the list of servers well-formed? 0, or an error with err filled. */
LOOM_MUST_CHECK int coord_config_check(const struct coord_config *cfg, struct loom_err *err);
/* An absent quorum is no error: it keeps trying. NULL with err filled: the list of servers is
 * malformed, or the key cannot be read. */
struct coord *coord_create(struct loop *l, const struct coord_config *cfg, struct loom_err *err);
/* Closes the session (its ephemeral nodes vanish at once) and frees everything; no callback
 * follows. */
void coord_destroy(struct coord *c);
bool coord_connected(const struct coord *c); /* any thread */
void coord_join(struct coord *c, const char *role, const char *id, const char *data);
void coord_watch(struct coord *c, const char *role, coord_members_cb cb, void *arg);
/* Stands for election under a name; cb (may be NULL) is called at each change. */
void coord_elect(struct coord *c, const char *name, const char *id, coord_leader_cb cb, void *arg);
/* Stands for that election, or not for now: then another may lead. */
void coord_stand(struct coord *c, const char *name, bool stand);
bool coord_is_leader(const struct coord *c, const char *name); /* also checks the clock */

LOOM_DEFINE_CLEANUP(struct coord *, coord_destroy)

#endif
