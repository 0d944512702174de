/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostfields - provider fields that name something of the provisioner's own host: a folder, a
 * bridge, a package mirror. A plugin's description marks them ("host": true). A plugin runs as
 * root, so only the superadmin's tenant may put anything into them; another tenant may keep what
 * its provider of that name has, and use what `host_values` allows.
 */
#ifndef LOOM_API_HOSTFIELDS_H
#define LOOM_API_HOSTFIELDS_H

#include "common/base/err.h"
#include "common/json/json.h"

#include <stdbool.h>

struct db;

/* Is it in a list such as "bridge=loom0, state_dir=/srv/sandbox/?": names of fields with what they
 * may hold, as fnmatch has it: a wildcard is no slash and no leading dot. Pure, any thread. */
bool hostfields_allowed(const char *host_values, const char *field, const struct json *value);

/* 403 with err when a field of a provider that is marked is neither what `before` has there (NULL:
 * no such provider) nor allowed. type: NULL when it is not known. Pure, any thread. */
LOOM_MUST_CHECK int hostfields_check(const char *host_values, const struct json *type,
                                     const struct json *provider, const struct json *before,
                                     struct loom_err *err);

/* The same inside a transaction, with the type and the provider as they are stored. Nothing of it
 * holds for the superadmin's tenant. Another result: the database's. */
LOOM_MUST_CHECK int hostfields_check_stored(struct db *db, const char *host_values,
                                            const char *tenant, const struct json *provider,
                                            struct loom_err *err);

#endif
