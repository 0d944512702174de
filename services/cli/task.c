/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts at a cluster's tasks, and the output of a plug-in in one: whole, or followed
 * live. */
#include "services/cli/commands.h"
#include "services/cli/render.h"
#include "services/cli/table.h"

#include "common/base/ids.h"
#include "common/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTION ((size_t)64 << 10)

struct reader {
	bool raw; /* print the bytes unchanged */
	bool unwritable;
	struct buf rest; /* start of a character whose end has not arrived */
};

static void put(struct reader *r, const char *data, size_t len)
{
	r->unwritable = fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0;
}

/* The output is foreign text: control characters in it must not reach the terminal. */
static void put_shown(struct reader *r, bool end)
{
	size_t n = end ? r->rest.len : text_whole(r->rest.data, r->rest.len);
	LOOM_CLEANUP_STR char *shown = text_shown(r->rest.data, n, TEXT_LINES);
	put(r, shown, strlen(shown));
	buf_drain(&r->rest, n);
}

/* A refusal's body does not arrive here but in the call's answer. */
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

/* ---- attempts -------------------------------------------------------------------------------- */

/* The number of this attempt: the actions up to this one that belong to the same task. */
static long long attempt_of(const struct json *actions, size_t i)
{
	const char *task = json_get_str(json_at(actions, i), "taskId");
	long long n = 1;
	for (size_t k = 0; k < i; k++)
		n += str_eq(json_get_str(json_at(actions, k), "taskId"), task);
	return n;
}

/* The last line that is not blank. Owned. */
static char *last_line(const char *text)
{
	size_t end = text ? strlen(text) : 0;
	while (end && strchr(" \t\r\n", text[end - 1]))
		end--;
	size_t begin = end;
	while (begin && text[begin - 1] != '\n')
		begin--;
	return end ? loom_strndup(text + begin, end - begin) : NULL;
}

/* The message of a task's last attempt in a snapshot; NULL if the action is an earlier attempt. */
static const char *message_of(const struct json *snapshot, const struct json *action,
                              long long attempt)
{
	const struct json *tasks = json_get(snapshot, "tasks");
	for (size_t i = 0; i < json_len(tasks); i++) {
		const struct json *one = json_at(tasks, i);
		if (str_eq(json_get_str(one, "taskId"), json_get_str(action, "taskId")))
			return json_get_int(one, "attempt", 0) == attempt
			               ? json_get_str(one, "message")
			               : NULL;
	}
	return NULL;
}

static void add_attempt(struct table *t, const struct json *snapshot, const struct json *node,
                        size_t i)
{
	const struct json *actions = json_get(node, "actions"), *one = json_at(actions, i);
	const char *host = json_get_str(json_get(node, "properties"), "hostname");
	int64_t from = json_get_int(one, "submitTime", 0), to = json_get_int(one, "statusTime", 0);
	LOOM_CLEANUP_STR char *what =
		cell_task(json_get_str(one, "action"), json_get_str(one, "service"));
	long long attempt = attempt_of(actions, i);
	bool failed = str_eq(json_get_str(one, "status"), "failed");
	const char *said = failed ? message_of(snapshot, one, attempt) : NULL;
	LOOM_CLEANUP_STR char *words = last_line(said ? said : json_get_str(one, "stderr"));
	char span[24] = "-";
	if (to > from && from)
		render_span(span, to - from);
	table_add(t, json_get_str(one, "taskId"));
	table_addf(t, "%.*s", (int)strcspn(host ? host : "", "."), host ? host : "");
	table_add(t, what);
	table_addf(t, "%lld", attempt);
	table_add(t, json_get_str(one, "status"));
	table_add(t, span);
	table_add(t, words);
}

