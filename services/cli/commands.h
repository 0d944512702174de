/* SPDX-License-Identifier: Apache-2.0 */
/* commands - the table of commands, and their functions. Each returns an exit code. */
#ifndef LOOM_CLI_COMMANDS_H
#define LOOM_CLI_COMMANDS_H

#include "services/cli/cli.h"

/* All commands; the last row has no words. */
struct commands {
	struct command *v;
	struct option *options; /* for the operations */
};
void commands_init(struct commands *c);
void commands_fini(struct commands *c);

/* A collection of administrators' documents; all are listed and shown alike. */
struct collection {
	const char *word;    /* "template", as in `loom template list` */
	const char *path;    /* "clustertemplates" */
	const char *heads;   /* heads of the list: "NAME|..." */
	const char *columns; /* paths of the columns: "name|defaults/provider" */
};

int collection_list(struct cli *c, const struct args *a);
int collection_show(struct cli *c, const struct args *a);

int cluster_create(struct cli *c, const struct args *a);
int cluster_plan(struct cli *c, const struct args *a);
int cluster_list(struct cli *c, const struct args *a);
int cluster_show(struct cli *c, const struct args *a);
int cluster_delete(struct cli *c, const struct args *a);
int cluster_watch(struct cli *c, const struct args *a);
int cluster_operation(struct cli *c, const struct args *a);
int cluster_control(struct cli *c, const struct args *a);
int cluster_services(struct cli *c, const struct args *a);
int cluster_why(struct cli *c, const struct args *a);
int cluster_extend(struct cli *c, const struct args *a);
int cluster_label(struct cli *c, const struct args *a);
int catalog_export(struct cli *c, const struct args *a);
int catalog_import(struct cli *c, const struct args *a);
int callback_list(struct cli *c, const struct args *a);
int callback_change(struct cli *c, const struct args *a);
int callback_target_set(struct cli *c, const struct args *a);
int callback_target_delete(struct cli *c, const struct args *a);
int provisioner_release(struct cli *c, const struct args *a);
int identity_login(struct cli *c, const struct args *a);
int identity_logout(struct cli *c, const struct args *a);
int identity_password(struct cli *c, const struct args *a);
int identity_whoami(struct cli *c, const struct args *a);
int role_set(struct cli *c, const struct args *a);
int role_delete(struct cli *c, const struct args *a);
int user_set(struct cli *c, const struct args *a);
int user_delete(struct cli *c, const struct args *a);
int token_list(struct cli *c, const struct args *a);
int token_create(struct cli *c, const struct args *a);
int token_delete(struct cli *c, const struct args *a);
int completion_print(struct cli *c, const struct args *a);
int doctor_show(struct cli *c, const struct args *a);
int status_show(struct cli *c, const struct args *a);
int tenant_create(struct cli *c, const struct args *a);
int tenant_set(struct cli *c, const struct args *a);
int tenant_delete(struct cli *c, const struct args *a);
int audit_list(struct cli *c, const struct args *a);
int audit_verify(struct cli *c, const struct args *a);
int task_list(struct cli *c, const struct args *a);
int task_log(struct cli *c, const struct args *a);

/* Builds the body of a create request from the options of `cluster create` and `cluster plan`; name
 * may be NULL. CLI_OK, or CLI_USAGE with err filled. */
LOOM_MUST_CHECK int create_body(const struct args *a, const char *name, struct json **ret,
                                struct loom_err *err);

/* If the body only has changes, applies them to the template's configuration. */
LOOM_MUST_CHECK int create_config(struct cli *c, const struct args *a, struct json *body);

/* Reads an option's JSON object, given in place or in a file (@FILE); *ret untouched without it. */
LOOM_MUST_CHECK int json_option(const struct args *a, const char *option, struct json **ret,
                                struct loom_err *err);

/* Does the command change a configuration, with --merge, --set or --unset? */
bool config_changes(const struct args *a);
/* Applies --merge, --set and --unset to --config, or else to the present configuration; present
 * NULL: not known yet. CLI_OK, or CLI_USAGE with err filled. */
LOOM_MUST_CHECK int config_option(const struct args *a, const struct json *present,
                                  struct json **ret, struct loom_err *err);
/* The same with a stored configuration (NULL: empty), as body's "config"; reports what is wrong. */
LOOM_MUST_CHECK int config_change(const struct args *a, const struct json *stored,
                                  struct json *body);

/* Collects each KEY=VALUE of an option, which may be repeated and have several, separated by
 * commas, into an object. CLI_OK, or CLI_USAGE with err filled. */
LOOM_MUST_CHECK int label_options(const struct args *a, const char *option, struct json *labels,
                                  struct loom_err *err);

/* Reads a file, "-" is stdin. 0, or a negative errno. */
LOOM_MUST_CHECK int cli_read_file(const char *path, struct buf *out);

/* The option for a field of an operation's request. */
struct operation_option {
	const char *field;
	struct option option;
};
extern const struct operation_option operation_options[]; /* ends with a NULL field */

/* Builds the body of an operation's plan from arguments and options; CLI_OK, or CLI_USAGE with err
 * filled. */
LOOM_MUST_CHECK int operation_body(const struct args *a, struct json **ret, struct loom_err *err);
/* The path for such a body, below the cluster's. Returns owned. */
struct operation_kind;
char *operation_path(const struct operation_kind *k, const char *id, const struct json *body);

/* The answer to a GET below /v2/, safe to be shown; NULL, without a message, on any failure: for
 * optional hints. Returns owned. */
struct json *meant_ask(struct cli *c, const char *below_v2);
/* After a refusal prints to stderr which name of a collection was probably meant, or how to list
 * them; nothing when name exists. meant_options() does it for names given by options. */
void meant_name(struct cli *c, const char *collection, const char *word, const char *name);
void meant_options(struct cli *c, const struct args *a);

/* Splits "a,b" into an array of names; NULL for NULL. Returns owned. */
struct json *split_names(const char *list);
/* Reads an option's duration, as 12h; a number without a unit is refused, but for 0. CLI_OK, with
 * *ret_ms untouched without the option, or CLI_USAGE with err filled. */
LOOM_MUST_CHECK int duration_option(const struct args *a, const char *option, int64_t *ret_ms,
                                    struct loom_err *err);
/* Parses a UTC time, with or without its Z, or ms since 1970 (12 digits or more: fewer are a year,
 * or seconds). CLI_OK or CLI_USAGE. */
LOOM_MUST_CHECK int time_parse(const char *s, int64_t *ret_ms);
/* Prints each node's tasks, with the tasks of other nodes that they wait for. */
void plan_print_tasks(const struct json *nodes, const struct json *tasks);

/* Formats a value for a table's cell: text, numbers, lists with commas, "-" for nothing. Returns
 * owned. */
char *cell_text(const struct json *v);
struct table;
/* Adds the values at these paths, "name|defaults/provider", each as a cell. */
void cells_add(struct table *t, const struct json *v, const char *paths);
/* "install web" from INSTALL and web; either may be NULL. Returns owned. */
char *cell_task(const char *action, const char *service);

#endif
