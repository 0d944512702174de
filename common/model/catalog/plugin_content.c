/* SPDX-License-Identifier: Apache-2.0 */
/* The content of plug-in files, in pieces: written, read and deleted a few at a time. */
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/catalog/plugin_resource.h"
#include "common/model/identity/tenant.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Pieces per transaction, to keep locks short. */
enum { GONE_AT_ONCE = 16, RENEWED_AT_ONCE = 8 };

#define NOW   "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
#define OF_IT "tenant_id=? AND kind=? AND plugin=? AND type=? AND name=?"
#define AT(a) (a)->tenant, entity_collection((a)->kind), (a)->plugin, (a)->type, (a)->name

/* ---- upload ---------------------------------------------------------------------------------- */

/* Did an earlier run begin it, whose commit was not confirmed? */
static int begun(struct db *db, const struct plugin_resource_at *at, struct plugin_upload *u,
                 bool *ret)
{
	return db_select_int(db, &u->version, ret,
	                     "SELECT version FROM plugin_resource WHERE " OF_IT " AND content=?",
	                     "ssssss", AT(at), u->content);
}

/* Lock the tenant's row: concurrent uploads could exceed the maximum. */
static int has_room(struct db *db, const char *tenant)
{
	int64_t n = 0;
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = db_select_int(db, &n, NULL,
		                   "SELECT COUNT(*) FROM plugin_resource"
		                   " WHERE tenant_id=? AND NOT deleted",
		                   "s", tenant);
	return rc ? rc : n >= PLUGIN_VERSIONS_MAX ? PLUGIN_RESOURCE_E_MANY : 0;
}

