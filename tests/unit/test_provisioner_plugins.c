/* SPDX-License-Identifier: Apache-2.0 */
#include "services/provisioner/files.h"
#include "services/provisioner/plugins.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXEC    "\"exec\":\"run.sh\""
#define ACTIONS "\"actions\":{\"create\":{\"timeout\":5}}"
#define TYPE    "\"t\":{\"name\":\"t\"}"
#define TYPES   "\"providertypes\":[\"t\"]," TYPE

static char base[64];

static void set_up(void)
{
	(void)snprintf(base, sizeof(base), "/tmp/loom-plugins-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	log_setup("test", LOG_LV_ERROR, false);
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(quiet, 0);
	log_set_fd(quiet);
}

static void tear_down(void)
{
	ck_assert_int_eq(files_remove_tree(base), 0);
}

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* Returns the plugin's folder, owned. */
static char *make_plugin(const char *folder, const char *name, const char *descriptor)
{
	char *dir = loom_asprintf("%s/%s/%s", base, folder, name);

	ck_assert_int_eq(files_make_dir(dir), 0);
	write_file(dir, "run.sh", "#!/bin/sh\n", 0755);
	write_file(dir, "data", "", 0644);
	write_file(dir, "plugin.json", descriptor, 0644);
	return dir;
}

static const struct {
	const char *descriptor, *says;
} bad[] = {
	{ "", "line" },
	{ "{\"name\":\"a\"", "line" },
	{ "[]", "must hold an object" },
	{ "{}", "\"name\"" },
	{ "{\"name\":5e3,\"x\":[{}]}", "\"exec\"" },
	{ "{\"name\":\"../a\"}", "\"name\"" },
	{ "{\"name\":\"..\"}", "\"name\"" },
	{ "{\"name\":\"a\"}", "\"exec\"" },
	{ "{\"name\":\"a\",\"exec\":\"\"}", "\"exec\"" },
	{ "{\"name\":\"a\",\"exec\":\"../run.sh\"}", "\"exec\"" },
	{ "{\"name\":\"a\",\"exec\":\"/bin/sh\"}", "\"exec\"" },
	{ "{\"name\":\"a\",\"exec\":\"data\"}", "data is no executable" },
	{ "{\"name\":\"a\",\"exec\":\"nothing\"}", "nothing is no executable" },
	{ "{\"name\":\"a\"," EXEC "}", "\"actions\"" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{}}", "\"actions\"" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":[\"create\"]}", "\"actions\"" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"fly\":{\"timeout\":1}}}", "\"fly\"" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"create\":{}}}", "timeout" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"create\":{\"timeout\":0}}}", "timeout" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"create\":{\"timeout\":-1}}}", "timeout" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"create\":{\"timeout\":86401}}}", "timeout" },
	{ "{\"name\":\"a\"," EXEC ",\"actions\":{\"create\":5}}", "timeout" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS "}", "\"providertypes\"" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS ",\"providertypes\":[]}", "\"providertypes\"" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS ",\"providertypes\":[{}]}", "must list names" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS ",\"providertypes\":[\"t/x\"]}", "must list names" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS ",\"providertypes\":[\"t\"]}",
	  "no object of that name" },
	{ "{\"name\":\"a\"," EXEC "," ACTIONS ",\"providertypes\":[\"t\"],\"t\":{\"name\":\"u\"}}",
	  "must be \"t\"" },
	{ "{\"name\":\"a\",\"name\":\"b\"," EXEC "," ACTIONS "," TYPES "}", "line" },
};

START_TEST(refuses_bad_descriptors)
{
	LOOM_CLEANUP_STR char *dir = make_plugin("providers", "p", bad[_i].descriptor);
	struct plugin *p = NULL;
	struct loom_err err = { 0 };

	ck_assert_int_gt(plugin_load(dir, PLUGIN_PROVIDER, &p, &err), 0);
	ck_assert_ptr_null(p);
	ck_assert_msg(strstr(err.msg, bad[_i].says), "%s: %s", bad[_i].descriptor, err.msg);
}
END_TEST

