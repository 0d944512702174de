/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_keys - the keys that seal sessions and login attempts. The newest key of a file seals;
 * any key of it opens, and so does the cluster's key, which is the only one if there is no file.
 *
 * A changed file is read again within a second, so that keys can be rotated while people are logged
 * in. Any thread.
 */
#ifndef LOOM_GATEWAY_SESSION_KEYS_H
#define LOOM_GATEWAY_SESSION_KEYS_H

#include "common/base/seal.h"

#define SESSION_KEYS 8 /* of the file, at most */

struct session_keys;

/* Either file may be "", not both. 0, or positive with err: a file is invalid. */
LOOM_MUST_CHECK int session_keys_create(const char *file, const char *cluster_key_file,
                                        struct session_keys **ret, struct loom_err *err);
void session_keys_destroy(struct session_keys *k); /* NULL ok */

/* The present keys, the newest first. */
struct session_key_list {
	size_t n;
	struct seal_key v[SESSION_KEYS + 1];
};
void session_keys_now(struct session_keys *k, struct session_key_list *ret);
void session_key_list_fini(struct session_key_list *l); /* wipes the list */

LOOM_DEFINE_CLEANUP(struct session_keys *, session_keys_destroy)

#endif
