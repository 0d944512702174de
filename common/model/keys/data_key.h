/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_key - the tenants' data keys in the database, sealed with a master key (keyring.h). Each
 * tenant has one that seals, and keeps earlier ones as long as they seal something.
 *
 * Services of earlier versions do not know them. While such a service runs no data keys are made,
 * and everything is sealed in the old way. The first data key raises the required schema version:
 * older services stop, and do not start any more (db.h).
 *
 * Inside db_tx().
 */
#ifndef LOOM_MODEL_DATA_KEY_H
#define LOOM_MODEL_DATA_KEY_H

#include "common/json/json.h"
#include "common/model/keys/keyring.h"

#define DATA_KEY_SCHEMA 26          /* schema version that services must support then */
#define DATA_KEY_ROLE   "data-keys" /* extra role of services that support them (coord.h) */

/* Makes keys for some tenants without one; *ret: how many. All sealed rows will be examined
 * again. */
LOOM_MUST_CHECK int data_keys_add(struct db *db, struct keyring *ring, int64_t *ret);
/* For a new tenant, if other tenants have keys. */
LOOM_MUST_CHECK int data_key_add_own(struct db *db, struct keyring *ring, const char *tenant);

/* Seals some keys with the newest master key, walking by name: after is "" at first, and advanced.
 * *ret: how many were examined, 0: no more. *shut: adds those that cannot be opened, with err. */
LOOM_MUST_CHECK int data_keys_rewrap(struct db *db, struct keyring *ring, char after[SEAL_KEY_NAME],
                                     int64_t *ret, int64_t *shut, struct loom_err *err);
/* Makes new keys for some tenants whose present one is of an earlier generation (sealing.h). */
LOOM_MUST_CHECK int data_keys_renew(struct db *db, struct keyring *ring, int64_t generation,
                                    int64_t *ret);

/* *ret: number of keys; *ret_generation: of the newest present one. */
LOOM_MUST_CHECK int data_keys_newest(struct db *db, int64_t *ret, int64_t *ret_generation);
/* [{"master", "keys"}]: how many keys each master key seals. Returned owned. */
LOOM_MUST_CHECK int data_keys_by_master(struct db *db, struct json **ret);

#endif
