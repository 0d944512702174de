/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_secret - opens the secret of a tenant's target, which the database keeps sealed. */
#include "services/scheduler/webhook/webhook_secret.h"

#include "common/base/str.h"
#include "common/model/callback/callback_target.h"
#include "common/model/keys/kept.h"

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

/* *ret is owned and p borrows it; NULL if p has no such secret. A DB_E_ code, or p is refused for
 * good. */
static int get_own(struct db_pool *db, struct keyring *ring, struct webhook_post *p, char **ret)
{
	struct loom_err err = { 0 };
	struct own o = { .tenant = p->tenant_id, .name = p->secret + strlen("tenant:") };
	if (!str_starts(p->secret, "tenant:"))
		return 0;
	int rc = db_read(db, own_read, &o);
	const struct kept_at at = { ring, NULL, KEPT_TARGET, o.tenant, o.name };
	if (!rc && *o.sealed)
		rc = kept_open(&at, o.sealed, ret, &err);
	p->own = *ret;
	bool missing = rc == CALLBACK_TARGET_E_NONE, locked = rc == 500;
	if (missing)
		snprintf(p->reason, sizeof(p->reason), "its target does not exist any more");
	else if (locked)
		snprintf(p->reason, sizeof(p->reason), "its secret: %.400s", err.msg);
	p->never = p->never || missing || locked;
	loom_free(o.sealed);
	return p->never ? 0 : rc;
}

int webhook_secret_prepare(struct db_pool *db, struct keyring *ring, struct webhook_post *p,
                           bool *ret)
{
	char *own = NULL;
	int rc = get_own(db, ring, p, &own);
	*ret = !rc && !p->never && webhook_prepare(p);
	if (own)
		sodium_memzero(own, strlen(own));
	loom_free(own);
	p->own = NULL;
	return rc;
}
