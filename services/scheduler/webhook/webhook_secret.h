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

/* webhook_prepare() with that secret, which is wiped after it. *ret: it can be sent. Else a DB_E_
 * code, or p says why not. */
LOOM_MUST_CHECK int webhook_secret_prepare(struct db_pool *db, const struct seal_key *key,
                                           struct webhook_post *p, bool *ret);

#endif
