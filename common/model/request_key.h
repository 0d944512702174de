/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_key - what a client called its request for a cluster (header Idempotency-Key), so that
 * the same request sent again, because its answer was lost, makes no second cluster. Written in the
 * transaction that makes the cluster; belongs to one user of one tenant; kept for a day.
 */
#ifndef LOOM_MODEL_REQUEST_KEY_H
#define LOOM_MODEL_REQUEST_KEY_H

#include "common/db/db.h"

#define REQUEST_KEY_MAX     255 /* printable ASCII */
#define REQUEST_KEY_KEPT_MS INT64_C(86400000)

struct request_key {
	const char *tenant_id, *user, *key; /* borrowed; key NULL: the client gave none */
	char hash[65];                      /* of what was asked for */
};

bool request_key_ok(const char *key);
void request_key_hash(const void *body, size_t len, char hash[65]);

/* *cluster: made by an earlier request of this key, 0 when there is none; *same: with this hash. */
LOOM_MUST_CHECK int request_key_find(struct db *db, const struct request_key *k, int64_t *cluster,
                                     bool *same);
/* DB_E_RETRY when another request of this key was faster. */
LOOM_MUST_CHECK int request_key_add(struct db *db, const struct request_key *k, int64_t cluster,
                                    int64_t now);
/* Forgets a limited number of those that are too old. */
LOOM_MUST_CHECK int request_keys_expire(struct db *db);

#endif
