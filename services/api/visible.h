/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible - finds the cluster that a request names, if the caller may see it. What one may not see
 * does not exist (404). Worker threads, inside db_read() or db_tx().
 */
#ifndef LOOM_API_VISIBLE_H
#define LOOM_API_VISIBLE_H

#include "common/model/cluster.h"
#include "common/model/outcome.h"
#include "services/api/auth.h"

/* The number in path parameter `name`; false after answering 400. */
bool visible_id(struct http_req *req, const char *name, int64_t *ret);
bool visible_to(const struct identity *who, const struct cluster *c);
/* CLUSTER_E_NONE when there is none that the caller sees. */
LOOM_MUST_CHECK int visible_get(struct db *db, const struct identity *who, int64_t id,
                                struct cluster **ret);
/* Locks it, in a transaction that fills *o: refused (404) when there is none. */
LOOM_MUST_CHECK int visible_lock(struct db *db, const struct identity *who, int64_t id,
                                 struct cluster **ret, struct outcome *o);
/* Answers 404 for CLUSTER_E_NONE, 5xx for DB_E_ codes. */
void visible_refuse(struct http_req *req, int rc, int64_t id);

#endif
