/* SPDX-License-Identifier: Apache-2.0 */
/* operation - the rows, and how they are found. */
#include "common/operation/operation.h"

#include "common/base/str.h"

#include <string.h>

#define AT_REST "active inconsistent"     /* an operation may begin */
#define FAILED  "incomplete inconsistent" /* a job has failed */

/* clang-format off */
const struct operation_kind operation_kinds[] = {
	{ .name = "solve", .action = "solve_layout", .from = "", .needs = "", .takes = "",
	  .title = "Layout", .doing = "working out the layout", .done = "layout worked out" },
	{ .name = "create", .action = "cluster_create", .from = "", .needs = "", .takes = "",
	  .title = "Create", .doing = "creating", .done = "created" },
	{ .name = "delete", .action = "cluster_delete", .from = "", .needs = "", .takes = "",
	  .title = "Delete", .doing = "deleting", .done = "deleted" },
	{ .name = "configure", .action = "cluster_configure_with_restart",
	  .plain_action = "cluster_configure", .from = AT_REST,
	  .needs = "config", .takes = "config restart",
	  .method = "PUT", .path = "config", .makes_job = true,
	  .command = "cluster configure", .arguments = "ID|NAME", .help = "Give a cluster a new configuration",
	  .title = "Configure", .doing = "configuring", .done = "configured" },
	{ .name = "add_services", .action = "add_services", .from = "active",
	  .needs = "services", .takes = "services",
	  .method = "POST", .path = "services", .makes_job = true,
	  .command = "cluster add-services", .arguments = "ID|NAME A,B", .help = "Add services to a cluster",
	  .title = "Add services", .doing = "adding services", .done = "services added" },
	{ .name = "remove_services", .action = "remove_services", .from = "active",
	  .needs = "services", .takes = "services",
	  .method = "DELETE", .path = "services/{service}", .makes_job = true,
	  .command = "cluster remove-service", .arguments = "ID|NAME SERVICE",
	  .help = "Remove a service from a cluster",
	  .title = "Remove services", .doing = "removing services", .done = "services removed" },
	{ .name = "start", .action = "start_services", .from = AT_REST,
	  .needs = "", .takes = "services",
	  .method = "POST", .path = "services/start", .one_path = "services/{service}/start",
	  .makes_job = true, .command = "cluster start", .arguments = "ID|NAME [SERVICE]",
	  .help = "Start a service, or all, and what it needs",
	  .title = "Start services", .doing = "starting services", .done = "services started" },
	{ .name = "stop", .action = "stop_services", .from = AT_REST,
	  .needs = "", .takes = "services",
	  .method = "POST", .path = "services/stop", .one_path = "services/{service}/stop",
	  .makes_job = true, .command = "cluster stop", .arguments = "ID|NAME [SERVICE]",
	  .help = "Stop a service, or all, and what needs it",
	  .title = "Stop services", .doing = "stopping services", .done = "services stopped" },
	{ .name = "restart", .action = "restart_services", .from = AT_REST,
	  .needs = "", .takes = "services",
	  .method = "POST", .path = "services/restart", .one_path = "services/{service}/restart",
	  .makes_job = true, .command = "cluster restart", .arguments = "ID|NAME [SERVICE]",
	  .help = "Restart a service, or all",
	  .title = "Restart services", .doing = "restarting services", .done = "services restarted" },
	{ .name = "expand", .action = "expand_cluster", .from = "active",
	  .needs = "count", .takes = "count grow",
	  .method = "POST", .path = "expand", .makes_job = true,
	  .command = "cluster expand", .arguments = "ID|NAME", .help = "Add nodes to a cluster",
	  .title = "Add nodes", .doing = "adding nodes", .done = "nodes added" },
	{ .name = "shrink", .action = "shrink_cluster", .from = AT_REST,
	  .needs = "count|nodes", .takes = "count nodes",
	  .method = "POST", .path = "shrink", .makes_job = true,
	  .command = "cluster shrink", .arguments = "ID|NAME", .help = "Remove nodes from a cluster",
	  .title = "Remove nodes", .doing = "removing nodes", .done = "nodes removed" },
	{ .name = "replace", .action = "replace_node", .from = AT_REST,
	  .needs = "nodes", .takes = "nodes",
	  .method = "POST", .path = "nodes/{node}/replace", .makes_job = true,
	  .command = "cluster replace", .arguments = "ID|NAME NODE",
	  .help = "Replace a node by a new one with the same services",
	  .title = "Replace a node", .doing = "replacing a node", .done = "node replaced" },
	{ .name = "sync", .action = "solve_layout", .from = "active", .needs = "", .takes = "",
	  .method = "POST", .path = "clustertemplate/sync",
	  .command = "cluster sync", .arguments = "ID|NAME", .help = "Take over the newest version of its template",
	  .title = "Update the template", .doing = "updating the template",
	  .done = "template updated" },
	{ .name = "retry", .action = "", .from = FAILED, .needs = "", .takes = "skip tasks",
	  .method = "POST", .path = "retry", .makes_job = true,
	  .command = "cluster retry", .arguments = "ID|NAME", .help = "Do again what is left of a failed job",
	  .title = "Try again", .doing = "trying again", .done = "tried again" },
	{ .name = "rollback", .action = "", .from = FAILED, .needs = "", .takes = "",
	  .method = "POST", .path = "rollback", .makes_job = true,
	  .command = "cluster rollback", .arguments = "ID|NAME", .help = "Take back what a failed or aborted job has done",
	  .title = "Roll back", .doing = "rolling back", .done = "rolled back" },
	{ 0 },
};

