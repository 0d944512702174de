/* SPDX-License-Identifier: Apache-2.0 */
/* audit_private - what the sources of the audit log share. */
#ifndef LOOM_MODEL_AUDIT_PRIVATE_H
#define LOOM_MODEL_AUDIT_PRIVATE_H

#include "common/model/audit.h"

/* What a row's hash covers, in this order. */
#define AUDIT_CONTENT                                                                   \
	"id, time, tenant_id, home, user, token, role, peer, request, action, object, " \
	"status, count, before_doc, after_doc"
#define AUDIT_COLUMNS 15

#define AUDIT_NOTHING     "0000000000000000000000000000000000000000000000000000000000000000"
#define AUDIT_DROP        "drop old rows" /* the action of the row that says so; no route's */
#define AUDIT_DROP_OBJECT "audit"

/* The content begins at a column of the result. before: the hash of the row before. */
void audit_hash_row(int64_t seq, const char *before, const struct db_result *r, size_t row,
                    unsigned column, char ret[AUDIT_HASH]);
/* "" without a key. */
void audit_seal_of(const struct seal_key *key, const char *hash, char ret[AUDIT_HASH]);
LOOM_MUST_CHECK int audit_hash_at(struct db *db, int64_t seq, char ret[AUDIT_HASH]);

#endif
