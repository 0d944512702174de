/* SPDX-License-Identifier: Apache-2.0 */
/* What a task's plug-in wrote, whole or as it comes. */
#include "services/cli/commands.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTION ((size_t)64 << 10)

struct reader {
	bool raw; /* the bytes as they are */
	bool unwritable;
	struct buf rest; /* of a character whose other half has yet to come */
};

static void put(struct reader *r, const char *data, size_t len)
{
	r->unwritable = fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0;
}

/* What a task writes is the text of whoever wrote its plugin: nothing in it steers a terminal. */
static void put_shown(struct reader *r, bool end)
{
	size_t n = end ? r->rest.len : text_whole(r->rest.data, r->rest.len);
	LOOM_CLEANUP_STR char *shown = text_shown(r->rest.data, n, TEXT_LINES);
	put(r, shown, strlen(shown));
	buf_drain(&r->rest, n);
}

/* Refusals do not come here but into the call's answer. */
static int on_data(const char *data, size_t len, void *arg)
{
	struct reader *r = arg;
	if (r->raw) {
		put(r, data, len);
		return r->unwritable;
	}
	for (size_t n; len && !r->unwritable; data += n, len -= n) {
		n = len < PORTION ? len : PORTION;
		buf_add(&r->rest, data, n);
		put_shown(r, false);
	}
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
	struct reader r = { .raw = args_has(a, "raw"), .rest = BUF_INIT(2 * PORTION) };
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .headers = &c->headers,
		                  .timeout_ms = follow ? -1 : 60000,
		                  .on_data = on_data,
		                  .arg = &r };
	struct loom_err err = { 0 };
	int code = CLI_OK;
	int rc = http_call(c->conn, &call, &err);
	if (r.rest.len && !r.unwritable)
		put_shown(&r, true);
	buf_fini(&r.rest);
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
