/* SPDX-License-Identifier: Apache-2.0 */
/* schema - the numbered migrations of Loom's one database. Times are epoch ms, documents JSON. */
#ifndef LOOM_MODEL_SCHEMA_H
#define LOOM_MODEL_SCHEMA_H

#include "common/db/db.h"

extern const struct db_migration schema_migrations[];

#endif
