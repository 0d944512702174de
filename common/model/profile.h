/* SPDX-License-Identifier: Apache-2.0 */
/* profile - an object that a user's clients keep for him, with what they like (REST spec 12).
 * Inside db_tx() or db_read(). */
#ifndef LOOM_MODEL_PROFILE_H
#define LOOM_MODEL_PROFILE_H

#include "common/db/db.h"

/* Its text, owned; NULL: there is none. */
LOOM_MUST_CHECK int profile_get(struct db *db, const char *tenant, const char *user, char **ret);
LOOM_MUST_CHECK int profile_put(struct db *db, const char *tenant, const char *user,
                                const char *text);
LOOM_MUST_CHECK int profile_delete(struct db *db, const char *tenant, const char *user);

#endif
