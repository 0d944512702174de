/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant - found by name; all other rows have its id. A tenant has limits of clusters and nodes,
 * and a wanted number of workers of the original's provisioners. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_TENANT_H
#define LOOM_MODEL_TENANT_H

#include "common/json/json.h"
#include "common/model/cluster/outcome.h"
#include "common/model/list_part.h"

#define TENANT_NO_LIMIT 2147483647

/* *ret owned, NULL if it does not exist. */
LOOM_MUST_CHECK int tenant_id_by_name(struct db *db, const char *name, char **ret);
/* *ret owned: the id itself if the tenant does not exist. */
LOOM_MUST_CHECK int tenant_name_of(struct db *db, const char *id, char **ret);

/* In db_tx(): keep the tenant from being deleted until the end, so that no rows are left without
 * one. A lock is exclusive, a hold is shared. TENANT_E_NONE if it was deleted meanwhile. */
LOOM_MUST_CHECK int tenant_lock(struct db *db, const char *id);
LOOM_MUST_CHECK int tenant_hold(struct db *db, const char *id);

struct tenant {
	const char *name, *description; /* borrowed; description may be NULL */
	int64_t workers, max_clusters, max_nodes;
};

LOOM_MUST_CHECK int tenant_ids(struct db *db, struct strs *ret); /* adds all of them */
/* [{"name", "description", "workers", "maxClusters", "maxNodes"}] by name. *ret owned. */
LOOM_MUST_CHECK int tenants_list(struct db *db, const struct list_part *part, struct json **ret);
/* The list's tally: changes whenever the list does (list_part.h). */
LOOM_MUST_CHECK int tenants_tally(struct db *db, int64_t *ret);
/* Adds a tenant with this id, or changes the existing one; only_new: 409 if it exists. Also refused
 * if the provisioners do not have the additional workers free, or if the tenant has more clusters
 * or nodes than the new limits allow. *ret_made: it was added, also by an earlier run of the
 * transaction. */
LOOM_MUST_CHECK int tenant_put(struct db *db, const char *id, const struct tenant *t, bool only_new,
                               bool *ret_made, struct outcome *o);
/* Deletes it with everything that belongs to it. No error if it does not exist; refused while it
 * has living clusters or wants workers. */
LOOM_MUST_CHECK int tenant_delete(struct db *db, const char *name, struct outcome *o);

#endif