const struct operation_parameter operation_parameters[] = {
	{ "service", "services", false },
	{ "node", "nodes", true },
	{ 0 },
};
/* clang-format on */

const struct operation_kind *operation_kind_find(const char *name)
{
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (str_eq(k->name, name))
			return k;
	}
	return NULL;
}

const struct operation_kind *operation_kind_of_action(const char *action)
{
	for (const struct operation_kind *k = operation_kinds; k->name && !str_blank(action); k++) {
		if (str_ieq(k->action, action) || str_ieq(k->plain_action, action))
			return k;
	}
	return NULL;
}

/* Compares part by part; {..} matches any part that is not empty. */
static bool fits(const char *pattern, const char *path)
{
	while (pattern) {
		size_t want = strcspn(pattern, "/"), has = strcspn(path, "/");
		bool any = *pattern == '{' && has;
		if (!any && (want != has || strncmp(pattern, path, want) != 0))
			return false;
		if (!pattern[want] || !path[has])
			return !pattern[want] && !path[has];
		pattern += want + 1;
		path += has + 1;
	}
	return false;
}

const struct operation_kind *operation_kind_at(const char *method, const char *path)
{
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (str_eq(k->method, method) && (fits(k->path, path) || fits(k->one_path, path)))
			return k;
	}
	return NULL;
}

bool operation_has_word(const char *list, const char *separators, const char *word)
{
	size_t want = word ? strlen(word) : 0;
	for (const char *p = list; p && *p && want;) {
		size_t n = strcspn(p, separators);
		if (n == want && strncmp(p, word, n) == 0)
			return true;
		p += n + (p[n] != '\0');
	}
	return false;
}

bool operation_kind_allowed(const struct operation_kind *k, const char *status)
{
	return k && operation_has_word(k->from, " ", status);
}

bool operation_kind_takes(const struct operation_kind *k, const char *field)
{
	return k && operation_has_word(k->takes, " ", field);
}

const struct operation_parameter *operation_parameter_in(const char *path)
{
	const char *open = path ? strchr(path, '{') : NULL;
	for (const struct operation_parameter *p = operation_parameters; open && p->name; p++) {
		if (strncmp(open + 1, p->name, strlen(p->name)) == 0 &&
		    open[1 + strlen(p->name)] == '}')
			return p;
	}
	return NULL;
}
