/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account - the users of a tenant and their roles: a person with a password, or a program with
 * tokens only. The superadmins are the administrators of the tenant superadmin, and the last of
 * them cannot be removed. Passwords are kept as argon2id hashes. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_ACCOUNT_H
#define LOOM_MODEL_ACCOUNT_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/list_part.h"

#define ACCOUNT_NAME_MAX     255
#define ACCOUNT_PASSWORD_MIN 10
#define ACCOUNT_PASSWORD_MAX 1024
#define ACCOUNTS_MAX         10000 /* per tenant */
#define OWN_ROLE_NAME        64    /* of a tenant's own role (own_role.h) */

/* In the superadmins' tenant: the account that a first start makes, and the one of provisioners'
 * tokens. */
#define ACCOUNT_FIRST        "admin"
#define ACCOUNT_PROVISIONERS "provisioners"

enum account_role { ACCOUNT_USER, ACCOUNT_AUDITOR, ACCOUNT_ADMIN, ACCOUNT_PROVISIONER };
const char *account_role_name(enum account_role r);                /* "auditor" */
bool account_role_parse(const char *name, enum account_role *ret); /* false: not a role */

/* The role that remains when a role is narrowed to another; false: none. */
bool account_role_least(enum account_role role, enum account_role to, enum account_role *ret);

struct account {
	enum account_role role;      /* if it has an own role, that one's base */
	char own[OWN_ROLE_NAME + 1]; /* "" for none */
	char *password;              /* hash; owned; "" for none */
};

/* Can anybody sign in, with a password or a token that a user made? Locks out others who would make
 * the first account. */
LOOM_MUST_CHECK int account_reachable(struct db *db, bool *ret);
/* [{"name","role","hasPassword","changed"}] by name, the role one's own if there is one. Returned
 * owned. */
LOOM_MUST_CHECK int account_list(struct db *db, const char *tenant, const struct list_part *part,
                                 struct json **ret);
/* The list's tally: changes whenever the list does (list_part.h). */
LOOM_MUST_CHECK int account_tally(struct db *db, const char *tenant, int64_t *ret);
/* ACCOUNT_E_NONE when there is none. ret->password is the caller's. */
LOOM_MUST_CHECK int account_get(struct db *db, const char *tenant, const char *name,
                                struct account *ret);
/* Makes or changes one. own: its own role, whose base is taken for role; "" for none. password
 * NULL: the one it has; a new one, and "", end its sessions. ACCOUNT_E_LAST: no superadmin would be
 * left; ACCOUNT_E_MANY; OWN_ROLE_E_NONE. */
LOOM_MUST_CHECK int account_put(struct db *db, const char *tenant, const char *name,
                                enum account_role role, const char *own, const char *password);
/* Creates it without a password, unless the name exists. */
LOOM_MUST_CHECK int account_ensure(struct db *db, const char *tenant, const char *name,
                                   enum account_role role);
/* Deletes it with its tokens. ACCOUNT_E_NONE, ACCOUNT_E_LAST. */
LOOM_MUST_CHECK int account_delete(struct db *db, const char *tenant, const char *name);

/* ---- passwords: any thread; takes 64 MiB and some 0.1 s of a processor ----------------------- */

char *account_password_hash(const char *password); /* owned; NULL: no memory */
/* With hash "" it takes as long and returns false. */
bool account_password_right(const char *hash, const char *password);

#endif
