/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known - which provisioners are registered, remembered for a second: a worker's every call rests
 * on it, and its tasks are fenced by their attempts anyway. Only those that are registered are
 * remembered. Any thread.
 */
#ifndef LOOM_API_KNOWN_H
#define LOOM_API_KNOWN_H

#include "common/db/db.h"

struct known;

struct known *known_create(void);
void known_destroy(struct known *k);
/* 0 or a DB_E_ code; blocking. */
LOOM_MUST_CHECK int known_ask(struct known *k, struct db_pool *db, const char *id, bool *ret);
/* It asks for this tenant's tasks: noted in the database, now and then. Blocking. */
LOOM_MUST_CHECK int known_note_tenant(struct known *k, struct db_pool *db, const char *id,
                                      const char *tenant);
void known_forget(struct known *k, const char *id); /* it was deleted */

#endif
