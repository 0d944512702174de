/* SPDX-License-Identifier: Apache-2.0 */
/* audit_private - shared by the sources of the audit log. */
#ifndef LOOM_MODEL_AUDIT_PRIVATE_H
#define LOOM_MODEL_AUDIT_PRIVATE_H

#include "common/model/identity/audit.h"

/* The columns that a row's hash covers, in order. */
#define AUDIT_CONTENT                                                                   \
	"id, time, tenant_id, home, user, token, role, peer, request, action, object, " \
	"status, count, before_doc, after_doc"
#define AUDIT_COLUMNS 15

#define AUDIT_NOTHING     "0000000000000000000000000000000000000000000000000000000000000000"
#define AUDIT_DROP        "drop old rows" /* action of the row that records a drop; not a route */
#define AUDIT_DROP_OBJECT "audit"

/* The content starts at a column of the result. before: the hash of the row before. */
void audit_hash_row(int64_t seq, const char *before, const struct db_result *r, size_t row,
                    unsigned column, char ret[AUDIT_HASH]);
/* "" without a key. */
void audit_seal_of(const struct seal_key *key, const char *hash, char ret[AUDIT_HASH]);
LOOM_MUST_CHECK int audit_hash_at(struct db *db, int64_t seq, char ret[AUDIT_HASH]);

#endif
