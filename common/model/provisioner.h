/* SPDX-License-Identifier: Apache-2.0 */
/* provisioner - who may take tasks, and who said so last when. Inside db_tx() or db_read(). */
#ifndef LOOM_MODEL_PROVISIONER_H
#define LOOM_MODEL_PROVISIONER_H

#include "common/db/db.h"
#include "common/json/json.h"

enum { PROVISIONER_E_NONE = 30 };

LOOM_MUST_CHECK int provisioner_put(struct db *db, const char *id, const char *host, int64_t port,
                                    int64_t capacity, const struct json *usage);
/* Notes the heartbeat and usage. PROVISIONER_E_NONE when it is not registered. */
LOOM_MUST_CHECK int provisioner_beat(struct db *db, const char *id, const struct json *usage);
LOOM_MUST_CHECK int provisioner_known(struct db *db, const char *id, bool *ret);
LOOM_MUST_CHECK int provisioner_delete(struct db *db, const char *id); /* none there is fine */
/* Removes those without a heartbeat for timeout_ms. */
LOOM_MUST_CHECK int provisioners_expire(struct db *db, int64_t timeout_ms, int64_t *ret_removed);

/* How many are registered, their slots, and how many tasks run. */
LOOM_MUST_CHECK int provisioners_load(struct db *db, int64_t *ret_n, int64_t *ret_capacity,
                                      int64_t *ret_running);

#endif
