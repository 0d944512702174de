/* SPDX-License-Identifier: Apache-2.0 */
/* What versions of files for plug-ins hold, in pieces: written, read and deleted a few at a time.
 */
#include "common/base/str.h"
#include "common/model/plugin_resource.h"

#include <stdio.h>
#include <string.h>

enum { GONE_AT_ONCE = 16 }; /* pieces of one transaction: their locks are short */

#define NOW   "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
#define OF_IT "tenant_id=? AND kind=? AND plugin=? AND type=? AND name=?"
#define AT(a) (a)->tenant, entity_collection((a)->kind), (a)->plugin, (a)->type, (a)->name

/* ---- upload ---------------------------------------------------------------------------------- */

/* Of a run whose commit went unheard. */
static int begun(struct db *db, const struct plugin_resource_at *at, struct plugin_upload *u,
                 bool *ret)
{
	return db_select_int(db, &u->version, ret,
	                     "SELECT version FROM plugin_resource WHERE " OF_IT " AND content=?",
	                     "ssssss", AT(at), u->content);
}

/* The tenant's row keeps those out who would add another at the same time. */
static int has_room(struct db *db, const char *tenant)
{
	int64_t n = 0;
	int rc = db_select_int(db, &n, NULL, "SELECT 1 FROM tenant WHERE id=? FOR UPDATE", "s",
	                       tenant);
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
	if (!rc) /* the number lives on in the new one */
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

/* All that the tenant's versions hold. */
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

int plugin_upload_add(struct db *db, const char *tenant, const struct plugin_upload *u,
                      const void *data, size_t len, int64_t max)
{
	int64_t size = 0;
	bool found = false;
	int rc = db_select_int(db, &size, &found,
	                       "SELECT size FROM plugin_content WHERE id=? AND state='coming'"
	                       " FOR UPDATE",
	                       "s", u->content);
	if (rc || !found)
		return rc ? rc : PLUGIN_RESOURCE_E_NONE;
	if (size == u->size)
		rc = check_total(db, tenant, (int64_t)len, max);
	if (!rc)
		rc = db_exec(db,
		             "UPDATE plugin_content SET size=?, alive_until=" NOW "+? WHERE id=?",
		             "iis", u->size + (int64_t)len, (int64_t)PLUGIN_UPLOAD_MS, u->content);
	return rc ? rc
	          : db_exec(db, "REPLACE INTO plugin_piece (content, num, data) VALUES (?,?,?)",
	                    "sib", u->content, u->pieces, data, len);
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

int plugin_content_read(struct db *db, const char *content, int64_t pos, struct db_result **ret)
{
	int rc = db_select(db, ret, "SELECT data FROM plugin_piece WHERE content=? AND num=?", "si",
	                   content, pos / (int64_t)PLUGIN_PIECE);
	return rc ? rc : db_rows(*ret) ? 0 : PLUGIN_RESOURCE_E_NONE;
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
