/* SPDX-License-Identifier: Apache-2.0 */
/* usage - how many tasks wait and run, and how long machines were there. Inside db_read(). */
#ifndef LOOM_MODEL_USAGE_H
#define LOOM_MODEL_USAGE_H

#include "common/db/db.h"
#include "common/json/json.h"

/* {"TENANT'S NAME": {"queued", "inProgress", "total"}}: of all, or of the one with this id. */
LOOM_MUST_CHECK int usage_queues(struct db *db, const char *tenant_id, struct json **ret);

/* A machine of some cluster; seconds since 1970. to 0: it is there still. */
typedef void (*usage_machine_fn)(int64_t from, int64_t to, void *arg);
/* The machines that these clusters have and had. */
LOOM_MUST_CHECK int usage_machines(struct db *db, const int64_t *clusters, size_t n,
                                   usage_machine_fn fn, void *arg);

#endif
