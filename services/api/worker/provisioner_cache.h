/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provisioner_cache - which provisioners are registered, cached for a second, because each call of
 * a worker checks it; tasks are fenced by their attempts anyway. Only positive results are cached.
 * Any thread.
 */
#ifndef LOOM_API_PROVISIONER_CACHE_H
#define LOOM_API_PROVISIONER_CACHE_H

#include "common/db/db.h"

struct provisioner_cache;

struct provisioner_cache *provisioner_cache_create(void);
void provisioner_cache_destroy(struct provisioner_cache *k);
/* Is it registered? 0 or a DB_E_ code; blocking. */
LOOM_MUST_CHECK int provisioner_cache_ask(struct provisioner_cache *k, struct db_pool *db,
                                          const char *id, bool *ret);
/* Notes in the database, now and then, that it asks for this tenant's tasks. Blocking. */
LOOM_MUST_CHECK int provisioner_cache_note_tenant(struct provisioner_cache *k, struct db_pool *db,
                                                  const char *id, const char *tenant);
/* Registers a worker of version 0.9.7, which is its own provisioner, at each take and result;
 * written to the database now and then. Blocking. */
LOOM_MUST_CHECK int provisioner_cache_put_silent(struct provisioner_cache *k, struct db_pool *db,
                                                 const char *id, const char *tenant);
/* Are both cached, so that neither call blocks? tenant NULL: only the registration. */
bool provisioner_cache_has(struct provisioner_cache *k, const char *id, const char *tenant);
void provisioner_cache_forget(struct provisioner_cache *k, const char *id); /* it was deleted */

#endif
