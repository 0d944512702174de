/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a cluster: options that set them in a new one, columns of the list, lines of show.
 */
#include "services/cli/cluster_fields.h"

#include "services/cli/commands.h"

#include "common/base/clock.h"

/* ---- a new cluster --------------------------------------------------------------------------- */

#define LAYOUT_OPTIONS                                                                         \
	{ "template", 't', "T", "cluster template (needed)" },                                 \
		{ "size", 'n', "N", "number of nodes (needed)" },                              \
		{ "provider", 0, "P", "provider of the nodes; default: the template's" },      \
		{ "services", 0, "A,B", "services; default: the template's" },                 \
		{ "hardware", 0, "H", "hardware type of all nodes; default: the template's" }, \
		{ "image", 0, "I", "image type of all nodes; default: the template's" },       \
		{ "config", 0, "JSON|@FILE",                                                   \
		  "configuration, instead of the template's (@-: stdin)" },                    \
		CONFIG_CHANGES("the template's configuration"),                                \
		{ "provider-fields", 0, "JSON|@FILE", "fields that the provider asks for" },   \
	{                                                                                      \
		"dns-suffix", 0, "NAME", "domain of the nodes' names"                          \
	}

const struct option cluster_create_options[] = {
	LAYOUT_OPTIONS,
	{ "lease", 0, "TIME", "lifetime: 12h, 7d ...; 0: unlimited; default: the template's" },
	{ "description", 0, "TEXT", "a line of text for people" },
	{ "label", 'l', "K=V", "set a label, as env=test; several with commas or by repeating it" },
	{ "on-failure", 0, "keep|rollback",
	  "what to do with its nodes if the create fails; default: keep" },
	{ "wait", 'w', NULL, "watch until it is active" },
	{ 0 },
};
const struct option cluster_plan_options[] = { LAYOUT_OPTIONS, { 0 } };

/* Adds the option's value to the request's body; does nothing without the option. */
typedef int (*set_member)(const struct args *a, const char *option, struct json *body,
                          const char *member, struct loom_err *err);

static int set_text(const struct args *a, const char *option, struct json *body, const char *member,
                    struct loom_err *err LOOM_UNUSED)
{
	json_set_str(body, member, args_get(a, option));
	return 0;
}

static int set_names(const struct args *a, const char *option, struct json *body,
                     const char *member, struct loom_err *err LOOM_UNUSED)
{
	json_set(body, member, split_names(args_get(a, option)));
	return 0;
}

static int set_object(const struct args *a, const char *option, struct json *body,
                      const char *member, struct loom_err *err)
{
	struct json *v = NULL;
	int rc = json_option(a, option, &v, err);
	json_set(body, member, v);
	return rc;
}

/* Changes are only checked here: they apply to the template's configuration, which is not known
 * yet. */
static int set_config(const struct args *a, const char *option, struct json *body,
                      const char *member, struct loom_err *err)
{
	struct json *v = NULL;
	if (!args_has(a, option) && !config_changes(a))
		return 0;
	int rc = config_option(a, NULL, &v, err);
	json_set(body, member, v);
	return rc;
}

static int set_template(const struct args *a, const char *option, struct json *body,
                        const char *member, struct loom_err *err)
{
	if (!args_has(a, option))
		return err_set(err, CLI_USAGE,
		               "--template T is needed (loom template list says which there are)");
	return set_text(a, option, body, member, err);
}

static int set_lease(const struct args *a, const char *option, struct json *body,
                     const char *member, struct loom_err *err)
{
	int64_t ms = -1;
	int rc = duration_option(a, option, &ms, err);
	if (!rc && ms >= 0)
		json_set_int(body, member, ms);
	return rc;
}

static int set_size(const struct args *a, const char *option, struct json *body, const char *member,
                    struct loom_err *err)
{
	const char *size = args_get(a, option);
	int64_t n;
	if (!size)
		return err_set(err, CLI_USAGE, "--size N is needed: the number of nodes");
	if (str_to_int(size, &n) != 0 || n < 1)
		return err_set(err, CLI_USAGE, "--size is a number from 1, not '%s'", size);
	json_set_int(body, member, n);
	return 0;
}

static int set_labels(const struct args *a, const char *option, struct json *body,
                      const char *member, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *labels = json_new_obj();
	int rc = label_options(a, option, labels, err);
	if (!rc && json_len(labels))
		json_set(body, member, loom_take(labels));
	return rc;
}

