/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugins - the plugins of this provisioner: loads their descriptors, and chooses those for a task.
 *
 * A plugin is a folder <plugin_dir>/{providers,automators}/<name> with "plugin.json" and an
 * executable. A folder with an invalid descriptor is skipped, and the reason is logged; the others
 * work. Loaded once at start-up, never changed after.
 */
#ifndef LOOM_PROVISIONER_PLUGINS_H
#define LOOM_PROVISIONER_PLUGINS_H

#include "common/json/json.h"
#include "common/json/redact.h"

#include <stdbool.h>

enum plugin_kind { PLUGIN_PROVIDER, PLUGIN_AUTOMATOR, PLUGIN_KINDS_ };

struct plugin;
struct plugins;

/* One plugin run for a task. The plugin owns the strings. */
struct plugin_step {
	const struct plugin *plugin;
	const char *type;   /* "sandbox" */
	const char *action; /* "create" */
	int64_t timeout_ms;
};

struct plugin_steps {
	struct plugin_step *v;
	size_t n;
};

/* A plugin type to register. */
struct plugin_type {
	enum plugin_kind kind;
	const char *name;
	const struct json *descriptor; /* borrowed */
};

/* Reads one descriptor. dir must be absolute. 0, or positive with err filled. */
LOOM_MUST_CHECK int plugin_load(const char *dir, enum plugin_kind kind, struct plugin **ret,
                                struct loom_err *err);
void plugin_free(struct plugin *p);
const char *plugin_name(const struct plugin *p);
const char *plugin_dir(const struct plugin *p);
const char *plugin_exec(const struct plugin *p); /* absolute */

/* All plugins under dir; positive with err when there is not a single usable one. */
LOOM_MUST_CHECK int plugins_load(const char *dir, struct plugins **ret, struct loom_err *err);
void plugins_free(struct plugins *p);
size_t plugins_count(const struct plugins *p);
const struct plugin *plugins_at(const struct plugins *p, size_t i);
/* The i-th type over all plugins; false past the last. */
bool plugins_type_at(const struct plugins *p, size_t i, struct plugin_type *ret);

const char *plugin_folder(const struct plugin *p); /* "providers" or "automators" */

/* "providertypes" or "automatortypes". */
const char *plugin_kind_path(enum plugin_kind kind);

/* The plugin runs for a taken task, in order; none is possible and means success. 0, or positive
 * with err saying why this provisioner cannot do the task. */
LOOM_MUST_CHECK int plugins_choose(const struct plugins *p, const struct json *task,
                                   struct plugin_steps *ret, struct loom_err *err);
void plugin_steps_fini(struct plugin_steps *s);
/* Adds a task's secrets: fields that its plugin types declare secret, and its node's password. */
void plugins_secrets(const struct plugins *p, const struct json *task, struct redact *to);

LOOM_DEFINE_CLEANUP(struct plugin *, plugin_free)
LOOM_DEFINE_CLEANUP(struct plugins *, plugins_free)

#endif
