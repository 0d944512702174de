/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_secret - what a message to a tenant's own target is signed with. Those of the operator's
 * targets are files, which webhook_send.c reads. Blocking; worker threads.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SECRET_H
#define LOOM_SCHEDULER_WEBHOOK_SECRET_H

#include "common/base/seal.h"
#include "common/db/db.h"
#include "services/scheduler/webhook/webhook_send.h"

/* *ret is owned and p borrows it, to be wiped after use; NULL when p has no such secret. A DB_E_
 * code, or p refused for good. */
LOOM_MUST_CHECK int webhook_secret_get(struct db_pool *db, const struct seal_key *key,
                                       struct webhook_post *p, char **ret);
void webhook_secret_wipe(char *secret); /* NULL ok */

#endif
