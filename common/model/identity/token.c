/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: how they are made, and their rows. */
#include "common/model/identity/token.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/own_role.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BYTES 32

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

/* Does the user's role overlap with the role that narrows the token? */
static int check_own(struct db *db, const struct token *t, const char *role)
{
	enum account_role has, base, least;
	if (!t->own || !*t->own)
		return 0;
	int rc = own_role_base(db, t->tenant, t->own, &base);
	if (rc)
		return rc;
	return account_role_parse(role, &has) && account_role_least(has, base, &least)
	               ? 0
	               : OWN_ROLE_E_OTHER;
}

/* Lock the account's row: concurrent additions could exceed the maximum. */
static int make_room(struct db *db, const struct token *t)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t n = 0;
	if (str_padded(t->user))
		return ACCOUNT_E_NONE;
	int rc = db_select(db, &r,
	                   "SELECT role FROM account WHERE tenant_id=? AND name=? FOR UPDATE", "ss",
	                   t->tenant, t->user);
	if (!rc && !db_rows(r))
		return ACCOUNT_E_NONE;
	if (!rc)
		rc = check_own(db, t, db_str(r, 0, 0));
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

/* Deletes some expired tokens, so that the table does not grow for ever. */
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
	/* The row may exist already, if the reply to a commit was lost. */
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO token (id, hash, tenant_id, user, name, kind, scopes,"
	                    " own_role, create_time, expire_time)"
	                    " VALUES (?,?,?,?,?,?,?,COALESCE(?,''),?,?)"
	                    " ON DUPLICATE KEY UPDATE id=id",
	                    "ssssssssii", t->id, t->hash, t->tenant, t->user, t->name,
	                    kinds[t->kind], t->scopes, t->own, now, t->expire);
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

/* The role that remains of the user's role, given in the column; without an own role it is
 * unchanged. */
static bool read_role(const struct db_result *r, size_t i, unsigned col, struct token_owner *ret)
{
	enum account_role role = ACCOUNT_USER, base;
	bool known = account_role_parse(db_str(r, i, col), &role);
	snprintf(ret->own[0], sizeof(ret->own[0]), "%s", db_str(r, i, col + 1));
	snprintf(ret->own[1], sizeof(ret->own[1]), "%s", db_str(r, i, col + 2));
	ret->role = role;
	return known && (!*ret->own[1] || (account_role_parse(db_str(r, i, col + 3), &base) &&
	                                   account_role_least(role, base, &ret->role)));
}

/* Hashes everything that determines what the token permits: the first n columns. */
static uint64_t stamp_of(const struct db_result *r, size_t i, unsigned n)
{
	static const unsigned char key[crypto_shorthash_KEYBYTES] = { 0 };
	LOOM_CLEANUP(strs_fini) struct strs all = { 0 };
	uint64_t sum;
	for (unsigned col = 0; col < n; col++)
		strs_add(&all, db_str(r, i, col) ? db_str(r, i, col) : "");
	LOOM_CLEANUP_STR char *text = strs_join(&all, "\n");
	crypto_shorthash((unsigned char *)&sum, (const unsigned char *)text, strlen(text), key);
	return sum;
}

/* Columns that may change without affecting permissions come last. */
#define OWNER                                                                     \
	"SELECT t.id, t.tenant_id, t.user, t.scopes, t.kind, a.role, a.own_role," \
	" t.own_role, o.base, COALESCE(o.changed, 0) + COALESCE(p.changed, 0),"   \
	" t.expire_time, t.used_time FROM token t JOIN account a"                 \
	" ON a.tenant_id=t.tenant_id AND a.name=t.user LEFT JOIN own_role o"      \
	" ON o.tenant_id=t.tenant_id AND o.name=t.own_role LEFT JOIN own_role p"  \
	" ON p.tenant_id=a.tenant_id AND p.name=a.own_role WHERE "
enum { COL_KIND = 4, COL_ROLE = 5, COL_EXPIRE = 10, COL_USED = 11 };

/* false: the token is not valid any more. */
static bool read_owner(const struct db_result *r, size_t i, int64_t now, struct token_owner *ret)
{
	*ret = (struct token_owner){ 0 };
	if (!read_role(r, i, COL_ROLE, ret))
		return false;
	snprintf(ret->id, sizeof(ret->id), "%s", db_str(r, i, 0));
	snprintf(ret->tenant_id, sizeof(ret->tenant_id), "%s", db_str(r, i, 1));
	snprintf(ret->user, sizeof(ret->user), "%s", db_str(r, i, 2));
	snprintf(ret->scopes, sizeof(ret->scopes), "%s", db_str(r, i, 3));
	ret->kind = kind_of(db_str(r, i, COL_KIND));
	ret->expire = db_int(r, i, COL_EXPIRE);
	ret->used = db_int(r, i, COL_USED);
	ret->stamp = stamp_of(r, i, COL_EXPIRE);
	return !ret->expire || ret->expire > now;
}

