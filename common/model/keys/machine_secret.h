/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_secret - the only secret in a plug-in's results about a node: the password in "ssh-auth"
 * (plug-in spec 4). Once the tenant has a data key it is stored sealed in its place, like secrets
 * of documents, so that secrets_mask() hides it; bound to tenant and node.
 *
 * Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_MACHINE_SECRET_H
#define LOOM_MODEL_MACHINE_SECRET_H

#include "common/json/json.h"
#include "common/model/keys/keyring.h"

struct machine_of {
	struct keyring *ring;
	struct db *db;
	const char *tenant, *node;
};

/* *ret: the results in their stored form, owned; NULL: unchanged. 0, a DB_E_ code, or 500 with
 * err. */
LOOM_MUST_CHECK int machine_secret_seal(const struct machine_of *of, const struct json *results,
                                        struct json **ret, struct loom_err *err);
/* *ret: the results in the form for workers; the same. */
LOOM_MUST_CHECK int machine_secret_open(const struct machine_of *of, const struct json *results,
                                        struct json **ret, struct loom_err *err);

/* Seals passwords anew that are not sealed with their tenant's present key, for the nodes of one
 * cluster: the next one after *after, which becomes its id. *ret: 1, or 0 when there is none. Locks
 * the cluster and adds an event, so that schedulers that cache its nodes read them again. */
LOOM_MUST_CHECK int machine_secrets_renew(struct db *db, struct keyring *ring, int64_t *after,
                                          int64_t *ret);

#endif
