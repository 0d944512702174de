/* SPDX-License-Identifier: Apache-2.0 */
/* The log's rows: written beside a change, moved into the chain, dropped when old. */
#include "common/model/identity/audit.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/identity/audit_private.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
	SEALED_AT_ONCE = 200, /* rows */
	DROPPED_AT_ONCE = 1000,
	WORTH_DROPPING = 100, /* because each drop adds a row itself */
	LATEST_DROP_MS = 24 * 3600 * 1000,
};

void audit_id(char ret[AUDIT_ID])
{
	char at_random[21];
	id_random_hex(at_random, 10);
	snprintf(ret, AUDIT_ID, "%012llx%s",
	         (unsigned long long)clock_wall_ms() & 0xffffffffffffull, at_random);
}

int audit_add(struct db *db, const struct audit_row *row)
{
	/* The row may exist from a run of the transaction whose commit was not confirmed. */
	return db_exec(db,
	               "INSERT INTO audit_new (" AUDIT_CONTENT ") VALUES"
	               " (?,CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED),?,?,?,?,?,?,?,?,?,?,?,?,?)"
	               " ON DUPLICATE KEY UPDATE id=id",
	               "ssssssssssiiss", row->id, row->tenant, row->home, row->user, row->token,
	               row->role, row->peer, row->request, row->action, row->object, row->status,
	               row->count, row->before, row->after);
}

/* ---- the chain ------------------------------------------------------------------------------- */

static void add_text(crypto_generichash_state *s, const char *text, size_t len)
{
	char length[24];
	int n = snprintf(length, sizeof(length), text ? "%zu:" : "-", len);
	(void)crypto_generichash_update(s, (const unsigned char *)length, (size_t)n);
	if (text)
		(void)crypto_generichash_update(s, (const unsigned char *)text, len);
}

static void to_hex(const unsigned char bytes[32], char ret[AUDIT_HASH])
{
	(void)sodium_bin2hex(ret, AUDIT_HASH, bytes, 32);
}

/* Hashes each value with its length, so that no two rows give the same bytes. */
void audit_hash_row(int64_t seq, const char *before, const struct db_result *r, size_t row,
                    unsigned column, char ret[AUDIT_HASH])
{
	crypto_generichash_state s;
	unsigned char bytes[32];
	LOOM_CLEANUP_STR char *number = loom_asprintf("%lld", (long long)seq);
	(void)crypto_generichash_init(&s, NULL, 0, sizeof(bytes));
	add_text(&s, number, strlen(number));
	add_text(&s, before, strlen(before));
	for (unsigned i = 0; i < AUDIT_COLUMNS; i++)
		add_text(&s, db_str(r, row, column + i), db_len(r, row, column + i));
	(void)crypto_generichash_final(&s, bytes, sizeof(bytes));
	to_hex(bytes, ret);
}

void audit_seal_of(const struct seal_key *key, const char *hash, char ret[AUDIT_HASH])
{
	unsigned char bytes[32];
	*ret = '\0';
	if (!key->known)
		return;
	(void)crypto_generichash(bytes, sizeof(bytes), (const unsigned char *)hash, strlen(hash),
	                         key->bytes, sizeof(key->bytes));
	to_hex(bytes, ret);
}

/* The end of the chain. */
struct head {
	int64_t seq;
	char hash[AUDIT_HASH];
};

int audit_hash_at(struct db *db, int64_t seq, char ret[AUDIT_HASH])
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT hash FROM audit WHERE seq=?", "i", seq);
	snprintf(ret, AUDIT_HASH, "%s", !rc && db_rows(r) ? db_str(r, 0, 0) : AUDIT_NOTHING);
	return rc;
}

static int head_lock(struct db *db, struct head *h)
{
	int rc = db_select_int(db, &h->seq, NULL,
	                       "SELECT value FROM counter WHERE name='audit' FOR UPDATE", "");
	return rc ? rc : audit_hash_at(db, h->seq, h->hash);
}

static int head_save(struct db *db, const struct head *h)
{
	return db_exec(db, "UPDATE counter SET value=? WHERE name='audit'", "i", h->seq);
}

