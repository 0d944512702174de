/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes the configuration that a command asks for: as a whole (--config), or as changes of the
 * present one (--merge, and --set and --unset in their order).
 */
#include "services/cli/commands.h"

#include "common/json/merge_patch.h"

#include <string.h>

bool config_changes(const struct args *a)
{
	return args_has(a, "merge") || args_has(a, "set") || args_has(a, "unset");
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* Splits "web/port" or "/web/port" into keys, as in JSON pointers: ~1 is a '/', ~0 a '~'. */
static int split_path(const char *option, const char *path, struct strs *keys, struct loom_err *err)
{
	if (!strchr(path, '/') && strchr(path, '.'))
		return err_set(err, CLI_USAGE,
		               "--%s %s: keys have '/' between them, as in web/port; a key with a "
		               "dot in it is given as /%s",
		               option, path, path);
	const char *at = path + (*path == '/');
	do {
		struct buf key = BUF_INIT(JSON_MAX_BYTES);
		for (; *at && *at != '/'; at++) {
			bool escaped = *at == '~' && (at[1] == '0' || at[1] == '1');
			buf_addc(&key, (char)(!escaped ? *at : *++at == '0' ? '~' : '/'));
		}
		bool empty = !key.len;
		strs_add(keys, buf_str(&key));
		buf_fini(&key);
		if (empty)
			return err_set(err, CLI_USAGE,
			               "--%s %s: a key is empty; a path is as web/port", option,
			               path);
	} while (*at++ == '/');
	return 0;
}

/* Finds the object that holds the last key; creates missing objects on the way if `make` is set,
 * else *ret is NULL if one is missing. */
static int find_parent(struct json *config, const struct strs *keys, bool make, struct json **ret,
                       struct loom_err *err)
{
	struct json *at = config;
	for (size_t i = 0; at && i + 1 < keys->n; i++) {
		struct json *next = json_get(at, keys->v[i]);
		if (!next && make) {
			json_set(at, keys->v[i], json_new_obj());
			next = json_get(at, keys->v[i]);
		}
		if (next && !json_is(next, JSON_OBJECT))
			return err_set(err, CLI_USAGE,
			               "'%s' is no object but a %s, so it has no '%s'; := replaces "
			               "it whole",
			               keys->v[i], json_type_name(json_type(next)), keys->v[i + 1]);
		at = next;
	}
	*ret = at;
	return 0;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Applies PATH=TEXT or PATH:=JSON. */
static int set_one(struct json *config, const char *given, struct loom_err *err)
{
	const char *eq = strchr(given, '=');
	bool typed = eq && eq > given && eq[-1] == ':';
	size_t n = eq ? (size_t)(eq - given) - typed : 0;
	if (!n)
		return err_set(err, CLI_USAGE,
		               "--set is PATH=TEXT, as web/port=81, or PATH:=JSON, not '%s'",
		               given);
	LOOM_CLEANUP(strs_fini) struct strs keys = { 0 };
	LOOM_CLEANUP_STR char *path = loom_strndup(given, n);
	struct loom_err why = { 0 };
	struct json *v = NULL, *parent = NULL;
	int rc = split_path("set", path, &keys, err);
	if (rc)
		return rc;
	rc = find_parent(config, &keys, true, &parent, &why);
	if (rc)
		return err_set(err, rc, "--set %s: %s", path, why.msg);
	if (!typed)
		v = json_new_str(eq + 1);
	else if (json_parse_str(eq + 1, &v, &why) != 0)
		return err_set(err, CLI_USAGE, "--set %s: what := gives is not JSON: %s", path,
		               why.msg);
	loom_assert(keys.n);
	json_set(parent, keys.v[keys.n - 1], v);
	return 0;
}

/* known: config is the present one, so the key must exist. */
static int unset_one(struct json *config, const char *path, bool known, struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs keys = { 0 };
	struct loom_err why = { 0 };
	struct json *parent = NULL;
	int rc = split_path("unset", path, &keys, err);
	if (rc)
		return rc;
	rc = find_parent(config, &keys, false, &parent, &why);
	if (rc)
		return err_set(err, rc, "--unset %s: %s", path, why.msg);
	loom_assert(keys.n);
	const char *last = keys.v[keys.n - 1];
	if (known && !json_get(parent, last))
		return err_set(err, CLI_USAGE, "--unset %s: there is no such setting", path);
	if (parent)
		json_del(parent, last);
	return 0;
}

int config_option(const struct args *a, const struct json *present, struct json **ret,
                  struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *config = NULL, *patch = NULL;
	int rc = json_option(a, "config", &config, err);
	if (!rc)
		rc = json_option(a, "merge", &patch, err);
	bool known = present || config;
	if (!rc && !config)
		config = json_is(present, JSON_OBJECT) ? json_copy(present) : json_new_obj();
	if (!rc && patch) {
		struct json *before = config;
		config = json_merge_patch(before, patch);
		json_free(before);
	}
	for (size_t i = 0; !rc && i < a->n_given; i++) {
		const char *option = a->given[i].option->name, *value = a->given[i].value;
		if (str_eq(option, "set"))
			rc = set_one(config, value, err);
		else if (str_eq(option, "unset"))
			rc = unset_one(config, value, known, err);
	}
	if (!rc)
		*ret = loom_take(config);
	return rc;
}

int config_change(const struct args *a, const struct json *stored, struct json *body)
{
	LOOM_CLEANUP(json_free) struct json *present = stored ? json_copy(stored) : json_new_obj();
	struct json *config = NULL;
	struct loom_err err = { 0 };
	if (config_option(a, present, &config, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	json_set(body, "config", config);
	return CLI_OK;
}
