/* SPDX-License-Identifier: Apache-2.0 */
/* templates - resolves a cluster template with a tenant's stored documents. Worker threads. */
#ifndef LOOM_API_TEMPLATES_H
#define LOOM_API_TEMPLATES_H

#include "common/db/db.h"
#include "common/json/json.h"

/* As resolve(), with the latest stored documents; inside db_read() or db_tx(). 0, 400 or 404 with
 * err, or a DB_E_ code. */
LOOM_MUST_CHECK int templates_resolve(struct db *db, const char *tenant_id, const struct json *leaf,
                                      struct json **ret, struct loom_err *err);

#endif