START_TEST(loads_a_good_one)
{
	LOOM_CLEANUP_STR char *dir =
		make_plugin("providers", "p",
	                    "{\"name\":\"a\"," EXEC "," ACTIONS
	                    ",\"providertypes\":[\"t\"],\"t\":{\"label\":\"T\"}}");
	LOOM_CLEANUP_STR char *exec = loom_asprintf("%s/run.sh", dir);
	LOOM_CLEANUP(plugin_free) struct plugin *p = NULL;
	struct loom_err err = { 0 };

	ck_assert_msg(plugin_load(dir, PLUGIN_PROVIDER, &p, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(plugin_name(p), "a");
	ck_assert_str_eq(plugin_dir(p), dir);
	ck_assert_str_eq(plugin_exec(p), exec);
	ck_assert_str_eq(plugin_folder(p), "providers");
}
END_TEST

static void make_set(void)
{
	loom_free(make_plugin(
		"providers", "cloud",
		"{\"name\":\"cloud\"," EXEC
		",\"actions\":{\"create\":{\"timeout\":5},\"delete\":{\"timeout\":7}},"
		"\"providertypes\":[\"c1\",\"c2\"],\"c1\":{},\"c2\":{\"name\":\"c2\","
		"\"parameters\":{\"admin\":{\"fields\":{\"token\":{\"sensitive\":true},\"url\":{}}},"
		"\"user\":{\"fields\":{\"pass\":{\"type\":\"password\"}}}}}}"));
	loom_free(make_plugin(
		"automators", "shell",
		"{\"name\":\"shell\"," EXEC
		",\"actions\":{\"bootstrap\":{\"timeout\":2},\"install\":{\"timeout\":3}},"
		"\"automatortypes\":[\"shell\"],\"shell\":{}}"));
	loom_free(make_plugin("automators", "chef",
	                      "{\"name\":\"chef\"," EXEC
	                      ",\"actions\":{\"install\":{\"timeout\":3}},"
	                      "\"automatortypes\":[\"chef\"],\"chef\":{\"parameters\":{\"admin\":{"
	                      "\"fields\":{\"license\":{\"type\":\"password\"}}}}}}"));
}

static struct plugins *load_set(void)
{
	struct plugins *p = NULL;
	struct loom_err err = { 0 };

	ck_assert_msg(plugins_load(base, &p, &err) == 0, "%s", err.msg);
	return p;
}

START_TEST(a_bad_plugin_spoils_no_other)
{
	struct plugins *none = NULL;
	struct plugin_type type;
	struct loom_err err = { 0 };
	size_t types = 0;

	ck_assert_int_gt(plugins_load(base, &none, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "no usable plugin"));
	ck_assert_int_gt(plugins_load("/nonexistent/x", &none, &err), 0);
	loom_free(make_plugin("providers", "broken", "{"));
	loom_free(make_plugin("providers", "zz-clash",
	                      "{\"name\":\"z\"," EXEC "," ACTIONS
	                      ",\"providertypes\":[\"c1\"],\"c1\":{}}"));
	make_set();
	LOOM_CLEANUP(plugins_free) struct plugins *p = load_set();
	ck_assert_uint_eq(plugins_count(p), 3);
	ck_assert_ptr_null(plugins_at(p, 3));
	while (plugins_type_at(p, types, &type)) {
		ck_assert_str_eq(json_get_str(type.descriptor, "name"), type.name);
		types++;
	}
	ck_assert_uint_eq(types, 4);
}
END_TEST

static const struct {
	const char *task;
	const char *want; /* "plugin.action.timeout ..." or what the error says */
	bool fails;
} choices[] = {
	{ "{\"taskName\":\"CREATE\",\"config\":{\"provider\":{\"providertype\":\"c2\"}}}",
	  "cloud.create.5000", false },
	{ "{\"taskName\":\"delete\",\"config\":{\"provider\":{\"providertype\":\"c1\"}}}",
	  "cloud.delete.7000", false },
	{ "{\"taskName\":\"CONFIRM\",\"config\":{\"provider\":{\"providertype\":\"c1\"}}}",
	  "no action \"confirm\"", true },
	{ "{\"taskName\":\"CREATE\",\"config\":{\"provider\":{\"providertype\":\"shell\"}}}",
	  "no plugin for provider type \"shell\"", true },
	{ "{\"taskName\":\"CREATE\",\"config\":{}}", "names no provider type", true },
	{ "{\"taskName\":\"CREATE\"}", "names no provider type", true },
	{ "{\"taskName\":\"INSTALL\",\"config\":{\"service\":{\"action\":{\"type\":\"chef\"}}}}",
	  "chef.install.3000", false },
	{ "{\"taskName\":\"INSTALL\",\"config\":{\"service\":{\"action\":{\"type\":\"x\"}}}}",
	  "automator type \"x\"", true },
	{ "{\"taskName\":\"START\",\"config\":{\"service\":{\"action\":{\"type\":\"chef\"}}}}",
	  "no action \"start\"", true },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{\"automators\":[\"chef\",\"shell\"]}}",
	  "shell.bootstrap.2000", false },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{\"automators\":[\"shell\",\"shell\"]}}",
	  "shell.bootstrap.2000 shell.bootstrap.2000", false },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{\"automators\":[]}}", "", false },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{}}", "", false },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{\"automators\":[\"puppet\"]}}",
	  "automator type \"puppet\"", true },
	{ "{\"taskName\":\"BOOTSTRAP\",\"config\":{\"automators\":[{}]}}", "names no automator",
	  true },
	{ "{\"taskName\":\"REBOOT\",\"config\":{}}", "no task \"REBOOT\"", true },
	{ "{\"config\":{}}", "no task \"\"", true },
	{ "[]", "no task", true },
};

