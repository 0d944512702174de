/* SPDX-License-Identifier: Apache-2.0 */
/* Decides who may set provider fields that name parts of the provisioner's host. */
#include "services/api/catalog/hostfields.h"

#include "common/base/str.h"
#include "common/model/catalog/entity.h"

#include <fnmatch.h>
#include <string.h>

enum { FORBIDDEN = 403 };

/* True for a path with "..", which could leave the folder of the pattern. */
static bool climbs(const char *s)
{
	for (const char *at = s; (at = strstr(at, "..")); at += 2) {
		if ((at == s || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
	}
	return false;
}

/* Matches one entry, "field=pattern". */
static bool matches(const char *entry, const char *field, const char *value)
{
	size_t n = strlen(field);
	return strncmp(entry, field, n) == 0 && entry[n] == '=' &&
	       fnmatch(entry + n + 1, value, FNM_PATHNAME | FNM_PERIOD | FNM_NOESCAPE) == 0;
}

bool hostfields_allowed(const char *host_values, const char *field, const struct json *value)
{
	const char *text = json_str(value), *at = host_values ? host_values : "";
	bool found = false;
	if (!text || climbs(text))
		return false;
	while (!found && *(at += strspn(at, ", \t"))) {
		size_t n = strcspn(at, ","), end = n;
		while (end && (at[end - 1] == ' ' || at[end - 1] == '\t'))
			end--;
		LOOM_CLEANUP_STR char *entry = loom_strndup(at, end);
		found = matches(entry, field, text);
		at += n;
	}
	return found;
}

int hostfields_check_values(const char *host_values, struct loom_err *err)
{
	for (const char *at = host_values; at && *(at += strspn(at, ", \t"));) {
		size_t n = strcspn(at, ","), name = strcspn(at, "=, \t");
		if (!name || at[name] != '=')
			return err_set(err, 500, "host_values: '%.*s' is not FIELD=PATTERN", (int)n,
			               at);
		at += n;
	}
	return 0;
}

static bool is_kept(const struct json *provider, const struct json *before, const char *field)
{
	const struct json *value = json_get(json_get(provider, "provisioner"), field);
	const struct json *old = json_get(json_get(before, "provisioner"), field);
	return old && json_equal(value, old) &&
	       str_eq(json_get_str(provider, "providertype"), json_get_str(before, "providertype"));
}

int hostfields_check(const char *host_values, const struct json *type, const struct json *provider,
                     const struct json *before, struct loom_err *err)
{
	const struct json *schemas = json_path(type, "parameters/admin/fields");
	const struct json *fields = json_get(provider, "provisioner");
	for (size_t i = 0; i < json_len(fields); i++) {
		const char *name = json_key_at(fields, i);
		const struct json *value = json_value_at(fields, i);
		if (!json_get_bool(json_get(schemas, name), "host", false) ||
		    is_kept(provider, before, name) || hostfields_allowed(host_values, name, value))
			continue;
		return err_set(err, FORBIDDEN,
		               "provisioner.%.64s names something of the provisioner's own host: "
		               "only the superadmin's tenant may set it, or the API's host_values "
		               "allow the value",
		               name);
	}
	return 0;
}

int hostfields_check_stored(struct db *db, const char *host_values, const char *tenant,
                            const struct json *provider, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *type = NULL, *before = NULL;
	const char *name = json_get_str(provider, "providertype");
	if (str_eq(tenant, TENANT_SUPERADMIN) || !name)
		return 0;
	int rc = entity_get(db, TENANT_SUPERADMIN, ENTITY_PROVIDERTYPE, name, &type);
	if (rc == ENTITY_E_NONE)
		return 0;
	if (!rc)
		rc = entity_get(db, tenant, ENTITY_PROVIDER, json_get_str(provider, "name"),
		                &before);
	if (rc && rc != ENTITY_E_NONE)
		return rc;
	return hostfields_check(host_values, type, provider, before, err);
}
