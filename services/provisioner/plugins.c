/* SPDX-License-Identifier: Apache-2.0 */
/* Finds plugins, checks their descriptors, and chooses those for a task. */
#include "plugins.h"

#include "common/base/log.h"
#include "common/base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DESCRIPTOR_MAX = 1 << 20,
	TIMEOUT_MAX_S = 86400,
	MS = 1000,
	BAD = 1, /* err says what is wrong */
};

struct plugin {
	enum plugin_kind kind;
	char *name, *dir, *exec;
	struct json *descriptor;
};

struct plugins {
	struct plugin **v;
	size_t n;
};

static const char *const actions[] = { "create",    "confirm",    "delete", "bootstrap", "install",
	                               "configure", "initialize", "start",  "stop",      "remove" };

static const struct {
	const char *folder, *types;
} kinds[PLUGIN_KINDS_] = {
	[PLUGIN_PROVIDER] = { "providers", "providertypes" },
	[PLUGIN_AUTOMATOR] = { "automators", "automatortypes" },
};

const char *plugin_kind_path(enum plugin_kind kind)
{
	return kinds[kind].types;
}

const char *plugin_folder(const struct plugin *p)
{
	return kinds[p->kind].folder;
}

const char *plugin_name(const struct plugin *p)
{
	return p->name;
}

const char *plugin_dir(const struct plugin *p)
{
	return p->dir;
}

const char *plugin_exec(const struct plugin *p)
{
	return p->exec;
}

void plugin_free(struct plugin *p)
{
	if (!p)
		return;
	loom_free(p->name);
	loom_free(p->dir);
	loom_free(p->exec);
	json_free(p->descriptor);
	loom_free(p);
}

/* ---- one descriptor ---------------------------------------------------------------------------
 */

static int read_descriptor(const char *dir, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/plugin.json", dir);
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t have = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, BAD, "%s: %s", path, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > DESCRIPTOR_MAX)
		return err_set(err, BAD, "%s: not a file of at most %d bytes", path,
		               DESCRIPTOR_MAX);
	LOOM_CLEANUP_STR char *text = loom_malloc((size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
		if (n <= 0)
			return err_set(err, BAD, "%s: cannot be read", path);
		have += (size_t)n;
	}
	struct loom_err why;
	if (json_parse(text, have, DESCRIPTOR_MAX, ret, &why))
		return err_set(err, BAD, "%s: %s", path, why.msg);
	return 0;
}

static int check_exec(struct plugin *p, struct loom_err *err)
{
	const char *exec = json_get_str(p->descriptor, "exec");
	struct stat st;
	if (!exec || !*exec || strchr(exec, '/') || *exec == '.')
		return err_set(err, BAD, "\"exec\" must name a file of the plugin's folder");
	p->exec = loom_asprintf("%s/%s", p->dir, exec);
	if (stat(p->exec, &st) < 0 || !S_ISREG(st.st_mode) || access(p->exec, X_OK) < 0)
		return err_set(err, BAD, "\"exec\": %s is no executable file", exec);
	return 0;
}

static bool known_action(const char *name)
{
	for (size_t i = 0; i < LOOM_COUNT(actions); i++) {
		if (str_eq(actions[i], name))
			return true;
	}
	return false;
}

static int check_actions(const struct plugin *p, struct loom_err *err)
{
	const struct json *map = json_get(p->descriptor, "actions");
	if (!json_is(map, JSON_OBJECT) || !json_len(map))
		return err_set(err, BAD, "\"actions\" must be an object with at least one action");
	for (size_t i = 0; i < json_len(map); i++) {
		const char *action = json_key_at(map, i);
		int64_t timeout = 0;
		if (!known_action(action))
			return err_set(err, BAD, "\"actions\": there is no action \"%s\"", action);
		if (!json_int(json_get(json_value_at(map, i), "timeout"), &timeout) ||
		    timeout < 1 || timeout > TIMEOUT_MAX_S)
			return err_set(err, BAD,
			               "\"actions\": %s needs a timeout of 1 to %d seconds", action,
			               TIMEOUT_MAX_S);
	}
	return 0;
}

