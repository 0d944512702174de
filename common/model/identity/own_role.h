/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_role - a role made by a tenant's administrators: one of user, auditor and admin (its base),
 * narrowed to some permissions, and to clusters of some templates and providers. So it never
 * permits more than its base. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_OWN_ROLE_H
#define LOOM_MODEL_OWN_ROLE_H

#include "common/model/identity/account.h"

#define OWN_ROLES_MAX 100 /* per tenant */

struct own_role {
	enum account_role base;
	char *permissions; /* separated by blanks */
	/* Names, or prefixes that end with *; NULL: all. */
	struct json *templates, *providers;
	int64_t changed; /* epoch ms */
};
void own_role_fini(struct own_role *r);
/* Does it match one of these names? NULL: yes. */
bool own_role_names(const struct json *names, const char *name);

/* *ret owned; OWN_ROLE_E_NONE. */
LOOM_MUST_CHECK int own_role_get(struct db *db, const char *tenant, const char *name,
                                 struct own_role *ret);
/* Only its base. Locks the role: it cannot change or be deleted before the transaction ends. */
LOOM_MUST_CHECK int own_role_base(struct db *db, const char *tenant, const char *name,
                                  enum account_role *ret);
/* [{"name","base","permissions","templates","providers","description","changed"}] by name. Returned
 * owned. */
LOOM_MUST_CHECK int own_role_list(struct db *db, const char *tenant, const struct list_part *part,
                                  struct json **ret);
/* The list's tally: changes whenever the list does (list_part.h). */
LOOM_MUST_CHECK int own_role_tally(struct db *db, const char *tenant, int64_t *ret);
/* Makes or changes one, after tenant_lock(); doc as in the list. Whoever has it has its new base
 * then. OWN_ROLE_E_MANY. */
LOOM_MUST_CHECK int own_role_put(struct db *db, const char *tenant, const struct json *doc);
/* After tenant_lock(). OWN_ROLE_E_NONE; OWN_ROLE_E_USED: a user or a token has it. */
LOOM_MUST_CHECK int own_role_delete(struct db *db, const char *tenant, const char *name);

#endif
