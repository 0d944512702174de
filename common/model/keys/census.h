/* SPDX-License-Identifier: Apache-2.0 */
/*
 * census - counts the sealed rows of the database by key. It reads a page at a time while services
 * run, so rows that change meanwhile may be miscounted.
 *
 * One thread; inside db_read() or db_tx().
 */
#ifndef LOOM_MODEL_CENSUS_H
#define LOOM_MODEL_CENSUS_H

#include "common/model/keys/keyring.h"

enum census_kind {
	CENSUS_DOCUMENTS, /* providers and services, all versions */
	CENSUS_CLUSTERS,
	CENSUS_MACHINES, /* passwords reported by plug-ins */
	CENSUS_TARGETS,  /* secrets of callback targets */
	CENSUS_RECORDS,  /* node records */
	CENSUS_PROFILES, /* of users */
	CENSUS_ANSWERS,  /* to requests with keys */
	CENSUS_FILES,    /* pieces of plug-in files */
	CENSUS_KINDS_
};
extern const char *const census_kinds[CENSUS_KINDS_]; /* "callback targets" */

enum census_key {
	CENSUS_PRESENT, /* the tenant's present data key */
	CENSUS_EARLIER, /* an earlier one of the tenant */
	CENSUS_DIRECT,  /* derived from the cluster's key, as in earlier versions */
	CENSUS_UNKNOWN, /* a key that neither the database nor this server has */
	CENSUS_KEYS_
};

struct census;

struct census *census_create(const struct keyring *ring);
void census_destroy(struct census *c);
/* Reads the next page; *ret_more: there are others. */
LOOM_MUST_CHECK int census_page(struct db *db, struct census *c, bool *ret_more);
/* How many rows of this kind are sealed with such a key. */
int64_t census_count(const struct census *c, enum census_key key, enum census_kind kind);
/* The first row that nobody can open, or NULL: "document providers/cloud of tenant x is sealed with
 * key y". */
const char *census_stray(const struct census *c);
/* Deletes earlier keys that have sealed nothing for a while; after the last page. *ret: how
 * many. */
LOOM_MUST_CHECK int census_prune(struct db *db, const struct census *c, int64_t *ret);

LOOM_DEFINE_CLEANUP(struct census *, census_destroy)

#endif
