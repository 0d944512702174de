/* SPDX-License-Identifier: Apache-2.0 */
/* health - what the database shows of things that commonly go wrong. Inside db_read(). */
#ifndef LOOM_MODEL_HEALTH_H
#define LOOM_MODEL_HEALTH_H

#include "common/db/db.h"
#include "common/json/json.h"

/* A lease that ended so long ago should have been ended by a scheduler: the sweep looks each
 * second. */
#define HEALTH_OVERDUE_MS 30000
/* Tokens that end so soon are told. */
#define HEALTH_TOKEN_MS ((int64_t)7 * 24 * 3600 * 1000)
/* Tables above it are told: a copy of the database, for a node that joins, takes minutes from there
 * on. */
#define HEALTH_TABLE_BYTES ((int64_t)4 << 30)
/* The counter that `loom-datacenter backup` sets to the time of each. */
#define HEALTH_BACKUP "backup"

struct health {
	int64_t now;               /* the database's clock, epoch ms */
	int64_t overdue;           /* tasks that run by a lease that ended HEALTH_OVERDUE_MS ago */
	int64_t dead_callbacks;    /* that were given up */
	int64_t quarantined;       /* provisioners */
	int64_t backup;            /* epoch ms of the newest; 0: none is known of */
	int64_t members;           /* of the database's group that are there; 0: it has no group */
	int64_t wanted_members;    /* that its configuration names */
	struct json *tokens;       /* {"id","user","tenant","name","expireTime"}; some 20 at most */
	struct json *tables;       /* {"name","bytes","rows"}, estimates, the largest first */
	struct json *provisioners; /* {"id","version"} of those that say one */
};

/* May be run again on the same. 0 or a DB_E_ code. */
LOOM_MUST_CHECK int health_read(struct db *db, struct health *h);
void health_fini(struct health *h);

#endif
