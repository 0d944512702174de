/* SPDX-License-Identifier: Apache-2.0 */
/* commands - the rows of all commands; rows for operations on clusters are made from the table that
 * the API uses. */
#include "services/cli/commands.h"

#include "services/cli/cluster_fields.h"

#include "common/operation/operation.h"

#include <string.h>

static const struct option list_options[] = {
	{ "all", 'a', NULL, "include terminated clusters" },
	{ "status", 0, "A,B", "only these: pending active incomplete inconsistent terminated" },
	{ "label", 'l', "K=V", "only clusters with this label; several must all match" },
	{ 0 },
};
static const struct option delete_options[] = {
	{ "yes", 'y', NULL, "do not ask" },
	{ "provider-fields", 0, "JSON|@FILE", "fields that the provider asks for" },
	{ "wait", 'w', NULL, "watch until it is terminated" },
	{ 0 },
};
static const struct option task_list_options[] = {
	{ "failed", 0, NULL, "only attempts that failed" },
	{ 0 },
};
static const struct option log_options[] = {
	{ "follow", 'f', NULL, "follow it until the attempt has ended" },
	{ "attempt", 0, "N", "which attempt; default: the last" },
	{ "tail", 0, "BYTES", "only the last BYTES" },
	{ "raw", 0, NULL, "print the bytes unchanged; default: escape control characters" },
	{ 0 },
};

static const struct option watch_options[] = {
	{ "history", 0, NULL, "print all earlier events, too; default: its state, and new events" },
	{ 0 },
};
static const struct option wait_options[] = {
	{ "wait", 'w', NULL, "watch until the cluster is at rest" },
	{ 0 },
};
static const struct option callback_options[] = {
	{ "dead", 0, NULL, "only callbacks that were given up" },
	{ 0 },
};
static const struct option target_options[] = {
	{ "events", 0, "A,B", "of start success failure lease_warning lease_expired (needed)" },
	{ "triggers", 0, "A,B", "only for these operations, as cluster_create; default: all" },
	{ "veto", 0, NULL, "ask the target before a job starts; it may refuse" },
	{ "secret-file", 0, "FILE", "sign with the secret in FILE (-: stdin); default: unchanged" },
	{ "no-secret", 0, NULL, "do not sign any more" },
	{ 0 },
};
static const struct option export_options[] = {
	{ "secrets", 0, NULL, "include the secrets, sealed with --passphrase-file" },
	{ "passphrase-file", 0, "FILE", "a line of 12 characters or more" },
	{ 0 },
};
static const struct option import_options[] = {
	{ "passphrase-file", 0, "FILE", "passphrase of the secrets in FILE" },
	{ "dry-run", 0, NULL, "only show what would be done" },
	{ 0 },
};
static const struct option extend_options[] = {
	{ "until", 0, "TIME", "new end: 2030-01-31T18:00Z, in UTC" },
	{ "by", 0, "DURATION", "extend the present end: 2h, 7d" },
	{ 0 },
};

static const struct option login_options[] = {
	{ "password-file", 0, "FILE", "file with the password (-: stdin); default: prompt" },
	{ 0 },
};
static const struct option password_options[] = {
	{ "old-file", 0, "FILE", "file with the old password; default: prompt" },
	{ "new-file", 0, "FILE", "file with the new password; default: prompt" },
	{ 0 },
};
static const struct option user_options[] = {
	{ "role", 0, "ROLE",
	  "user auditor admin provisioner, or one of the tenant's own (needed)" },
	{ "password", 0, NULL, "prompt for the user's password" },
	{ "password-file", 0, "FILE", "file with the password (-: stdin)" },
	{ "no-password", 0, NULL, "remove the password: tokens only" },
	{ 0 },
};
static const struct option token_list_options[] = {
	{ "of", 0, "USER", "only this user's" },
	{ 0 },
};
static const struct option token_options[] = {
	{ "of", 0, "USER", "for another user of the tenant (administrators)" },
	{ "scopes", 0, "A,B", "permit only these, as clusters:write,catalog:read; default: all" },
	{ "role", 0, "ROLE", "narrow it to this role of the tenant, in addition to its user's" },
	{ "expires", 0, "DURATION", "lifetime, as 90d; default: unlimited" },
	{ 0 },
};
static const struct option role_options[] = {
	{ "base", 0, "ROLE", "user, auditor or admin: the role to narrow (needed)" },
	{ "permissions", 0, "A,B", "permit only these, as clusters:read,clusters:stop (needed)" },
	{ "templates", 0, "A,B",
	  "change only clusters of these templates, as web-*; default: all" },
	{ "providers", 0, "A,B", "the same for providers" },
	{ "description", 0, "TEXT", "for people" },
	{ 0 },
};

