/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the command line of a service, and answers --help and its siblings. */
#include "common/service/service_args.h"

#include "common/base/str.h"
#include "common/base/version.h"
#include "common/service/service_probe.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GO_ON = -1, MAX_FLAG = 64 };

const struct config_key service_log_keys[] = {
	{ "log_level", CFG_STR, offsetof(struct log_settings, level), "info", 0, 0, CFG_RELOAD,
	  "debug, info, warn or error" },
	{ "log_format", CFG_STR, offsetof(struct log_settings, format), "logfmt", 0, 0, CFG_RELOAD,
	  "logfmt or json" },
	{ "drain_delay", CFG_DURATION, offsetof(struct log_settings, drain_delay_ms), "0", 0, 60000,
	  0, "between saying no at /readyz and refusing connections: the load balancer's time" },
	{ "otlp_endpoint", CFG_STR, offsetof(struct log_settings, otlp_endpoint), "", 0, 0, 0,
	  "collector of traces, by OTLP over HTTP, as http://localhost:4318; empty: none" },
	{ "watchdog_ms", CFG_DURATION, offsetof(struct log_settings, watchdog_ms), "0", 0, 600000,
	  0, "ends a process whose main loop hangs for so long; 0: systemd does that" },
	{ 0 },
};

struct args {
	const char *config;
	bool check, print, ready;
	const char *command; /* the command's value; NULL: it was not given */
};

int service_log_settings(const struct log_settings *s, enum log_level *ret_level, bool *ret_json,
                         struct loom_err *err)
{
	if (!log_level_parse(s->level, ret_level))
		return err_set(err, 400, "log_level: \"%s\" is not debug, info, warn or error",
		               s->level);
	*ret_json = str_eq(s->format, "json");
	if (!*ret_json && !str_eq(s->format, "logfmt"))
		return err_set(err, 400, "log_format: \"%s\" is not logfmt or json", s->format);
	return spans_endpoint_check(s->otlp_endpoint, err);
}

static int usage_error(const struct service_def *def, const char *problem, const char *arg)
{
	fprintf(stderr, "%s: %s: %s (--help lists what there is)\n", def->name, problem, arg);
	return SERVICE_EXIT_USAGE;
}

static int unknown_flag(const struct service_def *def, const struct config_table *tables,
                        const char *arg)
{
	size_t dashes = strspn(arg, "-"), n = strcspn(arg, "=");
	LOOM_CLEANUP_STR char *name = loom_strndup(arg + dashes, n > dashes ? n - dashes : 0);
	const char *meant = config_meant(tables, name);
	LOOM_CLEANUP_STR char *told =
		meant ? loom_asprintf("%s; did you mean --%s?", arg, meant) : loom_strdup(arg);
	for (char *p = told + strlen(arg); (p = strchr(p, '_'));)
		*p = '-';
	return usage_error(def, "unknown flag", told);
}

static int config_error(const struct service_def *def, const struct loom_err *err)
{
	fprintf(stderr, "%s: %s\n", def->name, err->msg);
	return SERVICE_EXIT_CONFIG;
}

static int help(const struct service_def *def, const struct config_table *tables)
{
	printf("%s - %s\n\n"
	       "Usage: %s [--config FILE] [--KEY=VALUE ...]\n\n"
	       "  --config FILE    read FILE (lines of `key = value`)\n"
	       "  --check-config   say whether the configuration is right, and exit\n"
	       "  --print-config   print the configuration in force, secrets masked, and exit\n"
	       "  --check-ready    ask the one that runs with this configuration whether it is ready\n",
	       def->name, def->summary, def->name);
	if (def->command)
		printf("  %s\n                   %s\n", def->command->usage, def->command->help);
	printf("  --help           this text\n"
	       "  --version        versions of the program and its libraries\n\n"
	       "Each key is also an environment variable (LOOM_ and the key in upper case) and a\n"
	       "flag (-- and the key, '-' for '_'). Flags win over environment over file.\n"
	       "SIGHUP reads them again; what may change while it runs is marked.\n\n");
	config_help(tables, stdout);
	return EXIT_SUCCESS;
}

static int version(const struct service_def *def)
{
	printf("%s %s %s (libevent %s, %s)\n", def->name, loom_version, loom_commit,
	       event_get_version(), curl_version());
	return EXIT_SUCCESS;
}

static bool is_key(const struct config_table *tables, const char *name,
                   const struct config_key **ret)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (str_eq(k->name, name)) {
				*ret = k;
				return true;
			}
		}
	}
	return false;
}

/* Turns "--db-host" or "--db-host=V" into "db_host"; false if it cannot be one of our flags. */
static bool flag_name(const char *arg, char out[MAX_FLAG])
{
	size_t n = strcspn(arg, "=");
	if (n < 3 || n - 2 >= MAX_FLAG || strncmp(arg, "--", 2) != 0 || memchr(arg, '_', n))
		return false;
	memcpy(out, arg + 2, n - 2);
	out[n - 2] = '\0';
	for (char *p = out; (p = strchr(p, '-'));)
		*p = '_';
	return true;
}

