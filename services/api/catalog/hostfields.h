/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostfields - provider fields that name something on the provisioner's own host: a folder, a
 * bridge, a package mirror. A plugin's description marks them ("host": true). A plugin runs as
 * root, so only the superadmin's tenant may set them freely. Other tenants may keep the value that
 * their provider of that name has, and use what `host_values` allows.
 */
#ifndef LOOM_API_HOSTFIELDS_H
#define LOOM_API_HOSTFIELDS_H

#include "common/base/err.h"
#include "common/json/json.h"

#include <stdbool.h>

struct db;

/* Does a list such as "bridge=loom0, state_dir=/srv/sandbox/?" allow this value? It has fields with
 * fnmatch patterns of their values: a wildcard matches neither a slash nor a leading dot. Pure, any
 * thread. */
bool hostfields_allowed(const char *host_values, const char *field, const struct json *value);

/* 0, or an error with err if an entry of such a list is malformed. */
LOOM_MUST_CHECK int hostfields_check_values(const char *host_values, struct loom_err *err);

/* 403 with err if a marked field of a provider neither has its value in `before` (NULL: no such
 * provider) nor is allowed. type: NULL when it is not known. Pure, any thread. */
LOOM_MUST_CHECK int hostfields_check(const char *host_values, const struct json *type,
                                     const struct json *provider, const struct json *before,
                                     struct loom_err *err);

/* The same inside a transaction, with the stored type and provider. The superadmin's tenant is
 * exempt. Other results are the database's. */
LOOM_MUST_CHECK int hostfields_check_stored(struct db *db, const char *host_values,
                                            const char *tenant, const struct json *provider,
                                            struct loom_err *err);

#endif
