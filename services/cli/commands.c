/* SPDX-License-Identifier: Apache-2.0 */
/* commands - the rows of all commands; those of operations on a cluster come from the table that
 * the API has them from, too. */
#include "services/cli/commands.h"

#include "services/cli/cluster_fields.h"

#include "common/operation/operation.h"

#include <string.h>

static const struct option list_options[] = {
	{ "all", 'a', NULL, "the terminated ones too" },
	{ "status", 0, "A,B", "only these: pending active incomplete inconsistent terminated" },
	{ "label", 'l', "K=V", "only those marked so; of several all must fit" },
	{ 0 },
};
static const struct option delete_options[] = {
	{ "yes", 'y', NULL, "do not ask" },
	{ "provider-fields", 0, "JSON|@FILE", "what the provider asks its users for" },
	{ "wait", 'w', NULL, "watch until it is terminated" },
	{ 0 },
};
static const struct option task_list_options[] = {
	{ "failed", 0, NULL, "only attempts that failed" },
	{ 0 },
};
static const struct option log_options[] = {
	{ "follow", 'f', NULL, "go on until the attempt has ended" },
	{ "attempt", 0, "N", "which attempt, else the last" },
	{ "tail", 0, "BYTES", "only the end of what there is" },
	{ "raw", 0, NULL, "the bytes as they are, else control characters are spelled out" },
	{ 0 },
};

static const struct option watch_options[] = {
	{ "history", 0, NULL,
	  "all that happened before, too; else how it stands, and what is new" },
	{ 0 },
};
static const struct option wait_options[] = {
	{ "wait", 'w', NULL, "watch until the cluster is at rest" },
	{ 0 },
};
static const struct option callback_options[] = {
	{ "dead", 0, NULL, "only those that are not tried any more" },
	{ 0 },
};
static const struct option target_options[] = {
	{ "events", 0, "A,B", "of start success failure lease_warning lease_expired (needed)" },
	{ "triggers", 0, "A,B", "only of these operations, as cluster_create; else of all" },
	{ "veto", 0, NULL, "ask it before a job starts; it may refuse" },
	{ "secret-file", 0, "FILE", "sign with what FILE holds (-: stdin); else as before" },
	{ "no-secret", 0, NULL, "do not sign any more" },
	{ 0 },
};
static const struct option extend_options[] = {
	{ "until", 0, "TIME", "the end: 2030-01-31T18:00Z, in UTC" },
	{ "by", 0, "DURATION", "from its present end: 2h, 7d" },
	{ 0 },
};

static const struct option login_options[] = {
	{ "password-file", 0, "FILE", "the password is in FILE (-: stdin), else it is asked for" },
	{ 0 },
};
static const struct option password_options[] = {
	{ "old-file", 0, "FILE", "the old password is in FILE, else it is asked for" },
	{ "new-file", 0, "FILE", "the new one" },
	{ 0 },
};
static const struct option user_options[] = {
	{ "role", 0, "ROLE", "user auditor admin provisioner (needed)" },
	{ "password", 0, NULL, "ask for a password that the user signs in with" },
	{ "password-file", 0, "FILE", "it is in FILE (-: stdin)" },
	{ "no-password", 0, NULL, "the user has tokens only, from now on" },
	{ 0 },
};
static const struct option token_list_options[] = {
	{ "of", 0, "USER", "only this user's" },
	{ 0 },
};
static const struct option token_options[] = {
	{ "of", 0, "USER", "for another user of the tenant (administrators)" },
	{ "scopes", 0, "A,B", "good for these only, as clusters:write,catalog:read; else for all" },
	{ "expires", 0, "DURATION", "ends after so long, as 90d; else never" },
	{ 0 },
};

static const struct option tenant_options[] = {
	{ "bootstrap", 0, NULL, "it begins with the documents of superadmin" },
	{ 0 },
};
static const struct option tenant_set_options[] = {
	{ "max-clusters", 0, "N", "it may have so many" },
	{ "max-nodes", 0, "N", "it may have so many" },
	{ "workers", 0, "N", "of provisioners that are told how many to run" },
	{ "description", 0, "TEXT", "for people" },
	{ 0 },
};
static const struct option audit_options[] = {
	{ "by", 0, "USER", "what this user did" },
	{ "object", 0, "OBJECT", "what was done to this: providers/lab, clusters/00000012" },
	{ "action", 0, "TEXT", "what begins so: DELETE, or PUT /v2/providers" },
	{ "outcome", 0, "OUTCOME", "done or refused" },
	{ "request", 0, "ID", "of this request" },
	{ "of-tenant", 0, "NAME", "of this tenant (superadmins see all)" },
	{ "since", 0, "TIME", "from then on: 2030-01-31T18:00Z, in UTC" },
	{ "until", 0, "TIME", "before then" },
	{ "limit", 0, "N", "at most so many, else 100" },
	{ 0 },
};
static const struct option verify_options[] = {
	{ "seq", 0, "N", "a row whose hash was noted before, with --hash" },
	{ "hash", 0, "HASH", "what was noted" },
	{ 0 },
};

