/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin_resource - a tenant's files for plug-ins (REST spec 4.2): keys, scripts, archives. Each
 * has versions, numbered from 1 per name; numbers are never reused. One version of a name may be
 * slated; the next sync makes it the live one.
 *
 * The bytes of a version are a content: pieces of at most PLUGIN_PIECE bytes, written one after the
 * other as they arrive, so that no process ever holds more than one. Versions of several tenants
 * may share a content; it is deleted with the last of them, a few pieces at a time.
 *
 * Inside db_tx(), or db_read() for functions that only read.
 */
#ifndef LOOM_MODEL_PLUGIN_RESOURCE_H
#define LOOM_MODEL_PLUGIN_RESOURCE_H

#include "common/model/catalog/entity.h"
#include "common/model/keys/keyring.h"
#include "common/model/list_part.h"

#define PLUGIN_PIECE        ((size_t)256 << 10)
#define PLUGIN_VERSIONS_MAX 1000  /* per tenant, all names together */
#define PLUGIN_UPLOAD_MS    60000 /* an upload without a new piece for this long is over */
#define PLUGIN_CONTENT_ID   33
#define PLUGIN_CONTENT_SHA  65

/* Names a file; everything is borrowed. kind: ENTITY_AUTOMATORTYPE or ENTITY_PROVIDERTYPE. */
struct plugin_resource_at {
	const char *tenant;
	enum entity_kind kind;
	const char *plugin, *type, *name; /* name NULL: all of the type */
	int64_t version;
};

/* Letters, digits, '_', '.' and '-', at most 255, neither "." nor "..". */
bool plugin_resource_name_ok(const char *name);
/* "inactive", "staged", "active", "recalled", in any letter case; false: none of them. */
bool plugin_resource_status(const char *text, bool *ret_live, bool *ret_slated);

/* ---- upload ---------------------------------------------------------------------------------- */

struct plugin_upload {
	char content[PLUGIN_CONTENT_ID]; /* filled in by the caller; the same in every run */
	int64_t version;                 /* of the new one */
	int64_t size, pieces;            /* so far */
	/* Also filled in by the caller: the keys, the tenant, and its limit in bytes. */
	struct keyring *ring;
	const char *tenant;
	int64_t max;
};

/* Adds a version without content yet. PLUGIN_RESOURCE_E_MANY. */
LOOM_MUST_CHECK int plugin_upload_begin(struct db *db, const struct plugin_resource_at *at,
                                        struct plugin_upload *u);
/* Adds the next piece; the caller updates u after the commit. PLUGIN_RESOURCE_E_NONE: the upload is
 * over. PLUGIN_RESOURCE_E_FULL: the tenant would have more than u->max bytes. 500 with err: the
 * tenant's key cannot be opened. */
LOOM_MUST_CHECK int plugin_upload_add(struct db *db, const struct plugin_upload *u,
                                      const void *data, size_t len, struct loom_err *err);
LOOM_MUST_CHECK int plugin_upload_end(struct db *db, const struct plugin_upload *u,
                                      const char sha[PLUGIN_CONTENT_SHA]);
/* Drops an interrupted upload, without a trace. */
LOOM_MUST_CHECK int plugin_upload_drop(struct db *db, const struct plugin_upload *u);

/* ---- use ------------------------------------------------------------------------------------- */

/* [{"name", "versions": [{"name", "version", "status"}]}] of files with this status (NULL: any), by
 * name; *ret owned. */
LOOM_MUST_CHECK int plugin_resource_names(struct db *db, const struct plugin_resource_at *at,
                                          const char *status, const struct list_part *part,
                                          struct json **ret);
/* [{"name", "version", "status"}] of one name; part->after is a version as text. */
LOOM_MUST_CHECK int plugin_resource_versions(struct db *db, const struct plugin_resource_at *at,
                                             const char *status, const struct list_part *part,
                                             struct json **ret);
/* A number that is another one when any of these is (list_part.h); name NULL: of any name. */
LOOM_MUST_CHECK int plugin_resources_tally(struct db *db, const struct plugin_resource_at *at,
                                           int64_t *ret);
/* Slates this version instead of any other of the name; or unslates it. PLUGIN_RESOURCE_E_NONE. */
LOOM_MUST_CHECK int plugin_resource_slate(struct db *db, const struct plugin_resource_at *at,
                                          bool slated);
/* Deletes one version, or all for version 0. PLUGIN_RESOURCE_E_NONE: it does not exist;
 * PLUGIN_RESOURCE_E_USED: it is not inactive. */
LOOM_MUST_CHECK int plugin_resource_delete(struct db *db, const struct plugin_resource_at *at);
/* Makes the slated versions live, and no others. */
LOOM_MUST_CHECK int plugin_resources_sync(struct db *db, const char *tenant);
/* Copies the files of another tenant to a new one, as they are. */
LOOM_MUST_CHECK int plugin_resources_copy(struct db *db, const char *from, const char *to);
/* Deletes all files of a tenant. */
LOOM_MUST_CHECK int plugin_resources_drop(struct db *db, const char *tenant);
/* The live files, in the form for provisioners (REST spec 11): {"automatortypes": {PLUGIN: {TYPE:
 * {"format", "permissions", "active": [{"name", "version"}]}}}, "providertypes": {}}; *ret
 * owned. */
LOOM_MUST_CHECK int plugin_resources_live(struct db *db, const char *tenant, struct json **ret);

/* ---- content --------------------------------------------------------------------------------- */

struct plugin_content {
	char id[PLUGIN_CONTENT_ID], sha[PLUGIN_CONTENT_SHA];
	int64_t size;
};

/* Finds the content of a complete version. PLUGIN_RESOURCE_E_NONE. */
LOOM_MUST_CHECK int plugin_content_of(struct db *db, const struct plugin_resource_at *at,
                                      struct plugin_content *ret);
struct plugin_piece {
	char *data; /* owned */
	size_t len;
};
void plugin_piece_fini(struct plugin_piece *p);
/* The piece with the byte at pos; *ret owned. PLUGIN_RESOURCE_E_NONE: it was deleted; 500 with err:
 * it cannot be opened. */
LOOM_MUST_CHECK int plugin_content_read(struct db *db, struct keyring *ring, const char *content,
                                        int64_t pos, struct plugin_piece *ret,
                                        struct loom_err *err);
/* Seals some pieces anew that no present key of a tenant seals; *ret: how many. */
LOOM_MUST_CHECK int plugin_pieces_renew(struct db *db, struct keyring *ring, int64_t *ret);

/* Ends abandoned uploads, and deletes some pieces of unused contents. *ret_more: there are
 * others. */
LOOM_MUST_CHECK int plugin_contents_expire(struct db *db, bool *ret_more);

#endif
