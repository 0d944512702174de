/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callback_target - the targets that receive callbacks about all clusters of a tenant. The secret
 * is sealed by the writer, opened by the signer (kept.h), and never shown. Inside db_tx() or
 * db_read().
 */
#ifndef LOOM_MODEL_CALLBACK_TARGET_H
#define LOOM_MODEL_CALLBACK_TARGET_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/list_part.h"
#include "common/model/precondition.h"

#define CALLBACK_TARGETS_MAX 16 /* per tenant */
#define CALLBACK_TARGET_NAME 64

/* [{"name","url","events","triggers","veto","signed"}] by name. Returned owned. */
LOOM_MUST_CHECK int callback_target_list(struct db *db, const char *tenant,
                                         const struct list_part *part, struct json **ret);
/* The tally: changes whenever one is written or deleted (list_part.h). */
LOOM_MUST_CHECK int callback_target_tally(struct db *db, const char *tenant, int64_t *ret);
/* Its tag (precondition.h), also of its secret; "" when there is none. Whoever is about to change
 * it waits here for others, if lock. */
LOOM_MUST_CHECK int callback_target_tag(struct db *db, const char *tenant, const char *name,
                                        bool lock, char tag[TAG_MAX]);
/* doc as in the list, without "signed". sealed: the secret, "" for none, NULL: unchanged. */
LOOM_MUST_CHECK int callback_target_put(struct db *db, const char *tenant, const struct json *doc,
                                        const char *sealed);
/* No error if it does not exist. */
LOOM_MUST_CHECK int callback_target_delete(struct db *db, const char *tenant, const char *name);

/* The sealed secret: *ret owned, CALLBACK_TARGET_E_NONE if the target does not exist. */
LOOM_MUST_CHECK int callback_target_secret(struct db *db, const char *tenant, const char *name,
                                           char **ret);
#endif