int task_list(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_get_cluster(c, a->positional[0], &v);
	if (code)
		return code;
	struct table t;
	const struct json *nodes = json_get(v, "nodes");
	LOOM_CLEANUP_STR char *path =
		loom_asprintf("clusters/%s/snapshot?plans=brief", json_get_str(v, "id"));
	LOOM_CLEANUP(json_free) struct json *snapshot = c->json ? NULL : meant_ask(c, path);
	LOOM_CLEANUP(json_free) struct json *all = json_new_arr();
	bool failed = args_has(a, "failed");
	table_init(&t, "TASK|NODE|WHAT|ATTEMPT|STATUS|TOOK|LAST WORDS");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *actions = json_get(json_at(nodes, i), "actions");
		for (size_t k = 0; k < json_len(actions); k++) {
			const char *status = json_get_str(json_at(actions, k), "status");
			if (failed && !str_eq(status, "failed"))
				continue;
			add_attempt(&t, snapshot, json_at(nodes, i), k);
			if (c->json)
				json_push(all, json_copy(json_at(actions, k)));
		}
	}
	if (c->json)
		cli_print_json(all);
	else if (table_rows(&t))
		table_print(&t, "");
	else
		puts(failed ? "no attempt failed" : "nothing has been done yet");
	table_fini(&t);
	return CLI_OK;
}

/* ---- a log ----------------------------------------------------------------------------------- */

/* Prints "attempt 2 of 2: install db on shop3-1000, failed" for people; nothing if the server does
 * not say. */
static void say_attempt(struct cli *c, const char *task, const char *wanted)
{
	struct task_ref ref;
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	const struct json *found = NULL, *at = NULL;
	long long n = 0;
	int64_t attempt = 0;
	if (!isatty(STDERR_FILENO) || id_parse_task(task, &ref) != 0 ||
	    (wanted && str_to_int(wanted, &attempt) != 0))
		return;
	char id[ID_MAX];
	id_cluster(id, ref.cluster);
	if (cli_get_cluster(c, id, &v) != CLI_OK)
		return;
	const struct json *nodes = json_get(v, "nodes");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *actions = json_get(json_at(nodes, i), "actions");
		for (size_t k = 0; k < json_len(actions); k++) {
			if (!str_eq(json_get_str(json_at(actions, k), "taskId"), task))
				continue;
			n++;
			if (attempt && n != attempt)
				continue;
			found = json_at(actions, k);
			at = json_at(nodes, i);
		}
	}
	const char *host = json_get_str(json_get(at, "properties"), "hostname");
	LOOM_CLEANUP_STR char *what =
		cell_task(json_get_str(found, "action"), json_get_str(found, "service"));
	if (found)
		fprintf(stderr, "attempt %lld of %lld: %s on %s, %s\n",
		        attempt ? (long long)attempt : n, n, what, host ? host : "?",
		        json_get_str(found, "status"));
}

int task_log(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(buf_fini) struct buf query = BUF_INIT(256);
	if (whole_number(a, "attempt", &query) || whole_number(a, "tail", &query))
		return CLI_USAGE;
	bool follow = args_has(a, "follow");
	if (follow)
		buf_addf(&query, "%cfollow=1", query.len ? '&' : '?');
	LOOM_CLEANUP_STR char *id = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("%s/v2/tasks/%s/log%s", c->url, id, buf_str(&query));
	say_attempt(c, a->positional[0], args_get(a, "attempt"));
	struct reader r = { .raw = args_has(a, "raw"), .rest = BUF_INIT(2 * PORTION) };
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .headers = &c->headers,
		                  .trust = &c->trust,
		                  .timeout_ms = follow ? -1 : 60000,
		                  .on_data = on_data,
		                  .arg = &r };
	struct loom_err err = { 0 };
	int code = CLI_OK;
	int rc = http_call(c->conn, &call, &err);
	if (r.rest.len && !r.unwritable)
		put_shown(&r, true);
	buf_fini(&r.rest);
	cli_warn(&call);
	if (r.unwritable)
		code = CLI_FAILED; /* main() has printed the error */
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
