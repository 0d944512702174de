/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_record - documents that clients write to /v2/nodes (REST spec 6), in the form of a node.
 * They are stored and shown, without any effect: real nodes of clusters are rows of node.h, which
 * only jobs change. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_NODE_RECORD_H
#define LOOM_MODEL_NODE_RECORD_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/keys/keyring.h"

#define NODE_RECORDS_MAX 1000 /* per tenant */

struct node_records_at {
	const char *tenant, *owner; /* owner NULL: all users */
	const char *id;             /* NULL: all */
	const char *after;          /* start after this id; "": from the first */
	int64_t limit;              /* maximum */
};

/* Array of documents, by id, *ret owned. 500 with err: one cannot be opened (kept.h). */
LOOM_MUST_CHECK int node_records_list(struct keyring *ring, struct db *db,
                                      const struct node_records_at *at, struct json **ret,
                                      struct loom_err *err);
/* Adds or replaces the document with its id, as at->owner. see_all: also replaces those of others,
 * who stay their owners; else NODE_RECORD_E_OTHER. NODE_RECORD_E_MANY. */
LOOM_MUST_CHECK int node_record_put(struct keyring *ring, struct db *db,
                                    const struct node_records_at *at, bool see_all,
                                    const struct json *doc, struct loom_err *err);
/* No error if it does not exist. */
LOOM_MUST_CHECK int node_record_delete(struct db *db, const char *tenant, const char *owner,
                                       const char *id);

#endif