static const struct collection tenants = {
	"tenant", "tenants", "NAME|CLUSTERS AT MOST|NODES AT MOST|WORKERS|DESCRIPTION",
	"name|maxClusters|maxNodes|workers|description"
};
static const struct collection users = { "user", "users", "NAME|ROLE|PASSWORD",
	                                 "name|role|hasPassword" };
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
	{ "status", "", 0, 0, "Show whether Loom is up, and what it has", NULL, status_show, NULL },
	{ "doctor", "", 0, 0, "Show what is wrong with Loom, and what to do (superadmins)", NULL,
	  doctor_show, NULL },
	{ "cluster create", "NAME", 1, 1, "Create a cluster and print its id",
	  cluster_create_options, cluster_create, NULL },
	{ "cluster list", "", 0, 0, "List the clusters", list_options, cluster_list, NULL },
	{ "cluster show", "ID|NAME", 1, 1, "Show a cluster and its nodes", NULL, cluster_show,
	  NULL },
	{ "cluster watch", "ID|NAME", 1, 1, "Watch what happens to a cluster until it is at rest",
	  watch_options, cluster_watch, NULL },
	{ "cluster delete", "ID|NAME", 1, 1, "Delete a cluster and its nodes", delete_options,
	  cluster_delete, NULL },
	{ "cluster plan", "[NAME]", 0, 1, "Show what a create would make, without making it",
	  cluster_plan_options, cluster_plan, NULL },
	{ "cluster why", "ID|NAME", 1, 1, "Show what a cluster waits for", NULL, cluster_why,
	  NULL },
	{ "cluster services", "ID|NAME", 1, 1, "List the services of a cluster", NULL,
	  cluster_services, NULL },
};

/* The operations on a cluster stand here. */

static const struct command after[] = {
	{ "cluster pause", "ID|NAME", 1, 1, "Hold a job back: nothing further is begun", NULL,
	  cluster_control, "pause" },
	{ "cluster resume", "ID|NAME", 1, 1, "Go on with a paused job", wait_options,
	  cluster_control, "resume" },
	{ "cluster abort", "ID|NAME", 1, 1, "End a job; an aborted create is taken back",
	  wait_options, cluster_control, "abort" },
	{ "cluster extend", "ID|NAME", 1, 1, "Move the end of a cluster's life", extend_options,
	  cluster_extend, NULL },
	{ "cluster label", "ID|NAME KEY=VALUE|KEY- ...", 2, ARGS_MAX_POSITIONAL,
	  "Set labels of a cluster, or remove them; others stay", NULL, cluster_label, NULL },
	{ "task list", "ID|NAME", 1, 1, "List what was done on a cluster's nodes, each attempt",
	  task_list_options, task_list, NULL },
	{ "task log", "TASKID", 1, 1, "Print what a task wrote", log_options, task_log, NULL },
	COLLECTION("template", "cluster templates", &templates),
	COLLECTION("provider", "providers", &providers),
	COLLECTION("service", "services", &services),
	COLLECTION("hardware", "hardware types", &hardware),
	COLLECTION("image", "image types", &images),
	COLLECTION("provisioner", "provisioners and their quarantine", &provisioners),
	{ "provisioner release", "ID", 1, 1, "Trust a provisioner in quarantine again", NULL,
	  provisioner_release, NULL },
	COLLECTION("callback-target", "callback targets of the tenant", &callback_targets),
	{ "callback-target set", "NAME URL", 2, 2, "Add or change a callback target of the tenant",
	  target_options, callback_target_set, NULL },
	{ "callback-target delete", "NAME", 1, 1, "Remove a callback target", NULL,
	  callback_target_delete, NULL },
	{ "login", "", 0, 0, "Sign in as --user of --tenant, for the commands after this one",
	  login_options, identity_login, NULL },
	{ "logout", "", 0, 0, "Sign out", NULL, identity_logout, NULL },
	{ "whoami", "", 0, 0, "Show who the server takes you for", NULL, identity_whoami, NULL },
	{ "password", "", 0, 0, "Change your own password", password_options, identity_password,
	  NULL },
	COLLECTION("user", "users of the tenant", &users),
	{ "user set", "NAME", 1, 1, "Add or change a user of the tenant", user_options, user_set,
	  NULL },
	{ "user delete", "NAME", 1, 1, "Delete a user and all tokens of it", NULL, user_delete,
	  NULL },
	{ "token list", "", 0, 0, "List tokens", token_list_options, token_list, NULL },
	{ "token create", "NAME", 1, 1, "Make a token and print it; it is shown only now",
	  token_options, token_create, NULL },
	{ "token delete", "ID", 1, 1, "End a token", NULL, token_delete, NULL },
	COLLECTION("tenant", "tenants", &tenants),
	{ "tenant create", "NAME", 1, 1, "Add a tenant", tenant_options, tenant_create, NULL },
	{ "tenant set", "NAME", 1, 1, "Add a tenant, or change what it may have",
	  tenant_set_options, tenant_set, NULL },
	{ "tenant delete", "NAME", 1, 1, "Delete a tenant and all that is its own", NULL,
	  tenant_delete, NULL },
	{ "audit list", "", 0, 0, "List who did what, and who was refused what", audit_options,
	  audit_list, NULL },
	{ "audit verify", "", 0, 0, "Find out whether the audit log is what it was", verify_options,
	  audit_verify, NULL },
	{ "callback list", "", 0, 0, "List callbacks that are not delivered yet", callback_options,
	  callback_list, NULL },
	{ "callback replay", "ID", 1, 1, "Deliver a callback again, from its first try", NULL,
	  callback_change, "POST" },
	{ "callback delete", "ID", 1, 1, "Discard a pending callback", NULL, callback_change,
	  "DELETE" },
	{ "completion", "", 0, 0, "Print what makes bash complete this command line", NULL,
	  completion_print, NULL },
};

/* ---- operations ------------------------------------------------------------------------------ */

static const struct option plan_only[] = {
	{ "plan", 0, NULL, "only show what would be done" },
	{ "token", 0, "T", "do exactly what --plan showed with this token, or nothing" },
	{ "wait", 'w', NULL, "watch until it is done" },
};

#define MAX_OPERATION_OPTIONS 12 /* with the last, which ends them */

/* Those of the fields that it reads, but for the one that its argument stands for. */
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

/* A cluster, and what the second argument stands for, if there is one: in brackets it may be left
 * out. */
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
