/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entity_list - a tenant's documents of a kind, newest versions only, sorted by name. A list is
 * read in two steps: all names and versions, from the primary key, and then the documents of as
 * many of them as the caller likes at a time. Inside db_read(); worker threads.
 */
#ifndef LOOM_MODEL_ENTITY_LIST_H
#define LOOM_MODEL_ENTITY_LIST_H

#include "common/model/catalog/entity.h"

/* The range of a list. Everything is borrowed. */
struct entity_range {
	const char *tenant;
	enum entity_kind kind;
	bool down;         /* descending by name */
	const char *after; /* start after this, which may be any text; NULL: from the start */
	int64_t limit;
};

struct entity_key {
	char name[256];
	int64_t version;
};
struct entity_keys {
	struct entity_key *v; /* owned */
	size_t n;
	bool more; /* others follow */
};

LOOM_MUST_CHECK int entity_list_keys(struct db *db, const struct entity_range *r,
                                     struct entity_keys *ret);

/* Adds the documents of at most DB_MANY of them, with their versions, in the range's order. What
 * was deleted meanwhile is left out. */
LOOM_MUST_CHECK int entity_list_docs(struct db *db, const struct entity_range *r,
                                     const struct entity_key *v, size_t n, struct json *list);

/* The tally: changes whenever a version of one of these is added or deleted (list_part.h).
 * It is made of all of them, and reads no document. */
LOOM_MUST_CHECK int entity_list_tally(struct db *db, const char *tenant, enum entity_kind k,
                                      int64_t *ret);

#endif