static int check_type(const struct plugin *p, const char *type, struct loom_err *err)
{
	struct json *body = type ? json_get(p->descriptor, type) : NULL;
	if (!type || !str_is_name(type))
		return err_set(err, BAD, "\"%s\" must list names", plugin_kind_path(p->kind));
	if (!json_is(body, JSON_OBJECT))
		return err_set(err, BAD, "type \"%s\" has no object of that name", type);
	if (!json_get(body, "name"))
		(void)json_set_str(body, "name", type);
	if (!str_eq(json_get_str(body, "name"), type))
		return err_set(err, BAD, "\"%s\".name must be \"%s\"", type, type);
	return 0;
}

static int check_types(const struct plugin *p, struct loom_err *err)
{
	const struct json *types = json_get(p->descriptor, plugin_kind_path(p->kind));
	if (!json_is(types, JSON_ARRAY) || !json_len(types))
		return err_set(err, BAD, "\"%s\" must list at least one type",
		               plugin_kind_path(p->kind));
	for (size_t i = 0; i < json_len(types); i++) {
		int rc = check_type(p, json_str(json_at(types, i)), err);
		if (rc)
			return rc;
	}
	return 0;
}

int plugin_load(const char *dir, enum plugin_kind kind, struct plugin **ret, struct loom_err *err)
{
	LOOM_CLEANUP(plugin_free) struct plugin *p = loom_calloc(1, sizeof(*p));
	const char *name;
	int rc;

	p->kind = kind;
	p->dir = loom_strdup(dir);
	rc = read_descriptor(dir, &p->descriptor, err);
	if (rc)
		return rc;
	if (!json_is(p->descriptor, JSON_OBJECT))
		return err_set(err, BAD, "plugin.json must hold an object");
	name = json_get_str(p->descriptor, "name");
	if (!name || !str_is_name(name) || *name == '.')
		return err_set(err, BAD, "\"name\" must be a name (letters, digits, _ . -)");
	p->name = loom_strdup(name);
	if ((rc = check_exec(p, err)) || (rc = check_actions(p, err)) || (rc = check_types(p, err)))
		return rc;
	*ret = loom_take(p);
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static const struct json *types_of(const struct plugin *p)
{
	return json_get(p->descriptor, plugin_kind_path(p->kind));
}

static const struct plugin *find_type(const struct plugins *p, enum plugin_kind kind,
                                      const char *type)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i]->kind == kind && json_arr_has_str(types_of(p->v[i]), type))
			return p->v[i];
	}
	return NULL;
}

static int check_clash(const struct plugins *all, const struct plugin *p, struct loom_err *err)
{
	const struct json *types = types_of(p);
	for (size_t i = 0; i < all->n; i++) {
		if (str_eq(all->v[i]->name, p->name) && all->v[i]->kind == p->kind)
			return err_set(err, BAD, "another plugin is named %s", p->name);
	}
	for (size_t i = 0; i < json_len(types); i++) {
		const char *type = json_str(json_at(types, i));
		const struct plugin *other = find_type(all, p->kind, type);
		if (other)
			return err_set(err, BAD, "type %s is already that of plugin %s", type,
			               other->name);
	}
	return 0;
}

static void load_one(struct plugins *all, const char *dir, enum plugin_kind kind)
{
	LOOM_CLEANUP(plugin_free) struct plugin *p = NULL;
	struct loom_err err = { 0 };

	if (plugin_load(dir, kind, &p, &err) || !p || check_clash(all, p, &err)) {
		log_error("plugin skipped", LOG_S("dir", dir), LOG_S("error", err.msg));
		return;
	}
	all->v = loom_realloc(all->v, (all->n + 1) * sizeof(struct plugin *));
	all->v[all->n++] = loom_take(p);
}

