/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of files for plug-ins: who has which, and which are in use. */
#include "common/model/catalog/plugin_resource.h"

#include "common/base/str.h"

#include <string.h>

#define OF_TYPE    "tenant_id=? AND kind=? AND plugin=? AND type=?"
#define OF_NAME    OF_TYPE " AND name=?"
#define AT_TYPE(a) (a)->tenant, entity_collection((a)->kind), (a)->plugin, (a)->type
#define AT_NAME(a) AT_TYPE(a), (a)->name

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

/* Which ones are listed: all, or those that are so. */
struct wanted {
	int64_t any;
	bool live, slated;
};
#define WANTED           " AND NOT deleted AND (? OR (live=? AND slated=?))"
#define WANTED_TYPES     "iii"
#define WANTED_VALUES(w) (w)->any, (int64_t)(w)->live, (int64_t)(w)->slated

static struct wanted wanted_of(const char *status)
{
	struct wanted w = { 0 };
	w.any = !plugin_resource_status(status ? status : "", &w.live, &w.slated);
	return w;
}

/* name, version, live, slated */
static struct json *shown(const struct db_result *r, size_t i)
{
	struct json *o = json_set_str(json_new_obj(), "name", db_str(r, i, 0));
	json_set_int(o, "version", db_int(r, i, 1));
	return json_set_str(o, "status", status_name(db_int(r, i, 2), db_int(r, i, 3)));
}

static void add_to_name(struct json *names, const char *name, struct json *version)
{
	size_t n = json_len(names);
	struct json *last = n ? json_at(names, n - 1) : NULL;
	if (!last || !str_eq(json_get_str(last, "name"), name)) {
		last = json_set_str(json_new_obj(), "name", name);
		json_set(last, "versions", json_new_arr());
		json_push(names, last);
	}
	json_push(json_get(last, "versions"), version);
}

/* The names of a part, and what there is of each. */
#define NAMES(than, way)                                                                        \
	"SELECT r.name, r.version, r.live, r.slated FROM (" LIST_PART_(                         \
		"SELECT DISTINCT name FROM plugin_resource WHERE " OF_TYPE WANTED, "name", "?", \
		than, way) ") n JOIN plugin_resource r ON r.name=n.name WHERE " OF_TYPE WANTED  \
			   " ORDER BY r.name" way ", r.version"

int plugin_resource_names(struct db *db, const struct plugin_resource_at *at, const char *status,
                          const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = { NAMES(">", ""), NAMES("<", " DESC") };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const struct wanted w = wanted_of(status);
	int rc = db_select(db, &r, parts[part->down],
	                   "ssss" WANTED_TYPES LIST_PART_TYPES "ssss" WANTED_TYPES, AT_TYPE(at),
	                   WANTED_VALUES(&w), LIST_PART_VALUES(part), AT_TYPE(at),
	                   WANTED_VALUES(&w));
	if (rc)
		return rc;
	*ret = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++)
		add_to_name(*ret, db_str(r, i, 0), shown(r, i));
	return 0;
}

int plugin_resource_versions(struct db *db, const struct plugin_resource_at *at, const char *status,
                             const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = LIST_PARTS_AS(
		"SELECT name, version, live, slated FROM plugin_resource WHERE " OF_NAME WANTED,
		"version", "CAST(? AS SIGNED)");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const struct wanted w = wanted_of(status);
	int rc = db_select(db, &r, parts[part->down], "sssss" WANTED_TYPES LIST_PART_TYPES,
	                   AT_NAME(at), WANTED_VALUES(&w), LIST_PART_VALUES(part));
	if (rc)
		return rc;
	*ret = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++)
		json_push(*ret, shown(r, i));
	return 0;
}

#define TALLY LIST_TALLY("name, version, live, slated")

int plugin_resources_tally(struct db *db, const struct plugin_resource_at *at, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     TALLY "plugin_resource WHERE " OF_TYPE
	                           " AND (? IS NULL OR name=?) AND NOT deleted",
	                     "ssssss", AT_TYPE(at), at->name, at->name);
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Locks all versions of the name: each change locks them all. */
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
	if (!rc) /* a version still being uploaded does not exist yet */
		rc = plugin_content_of(db, at, &c);
	if (rc)
		return rc;
	return db_exec(db,
	               "UPDATE plugin_resource SET slated=(version=? AND ?) WHERE " OF_NAME
	               " AND (version=? OR ?)",
	               "iisssssii", at->version, (int64_t)slated, AT_NAME(at), at->version,
	               (int64_t)slated);
}

/* Drops the content of rows about to be deleted, if no other rows use it. Locks the content first,
 * so that a concurrent copy is either finished and seen, or comes later. */
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

/* The newest version leaves its number behind. */
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

/* Locks the contents first: then none can be dropped, and dropped ones are seen. */
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

/* The rules of the plug-in's type for this kind of files; {} when it has none any more. */
static int add_type(struct db *db, const char *kind, const char *plugin, const char *type,
                    struct json *to)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL;
	enum entity_kind k = str_eq(kind, entity_collection(ENTITY_PROVIDERTYPE))
	                             ? ENTITY_PROVIDERTYPE
	                             : ENTITY_AUTOMATORTYPE;
	int rc = entity_get(db, TENANT_SUPERADMIN, k, plugin, &doc);
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
