/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of tenants in versions: nothing is overwritten. */
#include "common/model/catalog/entity.h"

#include "common/base/str.h"
#include "common/model/identity/tenant.h"
#include "common/model/worker/limit.h"

#include <sodium.h>
#include <stdio.h>

static const struct {
	const char *collection, *label;
} kinds[ENTITY_KINDS_] = {
	[ENTITY_PROVIDER] = { "providers", "provider" },
	[ENTITY_HARDWARETYPE] = { "hardwaretypes", "hardware type" },
	[ENTITY_IMAGETYPE] = { "imagetypes", "image type" },
	[ENTITY_SERVICE] = { "services", "service" },
	[ENTITY_CLUSTERTEMPLATE] = { "clustertemplates", "cluster template" },
	[ENTITY_PARTIALTEMPLATE] = { "partialtemplates", "partial template" },
	[ENTITY_PROVIDERTYPE] = { "providertypes", "provider type" },
	[ENTITY_AUTOMATORTYPE] = { "automatortypes", "automator type" },
};

const char *entity_collection(enum entity_kind k)
{
	return kinds[k].collection;
}

const char *entity_label(enum entity_kind k)
{
	return kinds[k].label;
}

struct json *entity_brief(const struct json *doc)
{
	static const char *const common[] = { "name", "label", "description", "icon", "version" };
	struct json *o = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(common); i++) {
		if (json_get(doc, common[i]))
			json_set(o, common[i], json_copy(json_get(doc, common[i])));
	}
	return o;
}

/* The tag includes the time, as a deleted name's version may be created again, and the tenant, for
 * caches that know a document only by its path. */
static void make_tag(char tag[TAG_MAX], const char *tenant, int64_t version, int64_t time)
{
	unsigned char sum[16];
	char hex[33], text[128];
	int n = snprintf(text, sizeof(text), "%lld %.64s", (long long)time, tenant);
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)text, (size_t)n, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	snprintf(tag, TAG_MAX, "\"%lld-%.16s\"", (long long)version, hex);
}

/* Column 0 is the version, column 1 the document. */
static int load(const struct db_result *r, size_t row, struct json **ret)
{
	struct loom_err err;
	struct json *doc;
	if (json_parse(db_str(r, row, 1), db_len(r, row, 1), 0, &doc, &err))
		return DB_E_FATAL;
	*ret = json_set_int(doc, "version", db_int(r, row, 0));
	return 0;
}

int entity_read(struct db *db, const struct entity_ref *ref, struct json **ret, char tag[TAG_MAX])
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const char *kind = kinds[ref->kind].collection;
	if (str_padded(ref->name))
		return ENTITY_E_NONE;
	int rc = ref->version ? db_select(db, &r,
	                                  "SELECT version, doc, create_time FROM entity"
	                                  " WHERE tenant_id=? AND kind=? AND name=? AND version=?",
	                                  "sssi", ref->tenant, kind, ref->name, ref->version)
	                      : db_select(db, &r,
	                                  "SELECT version, doc, create_time FROM entity"
	                                  " WHERE tenant_id=? AND kind=?"
	                                  " AND name=? ORDER BY version DESC LIMIT 1",
	                                  "sss", ref->tenant, kind, ref->name);
	if (rc)
		return rc;
	if (!db_rows(r))
		return ENTITY_E_NONE;
	make_tag(tag, ref->tenant, db_int(r, 0, 0), db_int(r, 0, 2));
	return load(r, 0, ret);
}

int entity_get(struct db *db, const char *tenant, enum entity_kind k, const char *name,
               struct json **ret)
{
	const struct entity_ref latest = { tenant, k, name, 0 };
	char tag[TAG_MAX];
	return entity_read(db, &latest, ret, tag);
}

/* Whoever changes documents has locked the tenant before: else locks of versions that are and of
 * those to come stand crosswise between who writes and who deletes. */
int entity_lock(struct db *db, const char *tenant, enum entity_kind k, const char *name,
                struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT version, doc FROM entity WHERE tenant_id=? AND kind=?"
		               " AND name=? ORDER BY version DESC LIMIT 1 FOR UPDATE",
		               "sss", tenant, kinds[k].collection, name);
	if (rc)
		return rc;
	return db_rows(r) ? load(r, 0, ret) : ENTITY_E_NONE;
}

int entity_list(struct db *db, const char *tenant, enum entity_kind k, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT e.version, e.doc FROM entity e JOIN (SELECT name, MAX(version) AS top"
		" FROM entity WHERE tenant_id=? AND kind=? GROUP BY name) l"
		" ON l.name=e.name AND l.top=e.version"
		" WHERE e.tenant_id=? AND e.kind=? ORDER BY e.name",
		"ssss", tenant, kinds[k].collection, tenant, kinds[k].collection);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++) {
		struct json *doc;
		rc = load(r, i, &doc);
		if (rc)
			return rc;
		json_push(list, doc);
	}
	*ret = loom_take(list);
	return 0;
}

static int lock_once(struct db *db, const struct entity_ref *ref, int64_t *ret, char tag[TAG_MAX])
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT version, create_time FROM entity WHERE tenant_id=? AND kind=?"
	                   " AND name=? AND (?=0 OR version=?)"
	                   " ORDER BY version DESC LIMIT 1 FOR UPDATE",
	                   "sssii", ref->tenant, kinds[ref->kind].collection, ref->name,
	                   ref->version, ref->version);
	*ret = !rc && db_rows(r) ? db_int(r, 0, 0) : 0;
	if (*ret)
		make_tag(tag, ref->tenant, *ret, db_int(r, 0, 1));
	return rc;
}