int token_find(struct db *db, const char *hash, struct token_owner *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t now;
	int rc = db_now(db, &now);
	if (!rc)
		rc = db_select(db, &r, OWNER "t.hash=?", "s", hash);
	if (rc)
		return rc;
	return db_rows(r) && read_owner(r, 0, now, ret) ? 0 : TOKEN_E_NONE;
}

static void add_stamps(const struct db_result *r, int64_t now, struct token_stamps *ret)
{
	struct token_owner o;
	ret->v = loom_calloc(db_rows(r) + 1, sizeof(*ret->v));
	for (size_t i = 0; i < db_rows(r); i++) {
		if (!read_owner(r, i, now, &o))
			continue;
		struct token_stamp *s = &ret->v[ret->n++];
		memcpy(s->id, o.id, sizeof(s->id));
		s->stamp = o.stamp;
	}
}

int token_stamps(struct db *db, const char *const *ids, size_t n, struct token_stamps *ret)
{
	static const struct db_many many = { OWNER "t.id IN (", "?", ",", ")", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *values = loom_calloc(n + 1, sizeof(*values));
	int64_t now;
	for (size_t i = 0; i < n; i++)
		values[i] = db_s(ids[i]);
	int rc = db_now(db, &now);
	if (!rc)
		rc = db_select_many(db, &r, &many, values, n);
	loom_free(values);
	*ret = (struct token_stamps){ 0 };
	if (!rc)
		add_stamps(r, now, ret);
	return rc;
}

int token_used(struct db *db, const char *id)
{
	int64_t now;
	int rc = db_now(db, &now);
	return rc ? rc
	          : db_exec(db, "UPDATE token SET used_time=GREATEST(used_time, ?) WHERE id=?",
	                    "is", now, id);
}

/* By the column's own rules: else the database does not see that the index has the order. */
#define OF_USER " AND (? IS NULL OR user=CONVERT(? USING utf8mb4) COLLATE utf8mb4_bin)"
#define SHOWN                                                                                \
	"SELECT id, name, user, kind, scopes, own_role, create_time, expire_time, used_time" \
	" FROM token FORCE INDEX (of_account) WHERE tenant_id=?" OF_USER

static struct json *shown(const struct db_result *r)
{
	static const char *const texts[] = { "id", "name", "user", "kind", "scopes", "role" };
	static const char *const times[] = { "createTime", "expireTime", "usedTime" };
	struct json *list = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++) {
		struct json *t = json_new_obj();
		for (unsigned k = 0; k < LOOM_COUNT(texts); k++)
			json_set_str(t, texts[k], db_str(r, i, k));
		for (unsigned k = 0; k < LOOM_COUNT(times); k++)
			json_set_int(t, times[k], db_int(r, i, k + LOOM_COUNT(texts)));
		json_push(list, t);
	}
	return list;
}

bool token_place_parse(const char *text, struct token_place *ret)
{
	const char *id = strchr(text, '.'), *user = id ? strchr(id + 1, '.') : NULL;
	if (!user || user == id + 1 || (size_t)(user - id) > TOKEN_ID)
		return false;
	LOOM_CLEANUP_STR char *time = loom_strndup(text, (size_t)(id - text));
	snprintf(ret->id, sizeof(ret->id), "%.*s", (int)(user - id - 1), id + 1);
	ret->user = user + 1;
	return !str_to_int(time, &ret->create_time) && str_is_utf8(text);
}

/* In the order of the index, in which the place is found. */
#define BEHIND(than, way)                                                            \
	SHOWN " AND (? IS NULL OR kind=BINARY ?) AND (? IS NULL OR user" than        \
	      "? OR (user=? AND (create_time" than "? OR (create_time=? AND id" than \
	      "?)))) ORDER BY user" way ", create_time" way ", id" way " LIMIT ?"

int token_list(struct db *db, const char *tenant, const char *user, const char *kind,
               const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = { BEHIND(">", ""), BEHIND("<", " DESC") };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct token_place p = { 0 };
	if (part->after && !token_place_parse(part->after, &p))
		return DB_E_FATAL;
	if (user && str_padded(user)) { /* nobody's name, though the database takes it for one */
		*ret = json_new_arr();
		return 0;
	}
	int rc =
		db_select(db, &r, parts[part->down], "ssssssssiisi", tenant, user, user, kind, kind,
	                  p.user, p.user, p.user, p.create_time, p.create_time, p.id, part->limit);
	if (!rc)
		*ret = shown(r);
	return rc;
}

int token_tally(struct db *db, const char *tenant, const char *user, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("id") "token FORCE INDEX (of_account) WHERE tenant_id=?"
	                                      " AND (? IS NULL OR user=?)",
	                     "sss", tenant, user, user);
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
