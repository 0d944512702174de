/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - the proof of a client's identity: 256 random bits, stored only as a hash. A token belongs
 * to an account, and permits as much as the account, or less: its scopes. Inside db_tx() or
 * db_read(), except functions without a db argument.
 */
#ifndef LOOM_MODEL_TOKEN_H
#define LOOM_MODEL_TOKEN_H

#include "common/model/identity/account.h"

#define TOKEN_PREFIX     "loom_"
#define TOKEN_TEXT       49 /* "loom_" and 43 characters of base64url, with the NUL */
#define TOKEN_HASH       65
#define TOKEN_ID         17 /* its public name */
#define TOKEN_NAME_MAX   255
#define TOKEN_SCOPES_MAX 1000
#define TOKENS_MAX       100   /* per account */
#define TOKEN_USED_MS    60000 /* the last use is stored at most this often */

enum token_kind {
	TOKEN_API,       /* made by a user for a program */
	TOKEN_SESSION,   /* made by signing in */
	TOKEN_INSTALLED, /* made by the installation, which keeps it in a file */
	TOKEN_FIRST,     /* from the first start, to make the first account or token; valid once */
};

struct token {
	char id[TOKEN_ID], hash[TOKEN_HASH];
	enum token_kind kind;
	/* Borrowed. scopes separated by blanks, "": all. own: a role of the tenant that narrows the
	 * token in addition to its user's; NULL: none. */
	const char *tenant, *user, *name, *scopes, *own;
	int64_t expire; /* epoch ms, 0: never */
};

/* A token's owner. */
struct token_owner {
	char id[TOKEN_ID];
	char tenant_id[65], user[ACCOUNT_NAME_MAX + 1], scopes[TOKEN_SCOPES_MAX + 1];
	enum token_kind kind;
	enum account_role role; /* as narrowed */
	/* The tenant's own roles that narrow it: the user's and the token's; "": none. */
	char own[2][OWN_ROLE_NAME + 1];
	int64_t expire, used;
	bool foreign;   /* signed by an OpenID provider: it has no row */
	uint64_t stamp; /* changes with what the token permits */
};

/* Makes a token: text for its owner, hash and id to store. */
void token_make(char text[TOKEN_TEXT], struct token *ret);
/* false: not the form of a token. */
bool token_hash(const char *text, char ret[TOKEN_HASH]);

/* Adds a token, and deletes some expired ones. A new session replaces the oldest one if there are
 * too many; TOKEN_E_MANY when there are too many other tokens. OWN_ROLE_E_NONE; OWN_ROLE_E_OTHER:
 * the user's role does not overlap with it. */
LOOM_MUST_CHECK int token_add(struct db *db, const struct token *t);
/* Makes it the account's only token of kind TOKEN_INSTALLED. */
LOOM_MUST_CHECK int token_install(struct db *db, const struct token *t);
/* TOKEN_E_NONE: it does not exist, has expired, or its own role no longer overlaps with its
 * user's. */
LOOM_MUST_CHECK int token_find(struct db *db, const char *hash, struct token_owner *ret);
/* Which of these tokens are valid, by id, and their stamps; both owned. */
struct token_stamps {
	size_t n;
	struct token_stamp {
		char id[TOKEN_ID];
		uint64_t stamp;
	} * v;
};
LOOM_MUST_CHECK int token_stamps(struct db *db, const char *const *ids, size_t n,
                                 struct token_stamps *ret);
/* Stores the time of its use. */
LOOM_MUST_CHECK int token_used(struct db *db, const char *id);
/* A token's place among those of a tenant: by user, and of each by their age. */
struct token_place {
	int64_t create_time;
	char id[TOKEN_ID];
	const char *user; /* borrowed from the text */
};
/* "1700000000000.ID.USER" */
LOOM_MUST_CHECK bool token_place_parse(const char *text, struct token_place *ret);
/* [{"id","name","user","kind","scopes","role","createTime","expireTime","usedTime"}] by their
 * places, as part->after is one; user NULL: all of the tenant; kind NULL: any. Returned owned. */
LOOM_MUST_CHECK int token_list(struct db *db, const char *tenant, const char *user,
                               const char *kind, const struct list_part *part, struct json **ret);
/* The tally: changes whenever a token is added or deleted (list_part.h). */
LOOM_MUST_CHECK int token_tally(struct db *db, const char *tenant, const char *user, int64_t *ret);
/* user NULL: anybody's of the tenant. TOKEN_E_NONE. */
LOOM_MUST_CHECK int token_delete(struct db *db, const char *tenant, const char *user,
                                 const char *id);
LOOM_MUST_CHECK int token_end_sessions(struct db *db, const char *tenant, const char *user);
LOOM_MUST_CHECK int token_end_all(struct db *db, const char *tenant, const char *user);
/* Deletes the token if it is a session's; else returns 0, too. */
LOOM_MUST_CHECK int token_delete_session(struct db *db, const char *id);
/* Somebody can sign in now: invalidates the tokens of first starts. */
LOOM_MUST_CHECK int token_end_first(struct db *db);

#endif
