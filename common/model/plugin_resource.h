/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_resource - a tenant's files for plug-ins (REST spec 4.2): keys, scripts, archives. Each is
 * stored in versions, counted from 1 for each name and never used again. Of a name one version may
 * be slated, which the next sync makes the live one.
 *
 * What a version holds is a content: pieces of at most PLUGIN_PIECE bytes, written one after the
 * other while it comes in, so that no process ever holds more than one. Versions of several tenants
 * may have the same content; it goes with the last of them, a few pieces at a time.
 *
 * Inside db_tx(), or db_read() for what only reads.
 */
#ifndef LOOM_MODEL_PLUGIN_RESOURCE_H
#define LOOM_MODEL_PLUGIN_RESOURCE_H

#include "common/model/entity.h"

#define PLUGIN_PIECE        ((size_t)256 << 10)
#define PLUGIN_VERSIONS_MAX 1000  /* of a tenant, all names together */
#define PLUGIN_UPLOAD_MS    60000 /* one that writes no piece for so long is over */
#define PLUGIN_CONTENT_ID   33
#define PLUGIN_CONTENT_SHA  65

/* Whose, and which; all borrowed. kind: ENTITY_AUTOMATORTYPE or ENTITY_PROVIDERTYPE. */
struct plugin_resource_at {
	const char *tenant;
	enum entity_kind kind;
	const char *plugin, *type, *name; /* name NULL: all of the type */
	int64_t version;
};

/* Letters, digits, '_', '.' and '-', at most 255, neither "." nor "..". */
bool plugin_resource_name_ok(const char *name);
/* "inactive", "staged", "active", "recalled". In any case; false: none of them. */
bool plugin_resource_status(const char *text, bool *ret_live, bool *ret_slated);

/* ---- upload ---------------------------------------------------------------------------------- */

struct plugin_upload {
	char content[PLUGIN_CONTENT_ID]; /* filled in by the caller: the same in every run */
	int64_t version;                 /* of the new one */
	int64_t size, pieces;            /* written so far */
};

/* A new version, without content yet. PLUGIN_RESOURCE_E_MANY. */
LOOM_MUST_CHECK int plugin_upload_begin(struct db *db, const struct plugin_resource_at *at,
                                        struct plugin_upload *u);
/* The next piece; u is counted on by the caller, after the commit. PLUGIN_RESOURCE_E_NONE: it is
 * over. PLUGIN_RESOURCE_E_FULL: the tenant would hold more than max bytes. */
LOOM_MUST_CHECK int plugin_upload_add(struct db *db, const char *tenant,
                                      const struct plugin_upload *u, const void *data, size_t len,
                                      int64_t max);
LOOM_MUST_CHECK int plugin_upload_end(struct db *db, const struct plugin_upload *u,
                                      const char sha[PLUGIN_CONTENT_SHA]);
/* It has broken off: as if it had never begun. */
LOOM_MUST_CHECK int plugin_upload_drop(struct db *db, const struct plugin_upload *u);

/* ---- use ------------------------------------------------------------------------------------- */

/* {"NAME": [{"name", "version", "status"}]} of those with this status (NULL: any); *ret owned. */
LOOM_MUST_CHECK int plugin_resources_list(struct db *db, const struct plugin_resource_at *at,
                                          const char *status, struct json **ret);
/* Slates this version and no other of the name; or not this one. PLUGIN_RESOURCE_E_NONE. */
LOOM_MUST_CHECK int plugin_resource_slate(struct db *db, const struct plugin_resource_at *at,
                                          bool slated);
/* One version, or with version 0 all. PLUGIN_RESOURCE_E_NONE: that version is not there;
 * PLUGIN_RESOURCE_E_USED: it is not inactive. */
LOOM_MUST_CHECK int plugin_resource_delete(struct db *db, const struct plugin_resource_at *at);
/* What is slated is live from now on, and nothing else. */
LOOM_MUST_CHECK int plugin_resources_sync(struct db *db, const char *tenant);
/* Of a new tenant: those of another, as they are there. */
LOOM_MUST_CHECK int plugin_resources_copy(struct db *db, const char *from, const char *to);
/* All of a tenant's go. */
LOOM_MUST_CHECK int plugin_resources_drop(struct db *db, const char *tenant);
/* What provisioners are given (REST spec 11): {"automatortypes": {PLUGIN: {TYPE: {"format",
 * "permissions", "active": [{"name", "version"}]}}}, "providertypes": {}} of the live ones; *ret
 * owned. */
LOOM_MUST_CHECK int plugin_resources_live(struct db *db, const char *tenant, struct json **ret);

/* ---- content --------------------------------------------------------------------------------- */

struct plugin_content {
	char id[PLUGIN_CONTENT_ID], sha[PLUGIN_CONTENT_SHA];
	int64_t size;
};

/* Of a version that is whole. PLUGIN_RESOURCE_E_NONE. */
LOOM_MUST_CHECK int plugin_content_of(struct db *db, const struct plugin_resource_at *at,
                                      struct plugin_content *ret);
/* The piece in which the byte at pos is; *ret owned. PLUGIN_RESOURCE_E_NONE: it was deleted. */
LOOM_MUST_CHECK int plugin_content_read(struct db *db, const char *content, int64_t pos,
                                        struct db_result **ret);

/* Ends uploads that write no more, and deletes some pieces of what nobody has any more. *ret_more:
 * there are others. */
LOOM_MUST_CHECK int plugin_contents_expire(struct db *db, bool *ret_more);

#endif