static void load_kind(struct plugins *all, const char *dir, enum plugin_kind kind)
{
	LOOM_CLEANUP_STR char *folder = loom_asprintf("%s/%s", dir, kinds[kind].folder);
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	DIR *d = opendir(folder);
	struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d))) /* NOLINT(concurrency-mt-unsafe): own stream */ {
		if (entry->d_name[0] != '.')
			strs_add(&names, entry->d_name);
	}
	(void)closedir(d);
	strs_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		LOOM_CLEANUP_STR char *one = loom_asprintf("%s/%s", folder, names.v[i]);
		LOOM_CLEANUP_STR char *descriptor = loom_asprintf("%s/plugin.json", one);
		if (access(descriptor, F_OK) == 0)
			load_one(all, one, kind);
	}
}

int plugins_load(const char *dir, struct plugins **ret, struct loom_err *err)
{
	LOOM_CLEANUP(plugins_free) struct plugins *all = loom_calloc(1, sizeof(*all));
	char *absolute = realpath(dir, NULL);

	if (!absolute)
		return err_set(err, BAD, "plugin_dir %s: %s", dir, strerrordesc_np(errno));
	for (int kind = 0; kind < PLUGIN_KINDS_; kind++)
		load_kind(all, absolute, (enum plugin_kind)kind);
	free(absolute); /* NOLINT: realpath's own memory */
	if (!all->n)
		return err_set(err, BAD, "plugin_dir %s holds no usable plugin", dir);
	*ret = loom_take(all);
	return 0;
}

void plugins_free(struct plugins *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		plugin_free(p->v[i]);
	loom_free(p->v);
	loom_free(p);
}

size_t plugins_count(const struct plugins *p)
{
	return p->n;
}

const struct plugin *plugins_at(const struct plugins *p, size_t i)
{
	return i < p->n ? p->v[i] : NULL;
}

bool plugins_type_at(const struct plugins *p, size_t i, struct plugin_type *ret)
{
	for (size_t k = 0; k < p->n; k++) {
		const struct json *types = types_of(p->v[k]);
		if (i >= json_len(types)) {
			i -= json_len(types);
			continue;
		}
		const char *name = json_str(json_at(types, i));
		*ret = (struct plugin_type){ .kind = p->v[k]->kind,
			                     .name = name,
			                     .descriptor = json_get(p->v[k]->descriptor, name) };
		return true;
	}
	return false;
}

/* ---- choosing ---------------------------------------------------------------------------------
 */

static const struct {
	const char *task, *action;
	const char *type_path; /* path of the plugin's type in the task; NULL: all automators */
	enum plugin_kind kind;
} choices[] = {
	{ "CREATE", "create", "config/provider/providertype", PLUGIN_PROVIDER },
	{ "CONFIRM", "confirm", "config/provider/providertype", PLUGIN_PROVIDER },
	{ "DELETE", "delete", "config/provider/providertype", PLUGIN_PROVIDER },
	{ "BOOTSTRAP", "bootstrap", NULL, PLUGIN_AUTOMATOR },
	{ "INSTALL", "install", "config/service/action/type", PLUGIN_AUTOMATOR },
	{ "CONFIGURE", "configure", "config/service/action/type", PLUGIN_AUTOMATOR },
	{ "INITIALIZE", "initialize", "config/service/action/type", PLUGIN_AUTOMATOR },
	{ "START", "start", "config/service/action/type", PLUGIN_AUTOMATOR },
	{ "STOP", "stop", "config/service/action/type", PLUGIN_AUTOMATOR },
	{ "REMOVE", "remove", "config/service/action/type", PLUGIN_AUTOMATOR },
};