static const struct {
	const char *option, *member;
	set_member set;
} members[] = {
	{ "template", "clusterTemplate", set_template },
	{ "size", "numMachines", set_size },
	{ "description", "description", set_text },
	{ "lease", "initialLeaseDuration", set_lease },
	{ "config", "config", set_config },
	{ "provider-fields", "providerFields", set_object },
	{ "provider", "provider", set_text },
	{ "services", "services", set_names },
	{ "hardware", "hardwaretype", set_text },
	{ "image", "imagetype", set_text },
	{ "dns-suffix", "dnsSuffix", set_text },
	{ "on-failure", "onFailure", set_text },
	{ "label", "labels", set_labels },
};

int create_body(const struct args *a, const char *name, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *body = json_set_str(json_new_obj(), "name", name);
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(members); i++)
		rc = members[i].set(a, members[i].option, body, members[i].member, err);
	if (!rc)
		*ret = loom_take(body);
	return rc;
}

/* ---- what is shown of one -------------------------------------------------------------------- */

static char *text_at(const struct json *v, const char *path)
{
	const struct json *at = json_path(v, path);
	const char *text = json_str(at);
	return text ? (*text ? loom_strdup(text) : NULL) : json_len(at) ? cell_text(at) : NULL;
}

static char *time_at(const struct json *v, const char *path)
{
	int64_t ms = 0;
	char text[32];
	if (!json_int(json_path(v, path), &ms) || !ms)
		return NULL;
	clock_format(ms, text);
	return loom_asprintf("%.19sZ", text);
}

static char *age_at(const struct json *v, const char *path)
{
	int64_t created = 0;
	(void)json_int(json_path(v, path), &created);
	int64_t s = (clock_wall_ms() - created) / 1000;
	if (s < 0 || !created)
		return NULL;
	if (s < 120)
		return loom_asprintf("%lld s", (long long)s);
	if (s < 7200)
		return loom_asprintf("%lld min", (long long)s / 60);
	return s < 172800 ? loom_asprintf("%lld h", (long long)s / 3600)
	                  : loom_asprintf("%lld d", (long long)s / 86400);
}

/* The progress of a running job; for a failed one the reason, in its own words. */
static char *progress_at(const struct json *v, const char *path)
{
	const struct json *p = json_path(v, path);
	const char *action = json_get_str(p, "action"), *status = json_get_str(v, "status");
	const char *why = json_get_str(v, "message");
	bool unwell = str_eq(status, "incomplete") || str_eq(status, "inconsistent");
	if (!action || !(unwell || str_eq(status, "pending")))
		return NULL;
	return loom_asprintf("%s %lld/%lld%s%s", action,
	                     (long long)json_get_int(p, "stepscompleted", 0),
	                     (long long)json_get_int(p, "stepstotal", 0), unwell && why ? ": " : "",
	                     unwell && why ? why : "");
}

/* "env=test,team=web" */
static char *labels_at(const struct json *v, const char *path)
{
	const struct json *labels = json_path(v, path);
	LOOM_CLEANUP(strs_fini) struct strs parts = { 0 };
	for (size_t i = 0; i < json_len(labels); i++)
		strs_addf(&parts, "%s=%s", json_key_at(labels, i),
		          json_str(json_value_at(labels, i)));
	return parts.n ? strs_join(&parts, ",") : NULL;
}

const struct cluster_field cluster_columns[] = {
	{ "ID", "id", text_at },
	{ "NAME", "name", text_at },
	{ "STATUS", "status", text_at },
	{ "NODES", "numNodes", text_at },
	{ "TEMPLATE", "clusterTemplate/name", text_at },
	{ "OWNER", "ownerId", text_at },
	{ "AGE", "createTime", age_at },
	{ "PROGRESS", "progress", progress_at },
	{ "LABELS", "labels", labels_at },
	{ 0 },
};

const struct cluster_field cluster_lines[] = {
	{ "id", "id", text_at },
	{ "name", "name", text_at },
	{ "about", "description", text_at },
	{ "status", "status", text_at },
	{ "message", "message", text_at },
	{ "owner", "account/userId", text_at },
	{ "template", "clusterTemplate/name", text_at },
	{ "provider", "provider/name", text_at },
	{ "services", "services", text_at },
	{ "labels", "labels", labels_at },
	{ "created", "createTime", time_at },
	{ "expires", "expireTime", time_at },
	{ 0 },
};
