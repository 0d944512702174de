/* SPDX-License-Identifier: Apache-2.0 */
/* tenant - found by name; the id is what all other rows carry. Inside db_tx() or db_read(). */
#ifndef LOOM_MODEL_TENANT_H
#define LOOM_MODEL_TENANT_H

#include "common/db/db.h"

/* *ret owned, NULL when there is no such tenant. */
LOOM_MUST_CHECK int tenant_id_by_name(struct db *db, const char *name, char **ret);
/* *ret owned: the id itself when there is no such tenant. */
LOOM_MUST_CHECK int tenant_name_of(struct db *db, const char *id, char **ret);

#endif
