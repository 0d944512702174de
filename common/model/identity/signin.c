/* SPDX-License-Identifier: Apache-2.0 */
/* How often a password was wrong, and what that costs. */
#include "common/model/identity/signin.h"

#include "common/base/str.h"

#include <sodium.h>
#include <string.h>

enum { FIRST_MS = 1000, SLOTS = 1 << 20, DOUBLINGS = 16 };
#define FORGET_MS ((int64_t)24 * 3600 * 1000)

int64_t signin_cost(int64_t wrong)
{
	int64_t more = wrong - SIGNIN_FREE;
	int64_t cost = FIRST_MS << (more < DOUBLINGS ? (more > 0 ? more : 0) : DOUBLINGS);
	return more < 0 ? 0 : cost < SIGNIN_MOST_MS ? cost : SIGNIN_MOST_MS;
}

static int64_t slot_of(const char *key)
{
	uint64_t sum;
	unsigned char bytes[crypto_generichash_BYTES_MIN];
	crypto_generichash(bytes, sizeof(bytes), (const unsigned char *)key, strlen(key), NULL, 0);
	memcpy(&sum, bytes, sizeof(sum));
	return (int64_t)(sum % SLOTS);
}

struct tries {
	int64_t wrong, free, tried; /* epoch ms: free: time of the next allowed try; tried: of the
	                             * last one */
};

static int read_tries(struct db *db, int64_t slot, struct tries *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r, "SELECT wrong, free_time, tried_time FROM signin WHERE slot=? FOR UPDATE",
		"i", slot);
	if (!rc && db_rows(r))
		*ret = (struct tries){ db_int(r, 0, 0), db_int(r, 0, 1), db_int(r, 0, 2) };
	return rc;
}

int signin_try(struct db *db, const char *key, int64_t *ret_wait)
{
	int64_t now, slot = slot_of(key);
	struct tries t = { 0 };
	int rc = db_now(db, &now);
	/* Make sure that there is a row to lock, from the first try on. */
	if (!rc)
		rc = db_exec(db,
		             "INSERT IGNORE INTO signin (slot, wrong, free_time, tried_time)"
		             " VALUES (?, 0, 0, ?)",
		             "ii", slot, now);
	if (!rc)
		rc = read_tries(db, slot, &t);
	if (rc)
		return rc;
	*ret_wait = t.free > now ? t.free - now : 0;
	if (*ret_wait)
		return 0;
	if (t.tried < now - FORGET_MS)
		t.wrong = 0;
	return db_exec(db, "UPDATE signin SET wrong=?, free_time=?, tried_time=? WHERE slot=?",
	               "iiii", t.wrong + 1, now + signin_cost(t.wrong + 1), now, slot);
}

int signin_right(struct db *db, const char *key)
{
	return db_exec(db, "DELETE FROM signin WHERE slot=?", "i", slot_of(key));
}

int signins_expire(struct db *db)
{
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc
	          : db_exec(db, "DELETE FROM signin WHERE tried_time<? LIMIT 1000", "i",
	                    now - FORGET_MS);
}
