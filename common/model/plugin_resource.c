/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of files for plug-ins: who has which, and which are in use. */
#include "common/model/plugin_resource.h"

#include "common/base/str.h"

#include <string.h>

#define OF_TYPE    "tenant_id=? AND kind=? AND plugin=? AND type=?"
#define OF_NAME    OF_TYPE " AND name=?"
#define AT_NAME(a) (a)->tenant, entity_collection((a)->kind), (a)->plugin, (a)->type, (a)->name

/* ---- names ----------------------------------------------------------------------------------- */

bool plugin_resource_name_ok(const char *name)
{
	static const char known[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(name);
	return n && n <= 255 && strspn(name, known) == n && !str_eq(name, ".") &&
	       !str_eq(name, "..");
}

static const struct {
	const char *name;
	bool live, slated;
} statuses[] = {
	{ "inactive", false, false },
	{ "staged", false, true },
	{ "recalled", true, false },
	{ "active", true, true },
};

bool plugin_resource_status(const char *text, bool *ret_live, bool *ret_slated)
{
	for (size_t i = 0; i < LOOM_COUNT(statuses); i++) {
		if (str_ieq(text, statuses[i].name)) {
			*ret_live = statuses[i].live;
			*ret_slated = statuses[i].slated;
			return true;
		}
	}
	return false;
}

static const char *status_name(bool live, bool slated)
{
	for (size_t i = 0; i < LOOM_COUNT(statuses); i++) {
		if (statuses[i].live == live && statuses[i].slated == slated)
			return statuses[i].name;
	}
	return "";
}

/* ---- lists ----------------------------------------------------------------------------------- */

int plugin_resources_list(struct db *db, const struct plugin_resource_at *at, const char *status,
                          struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	bool live = false, slated = false,
	     any = !plugin_resource_status(status ? status : "", &live, &slated);
	int rc = db_select(db, &r,
	                   "SELECT name, version, live, slated FROM plugin_resource WHERE " OF_TYPE
	                   " AND (? IS NULL OR name=?) AND NOT deleted"
	                   " AND (? OR (live=? AND slated=?)) ORDER BY name, version",
	                   "ssssssiii", AT_NAME(at), at->name, (int64_t)any, (int64_t)live,
	                   (int64_t)slated);
	*ret = json_new_obj();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		const char *name = db_str(r, i, 0);
		struct json *all = json_get(*ret, name), *one = json_new_obj();
		if (!all)
			all = json_set(*ret, name, json_new_arr()), all = json_get(*ret, name);
		json_set_str(one, "name", name);
		json_set_int(one, "version", db_int(r, i, 1));
		json_push(all, json_set_str(one, "status",
		                            status_name(db_int(r, i, 2), db_int(r, i, 3))));
	}
	return rc;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* All versions of the name, locked: whoever changes one has them all. */
static int lock_name(struct db *db, const struct plugin_resource_at *at, struct db_result **ret)
{
	return db_select(db, ret,
	                 "SELECT version, live, slated, content FROM plugin_resource WHERE " OF_NAME
	                 " AND NOT deleted ORDER BY version FOR UPDATE",
	                 "sssss", AT_NAME(at));
}

static bool has_version(const struct db_result *r, int64_t version)
{
	for (size_t i = 0; i < db_rows(r); i++) {
		if (db_int(r, i, 0) == version)
			return true;
	}
	return false;
}

int plugin_resource_slate(struct db *db, const struct plugin_resource_at *at, bool slated)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct plugin_content c;
	int rc = lock_name(db, at, &r);
	if (!rc && !has_version(r, at->version))
		return PLUGIN_RESOURCE_E_NONE;
	if (!rc) /* one that is still being uploaded is none yet */
		rc = plugin_content_of(db, at, &c);
	if (rc)
		return rc;
	return db_exec(db,
	               "UPDATE plugin_resource SET slated=(version=? AND ?) WHERE " OF_NAME
	               " AND (version=? OR ?)",
	               "iisssssii", at->version, (int64_t)slated, AT_NAME(at), at->version,
	               (int64_t)slated);
}

/* The content of rows that are about to go, where no others have it. It is locked first, so that
 * whoever is about to copy it has done so, and is seen. */
static int let_go(struct db *db, const char *content)
{
	int64_t one;
	int rc = db_select_int(db, &one, NULL, "SELECT 1 FROM plugin_content WHERE id=? FOR UPDATE",
	                       "s", content);
	if (rc)
		return rc;
	return db_exec(db,
	               "UPDATE plugin_content SET state='dropped' WHERE id=? AND NOT EXISTS"
	               " (SELECT 1 FROM plugin_resource WHERE content=? AND NOT deleted)",
	               "ss", content, content);
}