static const struct option tenant_options[] = {
	{ "bootstrap", 0, NULL, "copy the documents of superadmin to a new tenant" },
	{ 0 },
};
static const struct option tenant_set_options[] = {
	{ "max-clusters", 0, "N", "limit of clusters" },
	{ "max-nodes", 0, "N", "limit of nodes" },
	{ "workers", 0, "N", "workers at provisioners of the original" },
	{ "description", 0, "TEXT", "for people" },
	{ 0 },
};
static const struct option audit_options[] = {
	{ "by", 0, "USER", "only by this user" },
	{ "object", 0, "OBJECT", "only about this: providers/lab, clusters/00000012" },
	{ "action", 0, "TEXT", "only actions that start with TEXT: DELETE, or PUT /v2/providers" },
	{ "outcome", 0, "OUTCOME", "done or refused" },
	{ "request", 0, "ID", "only of this request" },
	{ "of-tenant", 0, "NAME", "only in this tenant (superadmins see all)" },
	{ "since", 0, "TIME", "from this time on: 2030-01-31T18:00Z, in UTC" },
	{ "until", 0, "TIME", "before this time" },
	{ "limit", 0, "N", "at most N rows; default: 100" },
	{ 0 },
};
static const struct option verify_options[] = {
	{ "seq", 0, "N", "a row whose hash you noted earlier; needs --hash" },
	{ "hash", 0, "HASH", "the noted hash" },
	{ 0 },
};

static const struct collection tenants = {
	"tenant", "tenants", "NAME|CLUSTERS AT MOST|NODES AT MOST|WORKERS|DESCRIPTION",
	"name|maxClusters|maxNodes|workers|description"
};
static const struct collection users = { "user", "users", "NAME|ROLE|PASSWORD",
	                                 "name|role|hasPassword" };
static const struct collection roles = { "role", "roles",
	                                 "NAME|BASE|PERMISSIONS|TEMPLATES|PROVIDERS",
	                                 "name|base|permissions|templates|providers" };
static const struct collection templates = {
	"template", "clustertemplates", "NAME|VERSION|PROVIDER|SERVICES|DESCRIPTION",
	"name|version|defaults/provider|defaults/services|description"
};
static const struct collection providers = { "provider", "providers",
	                                     "NAME|VERSION|TYPE|DESCRIPTION",
	                                     "name|version|providertype|description" };
static const struct collection services = {
	"service", "services", "NAME|VERSION|REQUIRES|DESCRIPTION",
	"name|version|dependencies/runtime/requires|description"
};
static const struct collection hardware = { "hardware", "hardwaretypes", "NAME|VERSION|DESCRIPTION",
	                                    "name|version|description" };
static const struct collection callback_targets = { "callback-target", "callbacktargets",
	                                            "NAME|URL|EVENTS|TRIGGERS",
	                                            "name|url|events|triggers" };
static const struct collection provisioners = {
	"provisioner", "provisioners", "ID|HOST|SLOTS|FREE|IN QUARANTINE BECAUSE",
	"id|host|capacityTotal|capacityFree|quarantine/reason"
};
static const struct collection images = { "image", "imagetypes", "NAME|VERSION|DESCRIPTION",
	                                  "name|version|description" };

#define COLLECTION(word, what, data)                                                             \
	{ word " list", "", 0, 0, "List the " what, NULL, collection_list, data },               \
	{                                                                                        \
		word " show", "NAME", 1, 1, "Show one of the " what, NULL, collection_show, data \
	}

