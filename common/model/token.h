/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - what a client shows to say who it is: 256 random bits, of which only a hash is kept. A
 * token is an account's, and good for as much as the account is, or less: its scopes. Inside
 * db_tx() or db_read(), but for those that make no mention of a database.
 */
#ifndef LOOM_MODEL_TOKEN_H
#define LOOM_MODEL_TOKEN_H

#include "common/model/account.h"

#define TOKEN_PREFIX     "loom_"
#define TOKEN_TEXT       49 /* "loom_" and 43 characters of base64url, with the NUL */
#define TOKEN_HASH       65
#define TOKEN_ID         17 /* what a token is spoken of by */
#define TOKEN_NAME_MAX   255
#define TOKEN_SCOPES_MAX 1000
#define TOKENS_MAX       100   /* of one account */
#define TOKEN_USED_MS    60000 /* the last use is noted no more often */

enum token_kind {
	TOKEN_API,       /* made by somebody for a program */
	TOKEN_SESSION,   /* by signing in */
	TOKEN_INSTALLED, /* by whoever installed Loom, who keeps it in a file */
	TOKEN_FIRST, /* at the first start, for whoever makes the first account or token; once */
};

struct token {
	char id[TOKEN_ID], hash[TOKEN_HASH];
	enum token_kind kind;
	const char *tenant, *user, *name,
		*scopes; /* borrowed; scopes "": all, with blanks between */
	int64_t expire;  /* epoch ms, 0: never */
};

/* Whose a token is. */
struct token_owner {
	char id[TOKEN_ID];
	char tenant_id[65], user[ACCOUNT_NAME_MAX + 1], scopes[TOKEN_SCOPES_MAX + 1];
	enum token_kind kind;
	enum account_role role;
	int64_t expire, used;
};

/* A new one: text for its owner, hash and id for us. */
void token_make(char text[TOKEN_TEXT], struct token *ret);
/* false: no text of a token. */
bool token_hash(const char *text, char ret[TOKEN_HASH]);

/* Drops some that have ended. The oldest session makes room for a new one; TOKEN_E_MANY when there
 * are too many others. */
LOOM_MUST_CHECK int token_add(struct db *db, const struct token *t);
/* The account's only one of the kind TOKEN_INSTALLED from now on. */
LOOM_MUST_CHECK int token_install(struct db *db, const struct token *t);
/* TOKEN_E_NONE: none, or it has ended. */
LOOM_MUST_CHECK int token_find(struct db *db, const char *hash, struct token_owner *ret);
/* It was used now. */
LOOM_MUST_CHECK int token_used(struct db *db, const char *id);
/* [{"id","name","user","kind","scopes","createTime","expireTime","usedTime"}], the newest first;
 * user NULL: all of the tenant, of which at most 1000. Returned owned. */
LOOM_MUST_CHECK int token_list(struct db *db, const char *tenant, const char *user,
                               struct json **ret);
/* user NULL: anybody's of the tenant. TOKEN_E_NONE. */
LOOM_MUST_CHECK int token_delete(struct db *db, const char *tenant, const char *user,
                                 const char *id);
LOOM_MUST_CHECK int token_end_sessions(struct db *db, const char *tenant, const char *user);
LOOM_MUST_CHECK int token_end_all(struct db *db, const char *tenant, const char *user);
/* The session itself; 0 when it was no session. */
LOOM_MUST_CHECK int token_delete_session(struct db *db, const char *id);
/* Somebody can sign in now: those of first starts are good no more. */
LOOM_MUST_CHECK int token_end_first(struct db *db);

#endif