START_TEST(chooses_by_task)
{
	LOOM_CLEANUP(json_free) struct json *task = NULL;
	LOOM_CLEANUP(strs_fini) struct strs got = { 0 };
	struct plugin_steps steps = { 0 };
	struct loom_err err = { 0 };

	make_set();
	LOOM_CLEANUP(plugins_free) struct plugins *p = load_set();
	ck_assert_int_eq(json_parse_str(choices[_i].task, &task, NULL), 0);
	int r = plugins_choose(p, task, &steps, &err);
	if (choices[_i].fails) {
		ck_assert_int_gt(r, 0);
		ck_assert_msg(strstr(err.msg, choices[_i].want), "%s", err.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", err.msg);
	for (size_t i = 0; i < steps.n; i++)
		strs_addf(&got, "%s.%s.%d", plugin_name(steps.v[i].plugin), steps.v[i].action,
		          (int)steps.v[i].timeout_ms);
	LOOM_CLEANUP_STR char *text = strs_join(&got, " ");
	ck_assert_str_eq(text, choices[_i].want);
	plugin_steps_fini(&steps);
}
END_TEST

/* By what the plugins' own types declare. */
static const struct {
	const char *task, *want;
} told[] = {
	{ "{'config':{'provider':{'providertype':'c2','provisioner':"
	  "{'token':'tokens','url':'letters','pass':'passes'}}}}",
	  "******** letters ******** masters hosting" },
	{ "{'config':{'provider':{'providertype':'c1','provisioner':{'token':'tokens'}}}}",
	  "tokens letters passes masters hosting" },
	{ "{'config':{'service':{'action':{'type':'chef','fields':{'license':'masters','x':'tokens'}}},"
	  "'provider':{'providertype':'c3','provisioner':{'token':'tokens'}}}}",
	  "tokens letters passes ******** hosting" },
	{ "{'config':{'ssh-auth':{'user':'letters','password':'hosting'}}}",
	  "tokens letters passes masters ********" },
	{ "{}", "tokens letters passes masters hosting" },
};

START_TEST(knows_what_is_secret_of_a_task)
{
	LOOM_CLEANUP(json_free) struct json *task = unit_json(told[_i].task);
	LOOM_CLEANUP(redact_destroy) struct redact *r = redact_create();
	make_set();
	LOOM_CLEANUP(plugins_free) struct plugins *p = load_set();
	plugins_secrets(p, task, r);
	redact_compile(r);
	LOOM_CLEANUP_STR char *text = redact_text(r, "tokens letters passes masters hosting");
	ck_assert_str_eq(text, told[_i].want);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("plugins");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, refuses_bad_descriptors, 0, (int)LOOM_COUNT(bad));
	tcase_add_test(tc, loads_a_good_one);
	tcase_add_test(tc, a_bad_plugin_spoils_no_other);
	tcase_add_loop_test(tc, chooses_by_task, 0, (int)LOOM_COUNT(choices));
	tcase_add_loop_test(tc, knows_what_is_secret_of_a_task, 0, (int)LOOM_COUNT(told));
	return UNIT_RUN("provisioner_plugins", tc);
}
