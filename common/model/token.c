/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: how they are made, and their rows. */
#include "common/model/token.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/entity.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BYTES  32
#define LISTED "1000"

static const char *const kinds[] = {
	[TOKEN_API] = "api",
	[TOKEN_SESSION] = "session",
	[TOKEN_INSTALLED] = "installed",
	[TOKEN_FIRST] = "first",
};

static enum token_kind kind_of(const char *name)
{
	size_t i = LOOM_COUNT(kinds) - 1;
	while (i > 0 && !str_eq(kinds[i], name))
		i--;
	return (enum token_kind)i;
}

static void hash_text(const char *text, size_t len, char ret[TOKEN_HASH])
{
	unsigned char sum[(TOKEN_HASH - 1) / 2];
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)text, len, NULL, 0);
	sodium_bin2hex(ret, TOKEN_HASH, sum, sizeof(sum));
}

void token_make(char text[TOKEN_TEXT], struct token *ret)
{
	unsigned char bytes[BYTES];
	char random[TOKEN_TEXT];
	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2base64(random, sizeof(random), bytes, sizeof(bytes),
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	snprintf(text, TOKEN_TEXT, TOKEN_PREFIX "%.43s", random);
	hash_text(text, TOKEN_TEXT - 1, ret->hash);
	id_random_hex(ret->id, (TOKEN_ID - 1) / 2);
	sodium_memzero(bytes, sizeof(bytes));
	sodium_memzero(random, sizeof(random));
}

bool token_hash(const char *text, char ret[TOKEN_HASH])
{
	size_t len = strlen(text);
	if (len != TOKEN_TEXT - 1 || strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
		return false;
	hash_text(text, len, ret);
	return true;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The account's row keeps those out who would add another at the same time. */
static int make_room(struct db *db, const struct token *t)
{
	int64_t n = 0;
	bool found;
	int rc = db_select_int(db, &n, &found,
	                       "SELECT 1 FROM account WHERE tenant_id=? AND name=? FOR UPDATE",
	                       "ss", t->tenant, t->user);
	if (!rc && !found)
		return ACCOUNT_E_NONE;
	if (!rc)
		rc = db_select_int(db, &n, NULL,
		                   "SELECT COUNT(*) FROM token WHERE tenant_id=? AND user=?"
		                   " AND kind=?",
		                   "sss", t->tenant, t->user, kinds[t->kind]);
	if (rc || n < TOKENS_MAX)
		return rc;
	if (t->kind == TOKEN_API || t->kind == TOKEN_INSTALLED)
		return TOKEN_E_MANY;
	return db_exec(db,
	               "DELETE FROM token WHERE tenant_id=? AND user=? AND kind=?"
	               " ORDER BY create_time LIMIT 1",
	               "sss", t->tenant, t->user, kinds[t->kind]);
}

/* Some of those that have ended make room, so that the table does not grow for ever. */
static int drop_ended(struct db *db, int64_t now)
{
	return db_exec(db, "DELETE FROM token WHERE expire_time>0 AND expire_time<? LIMIT 100", "i",
	               now);
}

int token_add(struct db *db, const struct token *t)
{
	int64_t now = 0;
	int rc = make_room(db, t);
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = drop_ended(db, now);
	/* The same token again when the answer of a commit was lost. */
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO token (id, hash, tenant_id, user, name, kind, scopes,"
	                    " create_time, expire_time) VALUES (?,?,?,?,?,?,?,?,?)"
	                    " ON DUPLICATE KEY UPDATE id=id",
	                    "sssssssii", t->id, t->hash, t->tenant, t->user, t->name,
	                    kinds[t->kind], t->scopes, now, t->expire);
}

int token_install(struct db *db, const struct token *t)
{
	bool there;
	int64_t one;
	int rc = db_exec(db,
	                 "DELETE FROM token WHERE tenant_id=? AND user=? AND kind='installed'"
	                 " AND hash<>?",
	                 "sss", t->tenant, t->user, t->hash);
	if (!rc)
		rc = db_select_int(db, &one, &there, "SELECT 1 FROM token WHERE hash=?", "s",
		                   t->hash);
	return rc || there ? rc : token_add(db, t);
}

int token_find(struct db *db, const char *hash, struct token_owner *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t now;
	int rc = db_now(db, &now);
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT t.id, t.tenant_id, t.user, t.scopes, t.kind, t.expire_time,"
		               " t.used_time, a.role FROM token t JOIN account a"
		               " ON a.tenant_id=t.tenant_id AND a.name=t.user WHERE t.hash=?",
		               "s", hash);
	if (rc)
		return rc;
	*ret = (struct token_owner){ 0 };
	if (!db_rows(r) || !account_role_parse(db_str(r, 0, 7), &ret->role))
		return TOKEN_E_NONE;
	snprintf(ret->id, sizeof(ret->id), "%s", db_str(r, 0, 0));
	snprintf(ret->tenant_id, sizeof(ret->tenant_id), "%s", db_str(r, 0, 1));
	snprintf(ret->user, sizeof(ret->user), "%s", db_str(r, 0, 2));
	snprintf(ret->scopes, sizeof(ret->scopes), "%s", db_str(r, 0, 3));
	ret->kind = kind_of(db_str(r, 0, 4));
	ret->expire = db_int(r, 0, 5);
	ret->used = db_int(r, 0, 6);
	return ret->expire && ret->expire <= now ? TOKEN_E_NONE : 0;
}

int token_used(struct db *db, const char *id)
{
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc
	          : db_exec(db, "UPDATE token SET used_time=GREATEST(used_time, ?) WHERE id=?",
	                    "is", now, id);
}

int token_list(struct db *db, const char *tenant, const char *user, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r,
	                  "SELECT id, name, user, kind, scopes, create_time, expire_time, used_time"
	                  " FROM token WHERE tenant_id=? AND (? IS NULL OR user=?)"
	                  " ORDER BY create_time DESC, id LIMIT " LISTED,
	                  "sss", tenant, user, user);
	static const char *const texts[] = { "id", "name", "user", "kind", "scopes" };
	static const char *const times[] = { "createTime", "expireTime", "usedTime" };
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *t = json_new_obj();
		for (unsigned k = 0; k < LOOM_COUNT(texts); k++)
			json_set_str(t, texts[k], db_str(r, i, k));
		for (unsigned k = 0; k < LOOM_COUNT(times); k++)
			json_set_int(t, times[k], db_int(r, i, k + LOOM_COUNT(texts)));
		json_push(*ret, t);
	}
	return rc;
}

int token_delete(struct db *db, const char *tenant, const char *user, const char *id)
{
	int rc = db_exec(db,
	                 "DELETE FROM token WHERE id=? AND tenant_id=? AND (? IS NULL OR user=?)",
	                 "ssss", id, tenant, user, user);
	return rc ? rc : db_affected(db) ? 0 : TOKEN_E_NONE;
}

int token_end_sessions(struct db *db, const char *tenant, const char *user)
{
	return db_exec(db, "DELETE FROM token WHERE tenant_id=? AND user=? AND kind='session'",
	               "ss", tenant, user);
}

int token_delete_session(struct db *db, const char *id)
{
	return db_exec(db, "DELETE FROM token WHERE id=? AND kind='session'", "s", id);
}

int token_end_first(struct db *db)
{
	return db_exec(db,
	               "DELETE FROM token WHERE tenant_id='" TENANT_SUPERADMIN
	               "' AND user='" ACCOUNT_FIRST "' AND kind='first'",
	               "");
}

int token_end_all(struct db *db, const char *tenant, const char *user)
{
	return db_exec(db, "DELETE FROM token WHERE tenant_id=? AND user=?", "ss", tenant, user);
}
