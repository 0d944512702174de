/* SPDX-License-Identifier: Apache-2.0 */
/* What a task's plug-in wrote, whole or as it comes. */
#include "services/cli/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct reader {
	bool unwritable;
};

/* Refusals do not come here but into the call's answer. */
static int on_data(const char *data, size_t len, void *arg)
{
	struct reader *r = arg;
	r->unwritable = fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0;
	return r->unwritable;
}

static int whole_number(const struct args *a, const char *option, struct buf *query)
{
	int64_t n;
	const char *value = args_get(a, option);
	if (!value)
		return 0;
	if (str_to_int(value, &n) != 0 || n < 0)
		return cli_fail(CLI_USAGE, "--%s is a number, not '%s'", option, value);
	buf_addf(query, "%c%s=%s", query->len ? '&' : '?', option, value);
	return 0;
}

int task_log(struct cli *c, const struct args *a)
{
	__attribute__((cleanup(buf_fini_p))) struct buf query = BUF_INIT(256);
	if (whole_number(a, "attempt", &query) || whole_number(a, "tail", &query))
		return CLI_USAGE;
	bool follow = args_has(a, "follow");
	if (follow)
		buf_addf(&query, "%cfollow=1", query.len ? '&' : '?');
	LOOM_CLEANUP_STR char *id = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("%s/v2/tasks/%s/log%s", c->url, id, buf_str(&query));
	struct reader r = { 0 };
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .headers = &c->headers,
		                  .timeout_ms = follow ? -1 : 60000,
		                  .on_data = on_data,
		                  .arg = &r };
	struct loom_err err = { 0 };
	int code = CLI_OK;
	int rc = http_call(c->conn, &call, &err);
	if (r.unwritable)
		code = CLI_FAILED; /* told by main() */
	else if (rc)
		code = cli_unreachable(c, err.msg);
	else if (call.status < 200 || call.status > 299) {
		LOOM_CLEANUP_STR char *why =
			cli_reason(call.status, buf_str(&call.answer), call.answer.len);
		code = cli_fail(CLI_FAILED, "%s (%d)", why, call.status);
	}
	http_call_fini(&call);
	return code;
}