int plugin_upload_begin(struct db *db, const struct plugin_resource_at *at, struct plugin_upload *u)
{
	bool was = false;
	int rc = begun(db, at, u, &was);
	if (rc || was)
		return rc;
	rc = has_room(db, at->tenant);
	if (!rc)
		rc = db_select_int(
			db, &u->version, NULL,
			"SELECT COALESCE(MAX(version),0)+1 FROM plugin_resource WHERE " OF_IT,
			"sssss", AT(at));
	if (!rc)
		rc = db_exec(db,
		             "INSERT INTO plugin_content (id, state, alive_until)"
		             " VALUES (?,'coming'," NOW "+?)",
		             "si", u->content, (int64_t)PLUGIN_UPLOAD_MS);
	if (!rc) /* the new version continues the old one's numbers */
		rc = db_exec(db, "DELETE FROM plugin_resource WHERE " OF_IT " AND deleted", "sssss",
		             AT(at));
	if (!rc)
		rc = db_exec(db,
		             "INSERT INTO plugin_resource"
		             " (tenant_id, kind, plugin, type, name, version, content)"
		             " VALUES (?,?,?,?,?,?,?)",
		             "sssssis", AT(at), u->version, u->content);
	return rc == DB_E_DUP ? DB_E_RETRY : rc;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

#define PIECE_USE "files for plug-ins"

/* The position of a piece, and the tenant whose key seals it. */
struct piece_at {
	struct keyring *ring;
	const char *tenant;
	const char *content;
	int64_t num;
};

static char *owner_of(const struct piece_at *at)
{
	return loom_asprintf("plugin piece\n%s\n%lld", at->content, (long long)at->num);
}

/* Seals a piece with the tenant's key, if there is one, and inserts it. */
static int write_piece(struct db *db, const struct piece_at *at, const void *data, size_t len,
                       struct loom_err *err)
{
	struct keyring_key key;
	int rc = keyring_current(at->ring, db, at->tenant, PIECE_USE, &key, err);
	if (rc)
		return rc;
	unsigned char *sealed = key.direct ? NULL : loom_malloc(len + SEAL_MORE);
	LOOM_CLEANUP_STR char *owner = owner_of(at);
	if (sealed)
		seal_bytes(&key.key, owner, data, len, sealed);
	rc = db_exec(db,
	             "REPLACE INTO plugin_piece (content, num, data, seal_key) VALUES (?,?,?,?)",
	             "sibs", at->content, at->num, sealed ? sealed : data,
	             sealed ? len + SEAL_MORE : len, sealed ? key.id : "");
	seal_key_fini(&key.key);
	loom_free(sealed);
	return rc;
}

/* Decodes a piece from columns 0 and 1: data, seal_key. */
static int open_piece(struct db *db, const struct piece_at *at, const struct db_result *r,
                      struct plugin_piece *ret, struct loom_err *err)
{
	struct seal_key key;
	const char *data = db_str(r, 0, 0), *id = db_str(r, 0, 1);
	size_t len = db_len(r, 0, 0);
	if (!*id) {
		*ret = (struct plugin_piece){ loom_malloc(len + 1), len };
		memcpy(ret->data, data, len);
		return 0;
	}
	int rc = keyring_find(at->ring, db, PIECE_USE, id, &key, err);
	if (rc)
		return rc == 500 ? err_set(err, rc, "a file for plug-ins cannot be opened: %s",
		                           err->msg)
		                 : rc;
	LOOM_CLEANUP_STR char *owner = owner_of(at);
	unsigned char *open = loom_malloc(len);
	bool right = seal_open_bytes(&key, owner, data, len, open);
	seal_key_fini(&key);
	if (!right) {
		loom_free(open);
		return err_set(err, 500, "a file for plug-ins is not what key %.16s sealed", id);
	}
	*ret = (struct plugin_piece){ (char *)open, len - SEAL_MORE };
	return 0;
}

/* ---- upload, gone on with -------------------------------------------------------------------- */

/* Checks the size of all the tenant's versions together. */
static int check_total(struct db *db, const char *tenant, int64_t more, int64_t max)
{
	int64_t all = 0;
	int rc = db_select_int(db, &all, NULL,
	                       "SELECT COALESCE(CAST(SUM(c.size) AS SIGNED),0)"
	                       " FROM plugin_resource r JOIN plugin_content c ON c.id=r.content"
	                       " WHERE r.tenant_id=? AND NOT r.deleted",
	                       "s", tenant);
	return rc ? rc : all + more > max ? PLUGIN_RESOURCE_E_FULL : 0;
}

int plugin_upload_add(struct db *db, const struct plugin_upload *u, const void *data, size_t len,
                      struct loom_err *err)
{
	const struct piece_at at = { u->ring, u->tenant, u->content, u->pieces };
	int64_t size = 0;
	bool found = false;
	int rc = db_select_int(db, &size, &found,
	                       "SELECT size FROM plugin_content WHERE id=? AND state='coming'"
	                       " FOR UPDATE",
	                       "s", u->content);
	if (rc || !found)
		return rc ? rc : PLUGIN_RESOURCE_E_NONE;
	if (size == u->size)
		rc = check_total(db, u->tenant, (int64_t)len, u->max);
	if (!rc)
		rc = db_exec(db,
		             "UPDATE plugin_content SET size=?, alive_until=" NOW "+? WHERE id=?",
		             "iis", u->size + (int64_t)len, (int64_t)PLUGIN_UPLOAD_MS, u->content);
	return rc ? rc : write_piece(db, &at, data, len, err);
}

int plugin_upload_end(struct db *db, const struct plugin_upload *u,
                      const char sha[PLUGIN_CONTENT_SHA])
{
	int rc = db_exec(db,
	                 "UPDATE plugin_content SET state='whole', sha256=?"
	                 " WHERE id=? AND size=? AND state IN ('coming','whole')",
	                 "ssi", sha, u->content, u->size);
	return rc ? rc : db_affected(db) ? 0 : PLUGIN_RESOURCE_E_NONE;
}

static int drop(struct db *db, const char *content)
{
	int rc = db_exec(db, "DELETE FROM plugin_resource WHERE content=?", "s", content);
	return rc ? rc
	          : db_exec(db, "UPDATE plugin_content SET state='dropped' WHERE id=?", "s",
	                    content);
}

int plugin_upload_drop(struct db *db, const struct plugin_upload *u)
{
	int64_t one;
	bool coming = false;
	int rc = db_select_int(
		db, &one, &coming,
		"SELECT 1 FROM plugin_content WHERE id=? AND state='coming' FOR UPDATE", "s",
		u->content);
	return rc || !coming ? rc : drop(db, u->content);
}

/* ---- reading --------------------------------------------------------------------------------- */

int plugin_content_of(struct db *db, const struct plugin_resource_at *at,
                      struct plugin_content *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT c.id, c.sha256, c.size FROM plugin_resource r"
	                   " JOIN plugin_content c ON c.id=r.content AND c.state='whole'"
	                   " WHERE r.tenant_id=? AND r.kind=? AND r.plugin=? AND r.type=?"
	                   " AND r.name=? AND r.version=? AND NOT r.deleted",
	                   "sssssi", AT(at), at->version);
	if (rc || !db_rows(r))
		return rc ? rc : PLUGIN_RESOURCE_E_NONE;
	snprintf(ret->id, sizeof(ret->id), "%s", db_str(r, 0, 0));
	snprintf(ret->sha, sizeof(ret->sha), "%s", db_str(r, 0, 1));
	ret->size = db_int(r, 0, 2);
	return 0;
}

