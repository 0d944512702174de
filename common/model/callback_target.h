/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callback_target - whom a tenant wants to be told of all its clusters. The secret is sealed by
 * those who write it, opened by those who sign with it, and never shown. Inside db_tx() or
 * db_read().
 */
#ifndef LOOM_MODEL_CALLBACK_TARGET_H
#define LOOM_MODEL_CALLBACK_TARGET_H

#include "common/base/seal.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/precondition.h"

#define CALLBACK_TARGETS_MAX 16 /* of one tenant */
#define CALLBACK_TARGET_NAME 64

/* What the secret's key is derived for. */
#define CALLBACK_TARGET_USE "callback targets"

/* [{"name","url","events","triggers","veto","signed"}] by name; name NULL: all. Returned owned. */
LOOM_MUST_CHECK int callback_target_list(struct db *db, const char *tenant, const char *name,
                                         struct json **ret);
/* Its tag (precondition.h), also of its secret; "" when there is none. Whoever is about to change
 * it waits here for others, if lock. */
LOOM_MUST_CHECK int callback_target_tag(struct db *db, const char *tenant, const char *name,
                                        bool lock, char tag[TAG_MAX]);
/* doc as in the list, but for "signed". sealed: the secret, "" for none, NULL: the one it has. */
LOOM_MUST_CHECK int callback_target_put(struct db *db, const char *tenant, const struct json *doc,
                                        const char *sealed);
/* Nothing there is fine. */
LOOM_MUST_CHECK int callback_target_delete(struct db *db, const char *tenant, const char *name);

/* The sealed secret: *ret owned, CALLBACK_TARGET_E_NONE when there is no such target. */
LOOM_MUST_CHECK int callback_target_secret(struct db *db, const char *tenant, const char *name,
                                           char **ret);
/* What a secret is bound to; returns owned. */
char *callback_target_owner(const char *tenant, const char *name);

#endif
