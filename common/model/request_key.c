/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that may be sent again: the key, and what it was first used for. */
#include "common/model/request_key.h"

#include "common/base/str.h"

#include <sodium.h>
#include <string.h>

bool request_key_ok(const char *key)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < n; i++) {
		if (key[i] < ' ' || key[i] > '~')
			return false;
	}
	return n > 0 && n <= REQUEST_KEY_MAX;
}

void request_key_hash(const void *body, size_t len, char hash[65])
{
	unsigned char sum[32];
	crypto_generichash(sum, sizeof(sum), body, len, NULL, 0);
	sodium_bin2hex(hash, 65, sum, sizeof(sum));
}

int request_key_find(struct db *db, const struct request_key *k, int64_t *cluster, bool *same)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT cluster_id, hash FROM request_key"
	                   " WHERE tenant_id=? AND user=? AND name=?",
	                   "sss", k->tenant_id, k->user, k->key);
	*cluster = !rc && db_rows(r) ? db_int(r, 0, 0) : 0;
	*same = *cluster && str_eq(db_str(r, 0, 1), k->hash);
	return rc;
}

int request_key_add(struct db *db, const struct request_key *k, int64_t cluster, int64_t now)
{
	int rc = db_exec(db,
	                 "INSERT INTO request_key (tenant_id, user, name, hash, cluster_id,"
	                 " create_time) VALUES (?, ?, ?, ?, ?, ?)",
	                 "ssssii", k->tenant_id, k->user, k->key, k->hash, cluster, now);
	return rc == DB_E_DUP ? DB_E_RETRY : rc;
}

int request_keys_expire(struct db *db)
{
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc
	          : db_exec(db, "DELETE FROM request_key WHERE create_time<? LIMIT 1000", "i",
	                    now - REQUEST_KEY_KEPT_MS);
}
