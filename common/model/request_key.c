/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable requests: the key, the request that first used it, and its answer. */
#include "common/model/request_key.h"

#include "common/base/str.h"

#include <string.h>

void request_answer_fini(struct request_answer *a)
{
	loom_free(a->location);
	loom_free(a->body);
	*a = (struct request_answer){ 0 };
}

bool request_key_ok(const char *key)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < n; i++) {
		if (key[i] < ' ' || key[i] > '~')
			return false;
	}
	return n > 0 && n <= REQUEST_KEY_MAX;
}

int request_key_find(struct db *db, const struct request_key *k, struct request_answer *ret,
                     bool *same)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT hash, route, status, location, answer, sealed, cluster_id"
	                   " FROM request_key WHERE tenant_id=? AND user=? AND name=?",
	                   "sss", k->tenant_id, k->user, k->key);
	if (rc || !db_rows(r))
		return rc;
	*same = str_eq(db_str(r, 0, 0), k->hash) && str_eq(db_str(r, 0, 1), k->route);
	*ret = (struct request_answer){ .status = (int)db_int(r, 0, 2),
		                        .location = loom_strdup(db_str(r, 0, 3)),
		                        .body = loom_strdup(db_str(r, 0, 4)),
		                        .sealed = db_int(r, 0, 5) != 0,
		                        .cluster = db_int(r, 0, 6) };
	return 0;
}

int request_key_add(struct db *db, const struct request_key *k, const struct request_answer *a)
{
	loom_assert(a->status && (!a->body || strlen(a->body) <= 2 * (size_t)REQUEST_ANSWER_MAX));
	int rc = db_exec(db,
	                 "INSERT INTO request_key (tenant_id, user, name, hash, route, status,"
	                 " location, answer, sealed, cluster_id, create_time) VALUES"
	                 " (?,?,?,?,?,?,?,?,?,?,CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED))",
	                 "sssssissii", k->tenant_id, k->user, k->key, k->hash, k->route,
	                 (int64_t)a->status, a->location, a->body, (int64_t)a->sealed, a->cluster);
	return rc == DB_E_DUP ? DB_E_RETRY : rc;
}

int request_keys_expire(struct db *db, int64_t kept_ms)
{
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc
	          : db_exec(db, "DELETE FROM request_key WHERE create_time<? LIMIT 1000", "i",
	                    now - kept_ms);
}