/* The value of argv[*i]: after '=', or the next argument; NULL if there is none. */
static const char *flag_value(int argc, char **argv, int *i)
{
	const char *eq = strchr(argv[*i], '=');
	if (eq)
		return eq + 1;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

/* The value of the service's own command, "" if absent; NULL: arg is not that command. */
static const char *command_value(const struct service_def *def, const char *arg)
{
	if (!def->command || !str_starts(arg, def->command->flag))
		return NULL;
	const char *rest = arg + strlen(def->command->flag);
	return *rest == '=' ? rest + 1 : *rest ? NULL : rest;
}

static int set_flag(const struct service_def *def, const struct config_table *tables, int argc,
                    char **argv, int *i)
{
	const char *arg = argv[*i];
	const struct config_key *key;
	char name[MAX_FLAG];
	struct loom_err err;
	if (arg[0] != '-')
		return usage_error(def, "unexpected argument", arg);
	if (!flag_name(arg, name) || !is_key(tables, name, &key))
		return unknown_flag(def, tables, arg);
	/* A switch may stand alone; only "=" sets it to another value. */
	const char *value =
		key->type == CFG_BOOL && !strchr(arg, '=') ? "true" : flag_value(argc, argv, i);
	if (!value)
		return usage_error(def, "flag without a value", arg);
	if (config_set(tables, name, value, &err)) {
		fprintf(stderr, "%s: %s: %s\n", def->name, arg, err.msg);
		return SERVICE_EXIT_CONFIG;
	}
	return GO_ON;
}

/* Handles flags that do not need the configuration, and remembers --config. */
static int first_pass(const struct service_def *def, const struct config_table *tables, int argc,
                      char **argv, struct args *a)
{
	for (int i = 1; i < argc; i++) {
		const struct config_key *key;
		char name[MAX_FLAG];
		if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
			return help(def, tables);
		if (str_eq(argv[i], "--version"))
			return version(def);
		a->check |= str_eq(argv[i], "--check-config");
		a->print |= str_eq(argv[i], "--print-config");
		a->ready |= str_eq(argv[i], "--check-ready");
		a->command = command_value(def, argv[i]) ? command_value(def, argv[i]) : a->command;
		if (!flag_name(argv[i], name) || strchr(argv[i], '='))
			name[0] = '\0';
		if (str_eq(argv[i], "--config") || str_starts(argv[i], "--config=")) {
			a->config = flag_value(argc, argv, &i);
			if (!a->config || !*a->config)
				return usage_error(def, "flag without a value", "--config");
		} else if (is_key(tables, name, &key) && key->type != CFG_BOOL) {
			i++; /* the next argument is its value, even if it looks like a flag */
		}
	}
	return GO_ON;
}

static int second_pass(const struct service_def *def, const struct config_table *tables, int argc,
                       char **argv)
{
	int rc = GO_ON;
	for (int i = 1; i < argc && rc == GO_ON; i++) {
		if (str_eq(argv[i], "--check-config") || str_eq(argv[i], "--print-config") ||
		    str_eq(argv[i], "--check-ready") || command_value(def, argv[i]))
			continue;
		if (str_eq(argv[i], "--config"))
			i++;
		else if (!str_starts(argv[i], "--config="))
			rc = set_flag(def, tables, argc, argv, &i);
	}
	return rc;
}

static int check_log_settings(const struct config_table *tables, struct loom_err *err)
{
	enum log_level level;
	bool json;
	for (const struct config_table *t = tables; t->keys; t++) {
		if (t->keys == service_log_keys)
			return service_log_settings(t->base, &level, &json, err);
	}
	return 0;
}

static int load(const struct config_table *tables, const struct args *a, struct loom_err *err)
{
	int rc = config_defaults(tables, err);
	if (!rc && a->config)
		rc = config_load_file(tables, a->config, err);
	return rc ? rc : config_load_env(tables, err);
}

int service_args_again(const struct service_def *def, const struct config_table *twin, int argc,
                       char **argv, struct loom_err *err)
{
	struct args a = { 0 };
	int rc = first_pass(def, twin, argc, argv, &a) != GO_ON ? 1 : load(twin, &a, err);
	if (!rc && second_pass(def, twin, argc, argv) != GO_ON)
		rc = err_set(err, 0, "the command line is not right");
	if (!rc)
		rc = config_check(twin, err);
	return rc ? rc : check_log_settings(twin, err);
}

int service_args(const struct service_def *def, const struct config_table *tables, int argc,
                 char **argv)
{
	struct args a = { 0 };
	struct loom_err err = { 0 };
	int rc = first_pass(def, tables, argc, argv, &a);
	if (rc != GO_ON)
		return rc;
	if (load(tables, &a, &err))
		return config_error(def, &err);
	rc = second_pass(def, tables, argc, argv);
	if (rc != GO_ON)
		return rc;
	if (config_check(tables, &err) || check_log_settings(tables, &err))
		return config_error(def, &err);
	if (a.check && def->check && def->check(def->ctx, &err))
		return config_error(def, &err);
	if (a.ready)
		return service_probe(def->name, tables);
	if (a.print)
		config_print(tables, stdout);
	else if (a.check)
		printf("%s: the configuration is right\n", def->name);
	if (a.print || a.check)
		return EXIT_SUCCESS;
	if (!a.command)
		return GO_ON;
	log_setup(def->name, LOG_LV_WARN, false);
	return def->command->run(def->ctx, a.command);
}
