/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_secret - opens the secret of a tenant's target, which the database keeps sealed. */
#include "services/scheduler/webhook/webhook_secret.h"

#include "common/base/str.h"
#include "common/model/callback_target.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct own {
	const char *tenant, *name;
	char *sealed;
};

static int own_read(struct db *db, void *arg)
{
	struct own *o = arg;
	loom_free(o->sealed);
	o->sealed = NULL;
	return callback_target_secret(db, o->tenant, o->name, &o->sealed);
}

/* *ret is owned and p borrows it; NULL when p has no such secret. A DB_E_ code, or p refused for
 * good.
 */
static int get_own(struct db_pool *db, const struct seal_key *key, struct webhook_post *p,
                   char **ret)
{
	struct own o = { .tenant = p->tenant_id, .name = p->secret + strlen("tenant:") };
	if (!str_starts(p->secret, "tenant:"))
		return 0;
	int rc = db_read(db, own_read, &o);
	if (!rc && *o.sealed) {
		LOOM_CLEANUP_STR char *owner = callback_target_owner(o.tenant, o.name);
		p->own = *ret = seal_open(key, owner, o.sealed);
	}
	const char *why = rc == CALLBACK_TARGET_E_NONE ? "its target does not exist any more"
	                  : !rc && *o.sealed && !*ret
	                          ? "its secret cannot be opened with this cluster's key"
	                          : NULL;
	if (why) {
		p->never = true;
		snprintf(p->reason, sizeof(p->reason), "%s", why);
	}
	loom_free(o.sealed);
	return why ? 0 : rc;
}

int webhook_secret_prepare(struct db_pool *db, const struct seal_key *key, struct webhook_post *p,
                           bool *ret)
{
	char *own = NULL;
	int rc = get_own(db, key, p, &own);
	*ret = !rc && !p->never && webhook_prepare(p);
	if (own)
		sodium_memzero(own, strlen(own));
	loom_free(own);
	p->own = NULL;
	return rc;
}
