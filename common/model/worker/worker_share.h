/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_share - how many workers each of the original's provisioners runs for each tenant. Such a
 * provisioner takes no tasks by itself: it is told the number for each tenant (REST spec 11),
 * within its capacity. Loom's own provisioners serve any tenant with tasks and are told nothing.
 *
 * A changed share is due until the provisioner has been told. Inside db_tx() or db_read(), except
 * shares_spread().
 */
#ifndef LOOM_MODEL_WORKER_SHARE_H
#define LOOM_MODEL_WORKER_SHARE_H

#include "common/db/db.h"
#include "common/json/json.h"

/* Fills one provisioner after the other; existing shares stay. shares: for n provisioners with
 * these capacities the workers of m tenants, n * m, changed in place; wanted: per tenant. Pure. */
void shares_spread(const int64_t *capacity, size_t n, const int64_t *wanted, size_t m,
                   int64_t *shares);

/* Call after tenants or provisioners have changed: distributes the wanted workers, and marks
 * changed shares as due. */
LOOM_MUST_CHECK int shares_balance(struct db *db);
/* A provisioner has registered, so it runs no workers. */
LOOM_MUST_CHECK int shares_forget(struct db *db, const char *provisioner);
/* Makes the tenant's shares due again: its workers' files have changed. */
LOOM_MUST_CHECK int shares_touch(struct db *db, const char *tenant);

/* A share that is due. */
struct share_due {
	char *provisioner, *tenant, *host; /* owned */
	int64_t port, workers, change;
	int64_t tries; /* failed calls */
};
void share_due_fini(struct share_due *d);

/* Is any share due? Without locks. */
LOOM_MUST_CHECK int shares_due(struct db *db, bool *ret);
/* Claims one due share for ms; ret->provisioner NULL: none. */
LOOM_MUST_CHECK int share_claim(struct db *db, int64_t ms, struct share_due *ret);
/* The provisioner was told; or the call failed, and is repeated after ms. */
LOOM_MUST_CHECK int share_pushed(struct db *db, const struct share_due *d);
LOOM_MUST_CHECK int share_failed(struct db *db, const struct share_due *d, int64_t ms);

/* {"PROVISIONER": {"TENANT ID": workers}} of those between these ids that have one; owned. */
LOOM_MUST_CHECK int shares_list(struct db *db, const char *least, const char *greatest,
                                struct json **ret);

#endif
