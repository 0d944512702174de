/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_terms - search terms by which lists find clusters: label, template and provider. Each
 * term is stored twice, for callers who see the whole tenant and for the owner, together with the
 * cluster's places in lists. So a list filtered by a term reads only matching clusters, from an
 * index.
 *
 * Terms are written together with what they describe. Older services do not write them; but every
 * statement that changes a cluster without naming the column terms_due sets it, and so does the
 * migration: lists examine those clusters, too, and the API soon writes their terms. A term is a
 * hash, and the cluster itself is always checked: a superfluous term is harmless. All functions
 * inside db_tx().
 */
#ifndef LOOM_MODEL_CLUSTER_TERMS_H
#define LOOM_MODEL_CLUSTER_TERMS_H

#include "common/model/cluster/cluster.h"

enum cluster_term {
	TERM_LABEL,
	TERM_TEMPLATE,
	TERM_PROVIDER,
};

/* Its migration, listed in schema.c. */
extern const char *const cluster_terms_schema[];

/* Never 0. owner NULL: for callers who see the whole tenant. value: of a label, else "". */
int64_t cluster_term_of(const char *tenant, const char *owner, enum cluster_term kind,
                        const char *name, const char *value);

/* Writes the terms of new clusters. */
LOOM_MUST_CHECK int cluster_terms_insert(struct db *db, const struct cluster *const *v, size_t n);
/* Replaces the terms of locked clusters. */
LOOM_MUST_CHECK int cluster_terms_save(struct db *db, struct cluster *const *v, size_t n);

/* Writes the terms of some clusters that need it; *ret: how many. */
LOOM_MUST_CHECK int cluster_terms_renew(struct db *db, size_t *ret);

#endif
