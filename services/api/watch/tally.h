/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally - the version number of a list: it changes whenever the list does. For the clusters that a
 * user may see it counts their events; for a tenant's documents of a kind it is made from their
 * versions; for other lists from the contents of their rows.
 *
 * One reading of the number serves all requests that wait for it. It is read again after a notice,
 * or by a poll in case a notice was lost. After each reading it rests, so that reading takes a
 * small part of the database's time, however long the list is and however often it changes. Loop
 * thread.
 */
#ifndef LOOM_API_TALLY_H
#define LOOM_API_TALLY_H

#include "common/model/catalog/plugin_resource.h"
#include "services/api/request/auth.h"

enum tally_list {
	TALLY_CLUSTERS,
	TALLY_DOCUMENTS,
	TALLY_USERS,
	TALLY_ROLES,
	TALLY_TOKENS,
	TALLY_TENANTS, /* this one and the next belong to the tenant superadmin */
	TALLY_PROVISIONERS,
	TALLY_CALLBACK_TARGETS,
	TALLY_CALLBACKS, /* these two may be of all tenants */
	TALLY_AUDIT,
	TALLY_PLUGIN_FILES,
	TALLIES_
};
#define TALLY_ALL "" /* instead of a tenant */

/* Names a list. */
struct tally_of {
	enum tally_list list;
	enum entity_kind kind; /* of documents, and files for plug-ins */
	char tenant[65];
	bool own; /* of clusters and tokens: only the owner's */
	char owner[256];
	char plugin[256], type[256], name[256]; /* of files; name "": of all names */
};
struct tally_of tally_of_clusters(const struct identity *who); /* those that the caller may see */
struct tally_of tally_of_entities(const char *tenant, enum entity_kind kind);
/* owner NULL: all of the tenant. */
struct tally_of tally_of_rows(enum tally_list list, const char *tenant, const char *owner);
struct tally_of tally_of_files(const struct plugin_resource_at *at);

/* Embedded in each waiter's struct. */
struct tally_reader {
	struct tally *tally; /* NULL: joined none */
	struct tally_reader *next;
	int64_t known; /* the number that the reader knows */
	/* The number has changed: answers, and leaves the tally. */
	void (*changed)(struct tally_reader *r, int64_t now);
};
/* Reads at once, so no change before the call is missed. */
void tally_join(struct tally_reader *r, struct api *a, const struct tally_of *of);
void tally_leave(struct tally_reader *r); /* does nothing if it joined none */
/* A notice: something happened to a cluster of the tenant. */
void tallies_event(struct api *a, const char *tenant_id);
/* A notice: documents or rows of the tenant have changed; TALLY_ALL: those of any tenant. kind: as
 * in entity_collection(), or the path of the list; NULL or "": documents of any kind. */
void tallies_catalog(struct api *a, const char *tenant_id, const char *kind);
/* Reads all numbers, because notices may have been lost. */
void tallies_poll(struct api *a);

/* Reads the number; call on a worker. 0 or a DB_E_ code. */
LOOM_MUST_CHECK int tally_now(struct api *a, const struct tally_of *of, int64_t *ret);

#endif
