/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible - which clusters somebody sees. What one may not see does not exist (404). That of the
 * path has been looked at by the dispatcher (request.h); these are for others, and for the words.
 * Worker threads.
 */
#ifndef LOOM_API_VISIBLE_H
#define LOOM_API_VISIBLE_H

#include "common/model/cluster.h"
#include "common/model/outcome.h"
#include "services/api/auth.h"

/* What is of this tenant and user. */
bool visible_to(const struct identity *who, const char *tenant_id, const char *owner_id);
/* In db_read(): a cluster that is not that of the path; CLUSTER_E_NONE when the caller sees none.
 */
LOOM_MUST_CHECK int visible_get(struct db *db, const struct identity *who, int64_t id,
                                struct cluster **ret);
/* In db_tx(): locks the cluster of the path, and fills *o: refused (404) when there is none. */
LOOM_MUST_CHECK int visible_lock(struct db *db, int64_t id, struct cluster **ret,
                                 struct outcome *o);
/* Of a locked one: refused (412) when it is not of the version that was asked for. */
LOOM_MUST_CHECK int visible_check(const struct cluster *c, const struct precondition *p,
                                  struct outcome *o);
/* Answers 404 for CLUSTER_E_NONE, 5xx for DB_E_ codes. */
void visible_refuse(struct http_req *req, int rc, int64_t id);

#endif
