/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account - who may act in a tenant, and in which role: a person with a password, or a program that
 * has tokens only. The superadmins are the administrators of the tenant superadmin, and one of them
 * always stays. Passwords are kept as argon2id hashes. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_ACCOUNT_H
#define LOOM_MODEL_ACCOUNT_H

#include "common/db/db.h"
#include "common/json/json.h"

#define ACCOUNT_NAME_MAX     255
#define ACCOUNT_PASSWORD_MIN 10
#define ACCOUNT_PASSWORD_MAX 1024
#define ACCOUNTS_MAX         10000 /* of one tenant */

/* Of the superadmins' tenant: whom a first start makes, and whose token provisioners show. */
#define ACCOUNT_FIRST        "admin"
#define ACCOUNT_PROVISIONERS "provisioners"

enum account_role { ACCOUNT_USER, ACCOUNT_AUDITOR, ACCOUNT_ADMIN, ACCOUNT_PROVISIONER };
const char *account_role_name(enum account_role r);                /* "auditor" */
bool account_role_parse(const char *name, enum account_role *ret); /* false: no role */

struct account {
	enum account_role role;
	char *password; /* hash; owned; "" for none */
};

/* Can anybody sign in, with a password or a token that he made? Keeps out others who would make the
 * first account. */
LOOM_MUST_CHECK int account_reachable(struct db *db, bool *ret);
/* [{"name","role","hasPassword","changed"}] by name; name NULL: all. Returned owned. */
LOOM_MUST_CHECK int account_list(struct db *db, const char *tenant, const char *name,
                                 struct json **ret);
/* ACCOUNT_E_NONE when there is none. ret->password is the caller's. */
LOOM_MUST_CHECK int account_get(struct db *db, const char *tenant, const char *name,
                                struct account *ret);
/* Whoever changes a tenant's accounts waits here for others: what is read then stands. */
LOOM_MUST_CHECK int account_lock(struct db *db, const char *tenant);
/* Makes or changes one. password NULL: the one it has; a new one, and "", end its sessions.
 * ACCOUNT_E_LAST: no superadmin would be left; ACCOUNT_E_MANY. */
LOOM_MUST_CHECK int account_put(struct db *db, const char *tenant, const char *name,
                                enum account_role role, const char *password);
/* Makes it, without a password, unless there is one of that name. */
LOOM_MUST_CHECK int account_ensure(struct db *db, const char *tenant, const char *name,
                                   enum account_role role);
/* With its tokens. ACCOUNT_E_NONE, ACCOUNT_E_LAST. */
LOOM_MUST_CHECK int account_delete(struct db *db, const char *tenant, const char *name);

/* ---- passwords: any thread; takes 64 MiB and some 0.1 s of a processor ----------------------- */

char *account_password_hash(const char *password); /* owned; NULL: no memory */
/* hash "": takes as long, and is never right. */
bool account_password_right(const char *hash, const char *password);

#endif
