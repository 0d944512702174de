/* SPDX-License-Identifier: Apache-2.0 */
/* health - facts in the database about common problems. Inside db_read(). */
#ifndef LOOM_MODEL_HEALTH_H
#define LOOM_MODEL_HEALTH_H

#include "common/db/db.h"
#include "common/json/json.h"

/* A lease that expired this long ago should have been ended by a scheduler: the sweep runs each
 * second. */
#define HEALTH_OVERDUE_MS 30000
/* Tokens that expire within this time are reported. */
#define HEALTH_TOKEN_MS ((int64_t)7 * 24 * 3600 * 1000)
/* Larger tables are reported: copying the database to a joining node then takes minutes. */
#define HEALTH_TABLE_BYTES ((int64_t)4 << 30)
/* A provisioner whose id another process wanted this long ago is reported. */
#define HEALTH_REFUSED_MS 60000
/* `loom-datacenter backup` sets this counter to the time of each backup. */
#define HEALTH_BACKUP "backup"

struct health {
	int64_t now;               /* the database's clock, epoch ms */
	int64_t overdue;           /* running tasks whose lease expired HEALTH_OVERDUE_MS ago */
	int64_t dead_callbacks;    /* callbacks that were given up */
	int64_t quarantined;       /* provisioners */
	int64_t backup;            /* epoch ms of the newest backup; 0: none known */
	int64_t members;           /* present members of the database's group; 0: there is no
	                            * group */
	int64_t wanted_members;    /* members in its configuration */
	struct json *tokens;       /* {"id","user","tenant","name","expireTime"}; some 20 at most */
	struct json *tables;       /* {"name","bytes","rows"}, estimates, the largest first */
	struct json *provisioners; /* {"id","version","refused"} of those that report a version */
};

/* May be called again with the same h. 0 or a DB_E_ code. */
LOOM_MUST_CHECK int health_read(struct db *db, struct health *h);
void health_fini(struct health *h);

#endif