int plugin_content_read(struct db *db, struct keyring *ring, const char *content, int64_t pos,
                        struct plugin_piece *ret, struct loom_err *err)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const struct piece_at at = { ring, NULL, content, pos / (int64_t)PLUGIN_PIECE };
	int rc = db_select(db, &r,
	                   "SELECT data, seal_key FROM plugin_piece WHERE content=? AND num=?",
	                   "si", at.content, at.num);
	if (rc || !db_rows(r))
		return rc ? rc : PLUGIN_RESOURCE_E_NONE;
	return open_piece(db, &at, r, ret, err);
}

void plugin_piece_fini(struct plugin_piece *p)
{
	if (p->data)
		sodium_memzero(p->data, p->len);
	loom_free(p->data);
	*p = (struct plugin_piece){ 0 };
}

/* ---- other keys ------------------------------------------------------------------------------ */

/* Only if the piece is unchanged since it was found; one that cannot be opened stays. */
static int renew(struct db *db, const struct piece_at *at, int64_t *done)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct loom_err err = { 0 };
	struct plugin_piece open = { 0 };
	int rc = db_select(db, &r,
	                   "SELECT data, seal_key FROM plugin_piece WHERE content=? AND num=?"
	                   " FOR UPDATE",
	                   "si", at->content, at->num);
	if (rc || !db_rows(r))
		return rc;
	rc = open_piece(db, at, r, &open, &err);
	if (!rc)
		rc = write_piece(db, at, open.data, open.len, &err);
	if (!rc)
		(*done)++;
	if (err_is_refusal(rc))
		log_debug("a file for plug-ins was not sealed anew", LOG_S("reason", err.msg));
	plugin_piece_fini(&open);
	return err_is_refusal(rc) ? 0 : rc;
}

/* Several tenants may share a content: it is sealed for one of them. */
int plugin_pieces_renew(struct db *db, struct keyring *ring, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT p.content, p.num, MIN(v.tenant_id) FROM plugin_piece p"
	                   " LEFT JOIN data_key k ON k.id=p.seal_key AND k.own IS NOT NULL"
	                   " JOIN plugin_resource v ON v.content=p.content"
	                   " JOIN data_key t ON t.own=v.tenant_id"
	                   " WHERE k.id IS NULL GROUP BY p.content, p.num LIMIT ?",
	                   "i", (int64_t)RENEWED_AT_ONCE);
	*ret = 0;
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = renew(db,
		           &(struct piece_at){ ring, db_str(r, i, 2), db_str(r, i, 0),
		                               db_int(r, i, 1) },
		           ret);
	return rc;
}

/* ---- what is over ---------------------------------------------------------------------------- */

static int end_one_upload(struct db *db, bool *ret_more)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id FROM plugin_content WHERE state='coming' AND alive_until<" NOW
	                   " LIMIT 1 FOR UPDATE",
	                   "");
	*ret_more = !rc && db_rows(r);
	return *ret_more ? drop(db, db_str(r, 0, 0)) : rc;
}

static int delete_some(struct db *db, bool *ret_more)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id FROM plugin_content WHERE state='dropped' LIMIT 1 FOR UPDATE",
	                   "");
	*ret_more = !rc && db_rows(r);
	if (!*ret_more)
		return rc;
	rc = db_exec(db, "DELETE FROM plugin_piece WHERE content=? LIMIT ?", "si", db_str(r, 0, 0),
	             (int64_t)GONE_AT_ONCE);
	return rc || db_affected(db)
	               ? rc
	               : db_exec(db, "DELETE FROM plugin_content WHERE id=?", "s", db_str(r, 0, 0));
}

int plugin_contents_expire(struct db *db, bool *ret_more)
{
	bool uploads = false, pieces = false;
	int rc = end_one_upload(db, &uploads);
	if (!rc)
		rc = delete_some(db, &pieces);
	*ret_more = uploads || pieces;
	return rc;
}
