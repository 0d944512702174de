/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provisioner_cache - which provisioners are registered, remembered for a second: a worker's every
 * call rests on it, and its tasks are fenced by their attempts anyway. Only those that are
 * registered are remembered. Any thread.
 */
#ifndef LOOM_API_PROVISIONER_CACHE_H
#define LOOM_API_PROVISIONER_CACHE_H

#include "common/db/db.h"

struct provisioner_cache;

struct provisioner_cache *provisioner_cache_create(void);
void provisioner_cache_destroy(struct provisioner_cache *k);
/* 0 or a DB_E_ code; blocking. */
LOOM_MUST_CHECK int provisioner_cache_ask(struct provisioner_cache *k, struct db_pool *db,
                                          const char *id, bool *ret);
/* It asks for this tenant's tasks: noted in the database, now and then. Blocking. */
LOOM_MUST_CHECK int provisioner_cache_note_tenant(struct provisioner_cache *k, struct db_pool *db,
                                                  const char *id, const char *tenant);
/* A worker of version 0.9.7, which is its own provisioner: registered by each take and result, and
 * so written down now and then. Blocking. */
LOOM_MUST_CHECK int provisioner_cache_put_silent(struct provisioner_cache *k, struct db_pool *db,
                                                 const char *id, const char *tenant);
/* Are both of these remembered, so that neither call blocks? tenant NULL: it is not asked for. */
bool provisioner_cache_has(struct provisioner_cache *k, const char *id, const char *tenant);
void provisioner_cache_forget(struct provisioner_cache *k, const char *id); /* it was deleted */

#endif
