/* SPDX-License-Identifier: Apache-2.0 */
/* profile - one object per user, where clients store what they like (REST spec 12). Inside db_tx()
 * or db_read(). */
#ifndef LOOM_MODEL_PROFILE_H
#define LOOM_MODEL_PROFILE_H

#include "common/model/keys/keyring.h"

/* Its text, owned; NULL: it does not exist. 500 with err: it cannot be opened (kept.h). */
LOOM_MUST_CHECK int profile_get(struct keyring *ring, struct db *db, const char *tenant,
                                const char *user, char **ret, struct loom_err *err);
LOOM_MUST_CHECK int profile_put(struct keyring *ring, struct db *db, const char *tenant,
                                const char *user, const char *text, struct loom_err *err);
LOOM_MUST_CHECK int profile_delete(struct db *db, const char *tenant, const char *user);

#endif
