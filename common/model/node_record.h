/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_record - what clients write to /v2/nodes (REST spec 6): documents of a tenant's users that
 * have the form of a node. They are kept and shown, and nothing else comes of them: the machines of
 * clusters are rows of node.h, which only their clusters' jobs change. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_NODE_RECORD_H
#define LOOM_MODEL_NODE_RECORD_H

#include "common/db/db.h"
#include "common/json/json.h"

#define NODE_RECORDS_MAX 1000 /* of a tenant */

/* Array of documents, by id: owner NULL, those of all users; id NULL, all behind `after` ("": from
 * the first), at most limit of them. */
LOOM_MUST_CHECK int node_records_list(struct db *db, const char *tenant, const char *owner,
                                      const char *id, const char *after, int64_t limit,
                                      struct json **ret);
/* Adds or replaces the document of its id. see_all: others' may be replaced, too, and stay theirs;
 * else NODE_RECORD_E_OTHER. NODE_RECORD_E_MANY. */
LOOM_MUST_CHECK int node_record_put(struct db *db, const char *tenant, const char *user,
                                    bool see_all, const struct json *doc);
/* Nothing there is fine. */
LOOM_MUST_CHECK int node_record_delete(struct db *db, const char *tenant, const char *owner,
                                       const char *id);

#endif