static int add_step(const struct plugins *p, size_t choice, const char *type,
                    struct plugin_steps *steps, struct loom_err *err)
{
	const char *what = choices[choice].kind == PLUGIN_PROVIDER ? "provider" : "automator";
	const struct plugin *plugin;
	struct json *action;
	if (!type)
		return err_set(err, BAD, "the task names no %s type (%s)", what,
		               choices[choice].type_path ? choices[choice].type_path
		                                         : "config/automators");
	plugin = find_type(p, choices[choice].kind, type);
	if (!plugin)
		return err_set(err, BAD, "this provisioner has no plugin for %s type \"%s\"", what,
		               type);
	action = json_get(json_get(plugin->descriptor, "actions"), choices[choice].action);
	if (!action && !choices[choice].type_path)
		return 0; /* an automator has nothing to prepare on a node */
	if (!action)
		return err_set(err, BAD, "plugin %s has no action \"%s\"", plugin->name,
		               choices[choice].action);
	steps->v = loom_realloc(steps->v, (steps->n + 1) * sizeof(*steps->v));
	steps->v[steps->n++] =
		(struct plugin_step){ .plugin = plugin,
		                      .type = type,
		                      .action = choices[choice].action,
		                      .timeout_ms = json_get_int(action, "timeout", 1) * MS };
	return 0;
}

static int add_steps(const struct plugins *p, const struct json *task, size_t choice,
                     struct plugin_steps *steps, struct loom_err *err)
{
	const struct json *automators;
	int rc = 0;
	if (choices[choice].type_path)
		return add_step(p, choice, json_str(json_path(task, choices[choice].type_path)),
		                steps, err);
	automators = json_path(task, "config/automators");
	for (size_t i = 0; !rc && i < json_len(automators); i++)
		rc = add_step(p, choice, json_str(json_at(automators, i)), steps, err);
	return rc;
}

int plugins_choose(const struct plugins *p, const struct json *task, struct plugin_steps *ret,
                   struct loom_err *err)
{
	const char *name = json_get_str(task, "taskName");
	struct plugin_steps steps = { 0 };
	for (size_t i = 0; i < LOOM_COUNT(choices); i++) {
		if (!str_ieq(choices[i].task, name))
			continue;
		int rc = add_steps(p, task, i, &steps, err);
		if (rc)
			plugin_steps_fini(&steps);
		else
			*ret = steps;
		return rc;
	}
	return err_set(err, BAD, "there is no task \"%s\"", name ? name : "");
}

/* The same rule as the server's, which seals these fields. */
static bool is_secret(const struct json *type, const char *field)
{
	static const char *const who[] = { "parameters/admin/fields", "parameters/user/fields" };
	for (size_t i = 0; i < LOOM_COUNT(who); i++) {
		const struct json *s = json_get(json_path(type, who[i]), field);
		if (json_get_bool(s, "sensitive", false) ||
		    str_eq(json_get_str(s, "type"), "password"))
			return true;
	}
	return false;
}

static void add_declared(const struct plugins *p, enum plugin_kind kind, const struct json *type,
                         const struct json *fields, struct redact *to)
{
	const struct plugin *plugin = json_str(type) ? find_type(p, kind, json_str(type)) : NULL;
	const struct json *declared = plugin ? json_get(plugin->descriptor, json_str(type)) : NULL;
	for (size_t i = 0; declared && i < json_len(fields); i++) {
		if (is_secret(declared, json_key_at(fields, i)))
			redact_add_json(to, json_value_at(fields, i));
	}
}

void plugins_secrets(const struct plugins *p, const struct json *task, struct redact *to)
{
	const struct json *action = json_path(task, "config/service/action");
	const struct json *provider = json_path(task, "config/provider");
	add_declared(p, PLUGIN_PROVIDER, json_get(provider, "providertype"),
	             json_get(provider, "provisioner"), to);
	add_declared(p, PLUGIN_AUTOMATOR, json_get(action, "type"), json_get(action, "fields"), to);
	redact_add_json(to, json_path(task, "config/ssh-auth/password"));
}

void plugin_steps_fini(struct plugin_steps *s)
{
	loom_free(s->v);
	*s = (struct plugin_steps){ 0 };
}