static const struct command before[] = {
	{ "status", "", 0, 0, "Show whether Loom is up, and its inventory", NULL, status_show,
	  NULL },
	{ "doctor", "", 0, 0, "Show problems of this installation and what to do (superadmins)",
	  NULL, doctor_show, NULL },
	{ "cluster create", "NAME", 1, 1, "Create a cluster and print its id",
	  cluster_create_options, cluster_create, NULL },
	{ "cluster list", "", 0, 0, "List the clusters", list_options, cluster_list, NULL },
	{ "cluster show", "ID|NAME", 1, 1, "Show a cluster and its nodes", NULL, cluster_show,
	  NULL },
	{ "cluster watch", "ID|NAME", 1, 1, "Watch a cluster until it is at rest", watch_options,
	  cluster_watch, NULL },
	{ "cluster delete", "ID|NAME", 1, 1, "Delete a cluster and its nodes", delete_options,
	  cluster_delete, NULL },
	{ "cluster plan", "[NAME]", 0, 1, "Show what a create would make, without making it",
	  cluster_plan_options, cluster_plan, NULL },
	{ "cluster why", "ID|NAME", 1, 1, "Show what a cluster waits for", NULL, cluster_why,
	  NULL },
	{ "cluster services", "ID|NAME", 1, 1, "List the services of a cluster", NULL,
	  cluster_services, NULL },
};

/* The operations on clusters are inserted here. */

static const struct command after[] = {
	{ "cluster pause", "ID|NAME", 1, 1, "Pause a job: no further tasks are started", NULL,
	  cluster_control, "pause" },
	{ "cluster resume", "ID|NAME", 1, 1, "Resume a paused job", wait_options, cluster_control,
	  "resume" },
	{ "cluster abort", "ID|NAME", 1, 1, "Abort a job; an aborted create is rolled back",
	  wait_options, cluster_control, "abort" },
	{ "cluster extend", "ID|NAME", 1, 1, "Change when a cluster expires", extend_options,
	  cluster_extend, NULL },
	{ "cluster label", "ID|NAME KEY=VALUE|KEY- ...", 2, ARGS_MAX_POSITIONAL,
	  "Set labels of a cluster, or remove them; others stay", NULL, cluster_label, NULL },
	{ "task list", "ID|NAME", 1, 1, "List each attempt at the tasks of a cluster",
	  task_list_options, task_list, NULL },
	{ "task log", "TASKID", 1, 1, "Print the output of a task", log_options, task_log, NULL },
	COLLECTION("template", "cluster templates", &templates),
	COLLECTION("provider", "providers", &providers),
	COLLECTION("service", "services", &services),
	COLLECTION("hardware", "hardware types", &hardware),
	COLLECTION("image", "image types", &images),
	COLLECTION("provisioner", "provisioners and their quarantine", &provisioners),
	{ "provisioner release", "ID", 1, 1, "Trust a provisioner in quarantine again", NULL,
	  provisioner_release, NULL },
	{ "export", "", 0, 0, "Print all documents of the tenant, for import", export_options,
	  catalog_export, NULL },
	{ "import", "FILE", 1, 1, "Replace all documents of the tenant (-: stdin)", import_options,
	  catalog_import, NULL },
	COLLECTION("callback-target", "callback targets of the tenant", &callback_targets),
	{ "callback-target set", "NAME URL", 2, 2, "Add or change a callback target of the tenant",
	  target_options, callback_target_set, NULL },
	{ "callback-target delete", "NAME", 1, 1, "Remove a callback target", NULL,
	  callback_target_delete, NULL },
	{ "login", "", 0, 0, "Sign in as --user of --tenant, for the commands after this one",
	  login_options, identity_login, NULL },
	{ "logout", "", 0, 0, "Sign out", NULL, identity_logout, NULL },
	{ "whoami", "", 0, 0, "Show your user, tenant and role", NULL, identity_whoami, NULL },
	{ "password", "", 0, 0, "Change your own password", password_options, identity_password,
	  NULL },
	COLLECTION("user", "users of the tenant", &users),
	{ "user set", "NAME", 1, 1, "Add or change a user of the tenant", user_options, user_set,
	  NULL },
	{ "user delete", "NAME", 1, 1, "Delete a user and his tokens", NULL, user_delete, NULL },
	COLLECTION("role", "roles of the tenant's own", &roles),
	{ "role set", "NAME", 1, 1, "Add or change one of the tenant's own roles", role_options,
	  role_set, NULL },
	{ "role delete", "NAME", 1, 1, "Delete a role that nobody has", NULL, role_delete, NULL },
	{ "token list", "", 0, 0, "List tokens", token_list_options, token_list, NULL },
	{ "token create", "NAME", 1, 1, "Make a token and print it; it is shown only once",
	  token_options, token_create, NULL },
	{ "token delete", "ID", 1, 1, "Revoke a token", NULL, token_delete, NULL },
	COLLECTION("tenant", "tenants", &tenants),
	{ "tenant create", "NAME", 1, 1, "Add a tenant", tenant_options, tenant_create, NULL },
	{ "tenant set", "NAME", 1, 1, "Add a tenant, or change its limits", tenant_set_options,
	  tenant_set, NULL },
	{ "tenant delete", "NAME", 1, 1, "Delete a tenant and everything that belongs to it", NULL,
	  tenant_delete, NULL },
	{ "audit list", "", 0, 0, "List the audit log: changes and refusals", audit_options,
	  audit_list, NULL },
	{ "audit verify", "", 0, 0, "Verify that the audit log is intact", verify_options,
	  audit_verify, NULL },
	{ "callback list", "", 0, 0, "List callbacks that are not delivered yet", callback_options,
	  callback_list, NULL },
	{ "callback replay", "ID", 1, 1, "Deliver a callback again, from its first try", NULL,
	  callback_change, "POST" },
	{ "callback delete", "ID", 1, 1, "Discard a pending callback", NULL, callback_change,
	  "DELETE" },
	{ "completion", "", 0, 0, "Print the completion script for bash", NULL, completion_print,
	  NULL },
};