/* Locks the latest version, or this one; *ret 0: none. After waiting for the lock it reads again,
 * to see versions added meanwhile. */
static int lock(struct db *db, const struct entity_ref *ref, int64_t *ret, char tag[TAG_MAX])
{
	int64_t seen = -1;
	int rc = 0;
	for (*ret = 0; !rc && *ret != seen;) {
		seen = *ret;
		rc = lock_once(db, ref, ret, tag);
	}
	return rc;
}

/* Did an earlier run of this call write this version? */
static int is_written(struct db *db, const struct entity_ref *ref, const char *text, bool *ret)
{
	int64_t same = 0;
	int rc = db_select_int(db, &same, NULL,
	                       "SELECT COUNT(*) FROM entity WHERE tenant_id=? AND kind=? AND"
	                       " name=? AND version=? AND doc=?",
	                       "sssis", ref->tenant, kinds[ref->kind].collection, ref->name,
	                       ref->version, text);
	*ret = same > 0;
	return rc;
}

int entity_put(struct db *db, const char *tenant, enum entity_kind k, const struct json *doc,
               const struct precondition *p, int64_t *written)
{
	struct entity_ref ref = { tenant, k, json_get_str(doc, "name"), 0 };
	int64_t top = 0;
	char tag[TAG_MAX];
	bool done = false;
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = lock(db, &ref, &top, tag);
	LOOM_CLEANUP_STR char *text = json_text(doc);
	ref.version = top;
	if (!rc && *written && top == *written)
		rc = is_written(db, &ref, text, &done);
	if (rc || done)
		return rc;
	if (!precondition_met(p, top ? tag : NULL))
		return PRECONDITION_E_FAILED;
	rc = db_exec(db,
	             "INSERT INTO entity (tenant_id, kind, name, version, doc, create_time)"
	             " VALUES (?,?,?,?,?,CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED))",
	             "sssis", tenant, kinds[k].collection, ref.name, top + 1, text);
	*written = rc ? 0 : top + 1;
	if (!rc && k == ENTITY_PROVIDER)
		rc = limit_set(db, tenant, ref.name, doc);
	/* Of two writers of a new name the loser retries and sees the winner's version. */
	return rc == DB_E_DUP ? DB_E_RETRY : rc;
}

static int delete_versions(struct db *db, const struct entity_ref *ref)
{
	const char *kind = kinds[ref->kind].collection;
	if (ref->version)
		return db_exec(
			db,
			"DELETE FROM entity WHERE tenant_id=? AND kind=? AND name=? AND version=?",
			"sssi", ref->tenant, kind, ref->name, ref->version);
	return db_exec(db, "DELETE FROM entity WHERE tenant_id=? AND kind=? AND name=?", "sss",
	               ref->tenant, kind, ref->name);
}

int entity_delete(struct db *db, const struct entity_ref *ref, const struct precondition *p)
{
	LOOM_CLEANUP(json_free) struct json *left = NULL;
	int64_t there;
	char tag[TAG_MAX];
	int rc = tenant_lock(db, ref->tenant);
	if (!rc)
		rc = lock(db, ref, &there, tag);
	if (!rc && !precondition_met(p, there ? tag : NULL))
		return PRECONDITION_E_FAILED;
	if (!rc)
		rc = delete_versions(db, ref);
	if (rc || ref->kind != ENTITY_PROVIDER)
		return rc;
	rc = entity_get(db, ref->tenant, ref->kind, ref->name, &left);
	return rc && rc != ENTITY_E_NONE ? rc : limit_set(db, ref->tenant, ref->name, left);
}

#define TENANT_KINDS                                                               \
	"('providers','hardwaretypes','imagetypes','services','clustertemplates'," \
	"'partialtemplates')"

int entity_export(struct db *db, const char *tenant, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT e.version, e.doc, e.kind FROM entity e JOIN"
	                   " (SELECT kind, name, MAX(version) AS top FROM entity"
	                   " WHERE tenant_id=? AND kind IN " TENANT_KINDS " GROUP BY kind, name) l"
	                   " ON l.kind=e.kind AND l.name=e.name AND l.top=e.version"
	                   " WHERE e.tenant_id=? ORDER BY e.name",
	                   "ss", tenant, tenant);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *all = json_new_obj();
	for (int k = 0; k < ENTITY_TENANT_KINDS; k++)
		json_set(all, kinds[k].collection, json_new_arr());
	for (size_t i = 0; i < db_rows(r); i++) {
		struct json *doc;
		rc = load(r, i, &doc);
		if (rc)
			return rc;
		json_push(json_get(all, db_str(r, i, 2)), doc);
	}
	*ret = loom_take(all);
	return 0;
}

int entity_import(struct db *db, const char *tenant, int n, const struct json *all)
{
	int rc = tenant_lock(db, tenant);
	for (int k = 0; !rc && k < n; k++)
		rc = db_exec(db, "DELETE FROM entity WHERE tenant_id=? AND kind=?", "ss", tenant,
		             kinds[k].collection);
	if (!rc)
		rc = limits_suspend(db, tenant);
	for (int k = 0; !rc && k < n; k++) {
		const struct json *list = json_get(all, kinds[k].collection);
		for (size_t i = 0; !rc && i < json_len(list); i++) {
			const struct json *doc = json_at(list, i);
			int64_t written = 0;
			rc = entity_put(db, tenant, (enum entity_kind)k, doc, NULL, &written);
		}
	}
	return rc ? rc : limits_drop_suspended(db, tenant);
}
