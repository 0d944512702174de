/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed_export - the secrets of an export, whose documents contain only masks: one text, sealed
 * with a passphrase, for another Loom or another tenant.
 *
 * "secrets": {"kdf": "argon2id", "salt": HEX, "sealed": TEXT}
 *
 * The sealed text is {COLLECTION: {NAME: {ACTION, or "" for a provider: {FIELD: value}}}}.
 */
#ifndef LOOM_API_SEALED_EXPORT_H
#define LOOM_API_SEALED_EXPORT_H

#include "services/api/api.h"

/* Adds the secrets to an export, as stored. In db_read(). 500 with err: a secret cannot be opened;
 * or a DB_E_ code. */
LOOM_MUST_CHECK int sealed_export_add(struct api *a, struct db *db, const char *tenant,
                                      struct json *all, const char *passphrase,
                                      struct loom_err *err);
/* Replaces the masks by the secrets. 0, or 400 with err. */
LOOM_MUST_CHECK int sealed_export_take(struct json *all, const char *passphrase,
                                       struct loom_err *err);

#endif