static int append(struct db *db, const struct seal_key *key, struct head *h,
                  const struct db_result *r, size_t row)
{
	char hash[AUDIT_HASH], sealed[AUDIT_HASH], name[SEAL_KEY_NAME] = "";
	audit_hash_row(h->seq + 1, h->hash, r, row, 0, hash);
	audit_seal_of(key, hash, sealed);
	if (key->known)
		seal_key_name(key, name);
	int rc = db_exec(db,
	                 "INSERT INTO audit (seq, hash, seal, seal_key, " AUDIT_CONTENT ")"
	                 " SELECT ?,?,?,?, " AUDIT_CONTENT " FROM audit_new n WHERE n.id=?"
	                 " AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.id=n.id)",
	                 "issss", h->seq + 1, hash, sealed, name, db_str(r, row, 0));
	if (rc || !db_affected(db))
		return rc;
	h->seq++;
	memcpy(h->hash, hash, sizeof(hash));
	return 0;
}

static int append_all(struct db *db, const struct seal_key *key, struct head *h,
                      const struct db_result *r)
{
	static const struct db_many drop = { "DELETE FROM audit_new WHERE id IN (", "?", ",", ")",
		                             1 };
	struct db_value *ids = loom_calloc(db_rows(r) + 1, sizeof(*ids));
	int rc = 0;
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		ids[i] = db_s(db_str(r, i, 0));
		rc = append(db, key, h, r, i);
	}
	if (!rc)
		rc = db_exec_many(db, &drop, ids, db_rows(r));
	loom_free(ids);
	return rc ? rc : head_save(db, h);
}

int audit_look(struct db *db, struct audit_due *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	*ret = (struct audit_due){ 0 };
	int rc = db_select(db, &r,
	                   "SELECT EXISTS (SELECT 1 FROM audit_new),"
	                   " CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED),"
	                   " (SELECT time FROM audit ORDER BY seq LIMIT 1)",
	                   "");
	if (!rc)
		*ret = (struct audit_due){ db_int(r, 0, 0), db_int(r, 0, 1), db_int(r, 0, 2) };
	return rc;
}

/* Skips rows that are being written: the next call finds them. */
int audit_seal(struct db *db, const struct seal_key *key, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct head h;
	*ret = 0;
	int rc = head_lock(db, &h);
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT " AUDIT_CONTENT " FROM audit_new ORDER BY id LIMIT ?", "i",
		               (int64_t)SEALED_AT_ONCE);
	if (!rc && db_rows(r))
		rc = append_all(db, key, &h, r);
	if (!rc)
		*ret = (int64_t)db_rows(r);
	return rc;
}

/* ---- what is too old ------------------------------------------------------------------------- */

/* Finds how many rows at the start of the chain are older, and the last of them. */
static int find_old(struct db *db, int64_t before, int64_t *n, struct head *last)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT seq, time, hash FROM audit ORDER BY seq LIMIT ?", "i",
	                   (int64_t)DROPPED_AT_ONCE);
	size_t old = 0;
	while (!rc && old < db_rows(r) && db_int(r, old, 1) < before)
		old++;
	bool late = old && db_int(r, 0, 1) < before - LATEST_DROP_MS;
	*n = old >= WORTH_DROPPING || late ? (int64_t)old : 0;
	if (!*n)
		return rc;
	last->seq = db_int(r, old - 1, 0);
	snprintf(last->hash, sizeof(last->hash), "%s", db_str(r, old - 1, 2));
	return 0;
}

static int add_mark(struct db *db, const struct seal_key *key, struct head *h, int64_t n,
                    const struct head *last)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	LOOM_CLEANUP_STR char *doc = loom_asprintf("{\"seq\":%lld,\"hash\":\"%s\",\"rows\":%lld}",
	                                           (long long)last->seq, last->hash, (long long)n);
	struct audit_row row = { .tenant = "superadmin",
		                 .home = "",
		                 .user = "",
		                 .token = "",
		                 .role = "",
		                 .peer = "",
		                 .request = "",
		                 .action = AUDIT_DROP,
		                 .object = AUDIT_DROP_OBJECT,
		                 .status = 200,
		                 .count = 1,
		                 .after = doc };
	audit_id(row.id);
	int rc = audit_add(db, &row);
	if (!rc)
		rc = db_select(db, &r, "SELECT " AUDIT_CONTENT " FROM audit_new WHERE id=?", "s",
		               row.id);
	return rc ? rc : append_all(db, key, h, r);
}

int audit_expire(struct db *db, const struct seal_key *key, int64_t before, int64_t *ret)
{
	struct head h, last;
	*ret = 0;
	int rc = head_lock(db, &h);
	if (!rc)
		rc = find_old(db, before, ret, &last);
	if (rc || !*ret)
		return rc;
	rc = db_exec(db, "DELETE FROM audit WHERE seq<=?", "i", last.seq);
	return rc ? rc : add_mark(db, key, &h, *ret, &last);
}
