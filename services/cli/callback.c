/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks: the pending ones, and a tenant's targets. */
#include "services/cli/commands.h"
#include "services/cli/table.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SECRET_MAX 4096

static void add_callback(struct table *t, const struct json *v)
{
	const char *message = json_get_str(v, "message");
	table_addf(t, "%" PRId64, json_get_int(v, "id", 0));
	table_add(t, json_get_str(v, "state"));
	table_add(t, json_get_str(v, "target"));
	table_add(t, json_get_str(v, "event"));
	table_add(t, json_get_str(v, "clusterId"));
	table_addf(t, "%" PRId64, json_get_int(v, "attempts", 0));
	table_add(t, message ? message : "-");
}

int callback_list(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	int code = cli_get(c, args_has(a, "dead") ? "/v2/callbacks?state=dead" : "/v2/callbacks",
	                   JSON_ARRAY, &list);
	if (code || !list)
		return code;
	struct table t;
	table_init(&t, "ID|STATE|TARGET|EVENT|CLUSTER|TRIES|LAST ANSWER");
	for (size_t i = 0; i < json_len(list); i++)
		add_callback(&t, json_at(list, i));
	table_print(&t, "");
	table_fini(&t);
	return CLI_OK;
}

int callback_change(struct cli *c, const struct args *a)
{
	const char *method = a->command->data;
	LOOM_CLEANUP_STR char *id = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path =
		loom_asprintf("/v2/callbacks/%s%s", id, str_eq(method, "POST") ? "/replay" : "");
	return cli_request(c, method, path, NULL, NULL);
}

/* ---- targets --------------------------------------------------------------------------------- */

/* Strips the final line feed, which editors add. */
static int add_secret(const struct args *a, struct json *body)
{
	const char *file = args_get(a, "secret-file");
	if (args_has(a, "no-secret"))
		json_set_str(body, "secret", "");
	if (!file)
		return 0;
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(SECRET_MAX);
	int rc = cli_read_file(file, &b);
	if (rc)
		return cli_fail(CLI_USAGE, "--secret-file: %s: %s", file, strerrordesc_np(-rc));
	const char *text = buf_str(&b);
	size_t n = b.len;
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (!n)
		return cli_fail(CLI_USAGE, "--secret-file: %s is empty", file);
	json_set(body, "secret", json_new_strn(text, n));
	sodium_memzero(b.data, b.len);
	return 0;
}

int callback_target_set(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	if (!args_has(a, "events"))
		return cli_fail(CLI_USAGE,
		                "--events A,B is needed: the events to report to the target");
	json_set_str(body, "url", a->positional[1]);
	json_set(body, "events", split_names(args_get(a, "events")));
	json_set(body, "triggers", split_names(args_get(a, "triggers")));
	json_set_bool(body, "veto", args_has(a, "veto"));
	int code = add_secret(a, body);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/callbacktargets/%s", name);
	return cli_request(c, "PUT", path, body, NULL);
}

int callback_target_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/callbacktargets/%s", name);
	return cli_request(c, "DELETE", path, NULL, NULL);
}