/* The newest one leaves its number behind. */
static int delete_one(struct db *db, const struct plugin_resource_at *at, int64_t version,
                      const char *content)
{
	int rc = db_exec(db, "UPDATE plugin_resource SET deleted=1 WHERE " OF_NAME " AND version=?",
	                 "sssssi", AT_NAME(at), version);
	return rc ? rc : let_go(db, content);
}

int plugin_resource_delete(struct db *db, const struct plugin_resource_at *at)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = lock_name(db, at, &r);
	if (!rc && at->version && !has_version(r, at->version))
		return PLUGIN_RESOURCE_E_NONE;
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		bool meant = !at->version || db_int(r, i, 0) == at->version;
		if (meant && (db_int(r, i, 1) || db_int(r, i, 2)))
			return PLUGIN_RESOURCE_E_USED;
	}
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		if (!at->version || db_int(r, i, 0) == at->version)
			rc = delete_one(db, at, db_int(r, i, 0), db_str(r, i, 3));
	}
	return rc;
}

int plugin_resources_sync(struct db *db, const char *tenant)
{
	return db_exec(db,
	               "UPDATE plugin_resource SET live=slated WHERE tenant_id=? AND live<>slated",
	               "s", tenant);
}

/* The contents are locked first: from then on nobody lets go of one, and what is gone is seen. */
int plugin_resources_copy(struct db *db, const char *from, const char *to)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT c.id FROM plugin_content c WHERE c.id IN (SELECT content"
	                   " FROM plugin_resource WHERE tenant_id=? AND NOT deleted)"
	                   " ORDER BY c.id FOR UPDATE",
	                   "s", from);
	if (rc)
		return rc;
	return db_exec(
		db,
		"INSERT IGNORE INTO plugin_resource (tenant_id, kind, plugin, type, name,"
		" version, content, live, slated) SELECT ?, r.kind, r.plugin, r.type, r.name,"
		" r.version, r.content, r.live, r.slated FROM plugin_resource r"
		" JOIN plugin_content c ON c.id=r.content AND c.state='whole'"
		" WHERE r.tenant_id=? AND NOT r.deleted",
		"ss", to, from);
}

int plugin_resources_drop(struct db *db, const char *tenant)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT DISTINCT content FROM plugin_resource WHERE tenant_id=?",
	                   "s", tenant);
	if (!rc)
		rc = db_exec(db, "DELETE FROM plugin_resource WHERE tenant_id=?", "s", tenant);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = let_go(db, db_str(r, i, 0));
	return rc;
}

/* ---- for provisioners ------------------------------------------------------------------------ */

static struct json *child(struct json *of, const char *key)
{
	struct json *v = json_get(of, key);
	if (!v)
		json_set(of, key, json_new_obj());
	return v ? v : json_get(of, key);
}

/* What the plug-in's type says of this kind of files; {} when it says nothing any more. */
static int add_type(struct db *db, const char *kind, const char *plugin, const char *type,
                    struct json *to)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL;
	enum entity_kind k = str_eq(kind, entity_collection(ENTITY_PROVIDERTYPE))
	                             ? ENTITY_PROVIDERTYPE
	                             : ENTITY_AUTOMATORTYPE;
	int rc = entity_get(db, TENANT_SUPERADMIN, k, plugin, 0, &doc);
	const struct json *said = rc ? NULL : json_get(json_get(doc, "resourceTypes"), type);
	json_set_str(to, "format", json_get_str(said, "format"));
	json_set_str(to, "permissions", json_get_str(said, "permissions"));
	json_set(to, "active", json_new_arr());
	return rc == ENTITY_E_NONE ? 0 : rc;
}

int plugin_resources_live(struct db *db, const char *tenant, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT kind, plugin, type, name, version FROM plugin_resource"
	                   " WHERE tenant_id=? AND live AND NOT deleted"
	                   " ORDER BY kind, plugin, type, name",
	                   "s", tenant);
	json_free(*ret);
	*ret = json_new_obj();
	(void)child(*ret, entity_collection(ENTITY_AUTOMATORTYPE));
	(void)child(*ret, entity_collection(ENTITY_PROVIDERTYPE));
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		const char *kind = db_str(r, i, 0), *plugin = db_str(r, i, 1),
			   *type = db_str(r, i, 2);
		struct json *of = child(child(child(*ret, kind), plugin), type),
			    *one = json_new_obj();
		if (!json_len(of))
			rc = add_type(db, kind, plugin, type, of);
		json_set_str(one, "name", db_str(r, i, 3));
		json_push(json_get(of, "active"), json_set_int(one, "version", db_int(r, i, 4)));
	}
	return rc;
}
