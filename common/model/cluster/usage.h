/* SPDX-License-Identifier: Apache-2.0 */
/* usage - numbers of waiting and running tasks, and the times for which nodes existed. Inside
 * db_read(). */
#ifndef LOOM_MODEL_USAGE_H
#define LOOM_MODEL_USAGE_H

#include "common/db/db.h"
#include "common/json/json.h"

/* {"TENANT'S NAME": {"queued", "inProgress", "total"}}: of all tenants, or of this one. */
LOOM_MUST_CHECK int usage_queues(struct db *db, const char *tenant_id, struct json **ret);

/* A node of some cluster; seconds since 1970. to 0: it still exists. */
typedef void (*usage_machine_fn)(int64_t from, int64_t to, void *arg);
/* The present and former nodes of these clusters. */
LOOM_MUST_CHECK int usage_machines(struct db *db, const int64_t *clusters, size_t n,
                                   usage_machine_fn fn, void *arg);

#endif
