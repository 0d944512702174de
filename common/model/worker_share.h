/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_share - how many workers each provisioner of the original runs for which tenant. Such a
 * provisioner takes no task by itself: it is told the number for each tenant (REST spec 11), as far
 * as its capacity goes; Loom's own work for whoever has tasks and are told nothing.
 *
 * A share that was changed is due until the provisioner has been told. Inside db_tx() or db_read(),
 * but for shares_spread().
 */
#ifndef LOOM_MODEL_WORKER_SHARE_H
#define LOOM_MODEL_WORKER_SHARE_H

#include "common/db/db.h"
#include "common/json/json.h"

/* One provisioner after the other, each as far as it goes; what there is stays where it is. shares:
 * of n provisioners with these capacities the workers of each of m tenants, n * m, changed in
 * place; wanted: of each tenant. Pure. */
void shares_spread(const int64_t *capacity, size_t n, const int64_t *wanted, size_t m,
                   int64_t *shares);

/* After tenants or provisioners have changed: spreads what is wanted, and notes what is due. */
LOOM_MUST_CHECK int shares_balance(struct db *db);
/* A provisioner has registered, and so runs no worker. */
LOOM_MUST_CHECK int shares_forget(struct db *db, const char *provisioner);
/* The tenant's provisioners are to be told again: what its workers are given has changed. */
LOOM_MUST_CHECK int shares_touch(struct db *db, const char *tenant);

/* What a provisioner is to be told. */
struct share_due {
	char *provisioner, *tenant, *host; /* owned */
	int64_t port, workers, change;
	int64_t tries; /* that went wrong */
};
void share_due_fini(struct share_due *d);

/* Is any due? Without a lock. */
LOOM_MUST_CHECK int shares_due(struct db *db, bool *ret);
/* One that is due, and nobody else's for ms; ret->provisioner NULL: none. */
LOOM_MUST_CHECK int share_claim(struct db *db, int64_t ms, struct share_due *ret);
/* It was told; or it was not, and is tried again after ms. */
LOOM_MUST_CHECK int share_told(struct db *db, const struct share_due *d);
LOOM_MUST_CHECK int share_failed(struct db *db, const struct share_due *d, int64_t ms);

/* {"PROVISIONER": {"TENANT ID": workers}} of all that have one; owned. */
LOOM_MUST_CHECK int shares_list(struct db *db, struct json **ret);

#endif
