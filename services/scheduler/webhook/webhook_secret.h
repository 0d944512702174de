/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_secret - the secret that signs messages to a tenant's own target. The secrets of the
 * operator's targets are files, which webhook_send.c reads. Blocking; worker threads.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SECRET_H
#define LOOM_SCHEDULER_WEBHOOK_SECRET_H

#include "common/model/keys/keyring.h"
#include "services/scheduler/webhook/webhook_send.h"

/* webhook_prepare() with the tenant's secret, which is wiped afterwards. *ret: can it be sent?
 * Otherwise a DB_E_ code, or p holds the reason. */
LOOM_MUST_CHECK int webhook_secret_prepare(struct db_pool *db, struct keyring *ring,
                                           struct webhook_post *p, bool *ret);

#endif