/* ---- operations ------------------------------------------------------------------------------ */

static const struct option plan_only[] = {
	{ "plan", 0, NULL, "only show what would be done" },
	{ "token", 0, "T", "apply exactly the plan that --plan showed with this token" },
	{ "wait", 'w', NULL, "watch until it is done" },
};

#define MAX_OPERATION_OPTIONS 12 /* including the last, empty row */

/* Adds options for the fields that the operation reads, except the one given as argument. */
static void add_options(const struct operation_kind *k, struct option *to)
{
	size_t n = 0;
	bool argument = strchr(k->arguments, ' ') != NULL;
	for (const struct operation_option *f = operation_options; f->field; f++) {
		if (operation_kind_takes(k, f->field) &&
		    !(argument && str_starts(k->takes, f->field)))
			to[n++] = f->option;
	}
	for (size_t i = 0; i < LOOM_COUNT(plan_only); i++)
		to[n++] = plan_only[i];
	loom_assert(n < MAX_OPERATION_OPTIONS);
}

/* Makes the row of an operation: its arguments are a cluster and possibly a second one, in brackets
 * if optional. */
static struct command operation_command(const struct operation_kind *k,
                                        const struct option *options)
{
	const char *second = strchr(k->arguments, ' ');
	return (struct command){ .words = k->command,
		                 .args = k->arguments,
		                 .min = second && second[1] != '[' ? 2 : 1,
		                 .max = second ? 2 : 1,
		                 .summary = k->help,
		                 .options = options,
		                 .run = cluster_operation,
		                 .data = k };
}

void commands_init(struct commands *c)
{
	size_t kinds = 0, n = 0;
	while (operation_kinds[kinds].name)
		kinds++;
	c->v = loom_calloc(LOOM_COUNT(before) + kinds + LOOM_COUNT(after) + 1, sizeof(*c->v));
	c->options = loom_calloc(kinds * MAX_OPERATION_OPTIONS, sizeof(*c->options));
	for (size_t i = 0; i < LOOM_COUNT(before); i++)
		c->v[n++] = before[i];
	for (size_t i = 0; i < kinds; i++) {
		struct option *options = c->options + i * MAX_OPERATION_OPTIONS;
		if (!operation_kinds[i].command)
			continue;
		add_options(&operation_kinds[i], options);
		c->v[n++] = operation_command(&operation_kinds[i], options);
	}
	for (size_t i = 0; i < LOOM_COUNT(after); i++)
		c->v[n++] = after[i];
}

void commands_fini(struct commands *c)
{
	loom_free(c->v);
	loom_free(c->options);
	*c = (struct commands){ 0 };
}
