/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible - which clusters a caller may see; for him the others do not exist (404). The dispatcher
 * (request.h) checks the cluster in the path; these functions check others, and answer refusals.
 * Worker threads.
 */
#ifndef LOOM_API_VISIBLE_H
#define LOOM_API_VISIBLE_H

#include "common/model/cluster/cluster.h"
#include "common/model/cluster/outcome.h"
#include "services/api/request/auth.h"

/* Does a thing of this tenant and owner show to the caller? */
bool visible_to(const struct identity *who, const char *tenant_id, const char *owner_id);
/* In db_read(): a cluster other than the path's; CLUSTER_E_NONE if the caller may not see it. */
LOOM_MUST_CHECK int visible_get(struct db *db, const struct identity *who, int64_t id,
                                struct cluster **ret);
/* In db_tx(): locks the cluster of the path, and fills *o: refused (404) if it does not exist. */
LOOM_MUST_CHECK int visible_lock(struct db *db, int64_t id, struct cluster **ret,
                                 struct outcome *o);
/* For a locked cluster: refused (412) if it does not have the version asked for. */
LOOM_MUST_CHECK int visible_check(const struct cluster *c, const struct precondition *p,
                                  struct outcome *o);
/* Answers 404 for CLUSTER_E_NONE, 5xx for DB_E_ codes. */
void visible_refuse(struct http_req *req, int rc, int64_t id);

#endif
