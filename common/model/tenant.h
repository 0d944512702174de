/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant - found by name; the id is what all other rows carry. A tenant may have so many clusters
 * and nodes, and wants so many workers of those provisioners that are told how many to run. Inside
 * db_tx() or db_read().
 */
#ifndef LOOM_MODEL_TENANT_H
#define LOOM_MODEL_TENANT_H

#include "common/json/json.h"
#include "common/model/outcome.h"

#define TENANT_NO_LIMIT 2147483647

/* *ret owned, NULL when there is no such tenant. */
LOOM_MUST_CHECK int tenant_id_by_name(struct db *db, const char *name, char **ret);
/* *ret owned: the id itself when there is no such tenant. */
LOOM_MUST_CHECK int tenant_name_of(struct db *db, const char *id, char **ret);

struct tenant {
	const char *name, *description; /* borrowed; description may be NULL */
	int64_t workers, max_clusters, max_nodes;
};

/* [{"name", "description", "workers", "maxClusters", "maxNodes"}] by name, of all, or of the one
 * that has it. *ret owned. */
LOOM_MUST_CHECK int tenant_ids(struct db *db, struct strs *ret); /* adds all of them */
LOOM_MUST_CHECK int tenants_list(struct db *db, const char *name, struct json **ret);
/* Adds it with this id, or changes what there is; only_new: 409 when it is there. Refused as well
 * when the provisioners have not so many workers free as are wanted in addition, and when it has
 * more clusters or nodes than it may have. *ret_made: it was not there; once added by this id it
 * stays so in a further run of the transaction. */
LOOM_MUST_CHECK int tenant_put(struct db *db, const char *id, const struct tenant *t, bool only_new,
                               bool *ret_made, struct outcome *o);
/* With all that is its own. Nothing there is fine; refused while it has living clusters or wants
 * workers. */
LOOM_MUST_CHECK int tenant_delete(struct db *db, const char *name, struct outcome *o);

#endif
