/* SPDX-License-Identifier: Apache-2.0 */
/* What commands share: requests, refusals in words, exit codes. */
#include "services/cli/cli.h"

#include "services/cli/hint.h"
#include "services/cli/identity.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/secret_file.h"
#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS    10000 /* how long what may be repeated is asked again */
#define GONE_MS    1500  /* the same when nobody answers: an address moves in less */
#define LOST_MS    6000  /* the same for what would have to be asked about otherwise */
#define REASON_MAX 4000
#define TIMEOUT_MS 60000

static const char *setting(const struct args *a, const char *option, const char *variable,
                           const char *otherwise)
{
	const char *s = args_get(a, option);
	if (!s)
		s = getenv(variable); /* NOLINT(concurrency-mt-unsafe) */
	return s && *s ? s : otherwise;
}

/* What shows who asks: a file that was named, the environment, or the last login. Where none does,
 * the headers alone do, which a server may take or not. */
static int add_token(struct cli *c, const struct args *a)
{
	const char *file = args_get(a, "token-file"),
		   *named = file ? "--token-file" : "LOOM_TOKEN_FILE";
	const char *token = file ? NULL : getenv("LOOM_TOKEN"); /* NOLINT(concurrency-mt-unsafe) */
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *last = NULL;
	LOOM_CLEANUP(secret_file_free) char *text = NULL;
	if (!file && str_blank(token))
		file = getenv("LOOM_TOKEN_FILE"); /* NOLINT(concurrency-mt-unsafe) */
	if (!str_blank(file)) {
		token = text = secret_file_read(named, file, &err);
		if (!text)
			return cli_fail(CLI_USAGE, "%s", err.msg);
	} else if (str_blank(token) && (last = identity_file())) {
		token = text = secret_file_read("login", last, &err);
	}
	if (!str_blank(token))
		strs_addf(&c->headers, "Authorization: Bearer %s", token);
	return CLI_OK;
}

int cli_init(struct cli *c, const struct args *a)
{
	memset(c, 0, sizeof(*c));
	c->url = loom_strdup(setting(a, "url", "LOOM_URL", CLI_DEFAULT_URL));
	for (size_t n = strlen(c->url); n && c->url[n - 1] == '/'; n--)
		c->url[n - 1] = '\0';
	c->user = setting(a, "user", "LOOM_USER", "admin");
	c->tenant = setting(a, "tenant", "LOOM_TENANT", "superadmin");
	c->json = str_eq(args_get(a, "output"), "json");
	c->conn = http_conn_create();
	int code = add_token(c, a);
	bool shown = c->headers.n;
	/* Beside a token only what was asked for: it is the token that says who asks. */
	if (!shown || setting(a, "user", "LOOM_USER", NULL))
		strs_addf(&c->headers, "X-Loom-UserID: %s", c->user);
	if (!shown || setting(a, "tenant", "LOOM_TENANT", NULL))
		strs_addf(&c->headers, "X-Loom-TenantID: %s", c->tenant);
	const char *trace = getenv("TRACEPARENT"); /* NOLINT(concurrency-mt-unsafe) */
	if (!str_blank(trace))
		strs_addf(&c->headers, "traceparent: %s", trace);
	return code;
}

void cli_fini(struct cli *c)
{
	http_conn_destroy(c->conn);
	strs_fini(&c->headers);
	loom_free(c->url);
}

int cli_fail(int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *text = loom_vasprintf(fmt, ap);
	LOOM_CLEANUP_STR char *shown = text_shown(text, strlen(text), TEXT_LINES);
	fprintf(stderr, "loom: %s\n", shown);
	va_end(ap);
	return code;
}

int cli_unreachable(const struct cli *c, const char *why)
{
	const char *sep = strstr(why, ": "); /* "GET http://...: reason" */
	if (sep && (str_starts(why, "GET ") || str_starts(why, "POST ") ||
	            str_starts(why, "PUT ") || str_starts(why, "DELETE ")))
		why = sep + 2;
	return cli_fail(CLI_UNREACHABLE,
	                "cannot reach Loom at %s: %s\n"
	                "      Is loom-api running there? --url or LOOM_URL says where it is.",
	                c->url, why);
}

/* ---- reasons --------------------------------------------------------------------------------- */

static char *missing_fields(const struct json *sets)
{
	struct buf b = BUF_INIT(REASON_MAX);
	for (size_t i = 0; i < json_len(sets); i++) {
		const struct json *set = json_at(sets, i);
		buf_adds(&b, i ? ", or " : "the provider needs more fields: ");
		for (size_t k = 0; k < json_len(set); k++)
			buf_addf(&b, "%s%s", k ? " and " : "", json_key_at(set, k));
	}
	return buf_take(&b);
}

static char *plain_reason(int status, const char *body, size_t len)
{
	while (len && strchr(" \t\r\n", body[len - 1]))
		len--;
	if (!len || *body == '<')
		return loom_asprintf("the server answered %d", status);
	return loom_strndup(body, len > REASON_MAX ? REASON_MAX : len);
}

char *cli_reason(int status, const char *body, size_t len)
{
	static const char *const keys[] = { "detail", "message", "error", "title" };
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	if (json_parse(body, len, 0, &v, NULL) != 0)
		return plain_reason(status, body, len);
	if (json_len(json_get(v, "missingFields")))
		return missing_fields(json_get(v, "missingFields"));
	for (size_t i = 0; i < LOOM_COUNT(keys); i++) {
		const char *s = json_get_str(v, keys[i]);
		if (s && *s)
			return loom_strdup(s);
	}
	return plain_reason(status, json_is(v, JSON_STRING) ? json_str(v) : body,
	                    json_is(v, JSON_STRING) ? json_str_len(v) : len);
}

/* ---- requests -------------------------------------------------------------------------------- */

static int judge(const struct http_call *call, char **ret_text)
{
	if (call->status < 200 || call->status > 299) {
		LOOM_CLEANUP_STR char *why =
			cli_reason(call->status, buf_str(&call->answer), call->answer.len);
		return cli_fail(CLI_FAILED, "%s (%d)", why, call->status);
	}
	if (ret_text)
		*ret_text = loom_strndup(buf_str(&call->answer), call->answer.len);
	return CLI_OK;
}

/* r: of the call; began: of the first try. */
static bool may_ask_again(const struct cli *c, const struct http_call *call, int rc, int64_t began)
{
	int64_t took = clock_mono_ms() - began;
	if (!str_eq(call->method, "GET") && !c->key)
		return false;
	if (rc)
		return took < (c->key ? LOST_MS : GONE_MS);
	/* The same request is under way: its answer comes. Other conflicts do not say when. */
	bool soon = call->status == 409 && c->key && call->retry_after_ms > 0;
	return (soon || call->status == 503 || call->status == 502 || call->status == 504) &&
	       took < BUSY_MS;
}

static int64_t pause_of(const struct http_call *call, int r)
{
	int64_t wait = !r && call->retry_after_ms > 0 ? call->retry_after_ms : r ? 200 : 500;
	return wait > 2000 ? 2000 : wait;
}

int cli_request(struct cli *c, const char *method, const char *path, const struct json *body,
                char **ret_text)
{
	int64_t began = clock_mono_ms();
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s%s", c->url, path);
	LOOM_CLEANUP_STR char *text = body ? json_text(body) : NULL;
	__attribute__((cleanup(strs_fini_p))) struct strs headers = { 0 };
	for (size_t i = 0; i < c->headers.n; i++)
		strs_add(&headers, c->headers.v[i]);
	if (c->key)
		strs_addf(&headers, "Idempotency-Key: %s", c->key);
	for (;;) {
		struct loom_err err = { 0 };
		struct http_call call = { .method = method,
			                  .url = url,
			                  .headers = &headers,
			                  .body = text,
			                  .body_len = text ? strlen(text) : 0,
			                  .timeout_ms = TIMEOUT_MS };
		int rc = http_call(c->conn, &call, &err);
		c->status = rc ? 0 : call.status;
		bool again = may_ask_again(c, &call, rc, began);
		int64_t wait = pause_of(&call, rc);
		int code = again ? CLI_OK
		           : rc  ? cli_unreachable(c, err.msg)
		                 : judge(&call, ret_text);
		http_call_fini(&call);
		if (!again)
			return code;
		usleep((useconds_t)wait * 1000);
	}
}

int cli_request_exactly(struct cli *c, const char *method, const char *path,
                        const struct json *body, struct json **ret)
{
	LOOM_CLEANUP_STR char *text = NULL;
	struct loom_err err = { 0 };
	int code = cli_request(c, method, path, body, &text);
	if (code)
		return code;
	if (json_parse_str(text, ret, &err) != 0)
		return cli_fail(CLI_FAILED, "%s%s does not answer like Loom: %s", c->url, path,
		                err.msg);
	return CLI_OK;
}

static bool is_of(const struct json *v, enum json_type type)
{
	bool good = json_is(v, type);
	for (size_t i = 0; good && type == JSON_ARRAY && i < json_len(v); i++)
		good = json_is(json_at(v, i), JSON_OBJECT);
	return good;
}

int cli_request_json(struct cli *c, const char *method, const char *path, const struct json *body,
                     enum json_type type, struct json **ret)
{
	int code = cli_request_exactly(c, method, path, body, ret);
	if (!code && !is_of(*ret, type)) {
		json_free(loom_take(*ret));
		return cli_fail(CLI_FAILED, "%s%s does not answer like Loom: %s was expected",
		                c->url, path,
		                type == JSON_ARRAY ? "a list of objects" : "an object");
	}
	if (!code && !c->json)
		cli_show_safely(ret);
	return code;
}

/* ---- clusters by name ------------------------------------------------------------------------ */

/* The one cluster to mean by name, NULL when there is none or more than one (*ret_n says). */
static const char *pick(const struct json *list, const char *name, bool terminated, size_t *ret_n)
{
	const char *id = NULL;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *s = json_at(list, i);
		if (!str_eq(json_get_str(s, "name"), name) ||
		    str_eq(json_get_str(s, "status"), "terminated") != terminated)
			continue;
		if (!id) /* newest first */
			id = json_get_str(s, "id");
		++*ret_n;
	}
	return id;
}

int cli_find_cluster(struct cli *c, const char *id_or_name, char **ret_id)
{
	int64_t n;
	if (id_parse_cluster(id_or_name, &n) == 0) {
		char id[ID_MAX];
		id_cluster(id, n);
		*ret_id = loom_strdup(id);
		return CLI_OK;
	}
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	int code = cli_request_json(c, "GET", "/v2/clusters", NULL, JSON_ARRAY, &list);
	if (code)
		return code;
	size_t live = 0, ended = 0;
	const char *id = pick(list, id_or_name, false, &live);
	if (live > 1)
		return cli_fail(CLI_FAILED,
		                "%zu clusters are called %s; give the id (loom cluster list)", live,
		                id_or_name);
	if (!id)
		id = pick(list, id_or_name, true, &ended);
	const char *meant = id ? NULL : hint_name(list, id_or_name);
	if (!id)
		return cli_fail(CLI_FAILED,
		                "there is no cluster called %s%s%s%s (loom cluster list)",
		                id_or_name, meant ? "; did you mean " : "", meant ? meant : "",
		                meant ? "?" : "");
	*ret_id = loom_strdup(id);
	return CLI_OK;
}

int cli_get_cluster(struct cli *c, const char *id_or_name, struct json **ret)
{
	LOOM_CLEANUP_STR char *id = NULL;
	int code = cli_find_cluster(c, id_or_name, &id);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	return cli_request_json(c, "GET", path, NULL, JSON_OBJECT, ret);
}

/* ---- text ------------------------------------------------------------------------------------ */

char *cli_quote(const char *s)
{
	struct buf b = BUF_INIT(REASON_MAX);
	for (; *s; s++) {
		char c = *s;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			buf_addc(&b, c);
		else
			buf_addf(&b, "%%%02X", (unsigned char)c);
	}
	return buf_take(&b);
}

int cli_get(struct cli *c, const char *path, enum json_type type, struct json **ret)
{
	int code = cli_request_json(c, "GET", path, NULL, type, ret);
	if (!code && c->json) {
		cli_print_json(*ret);
		json_free(loom_take(*ret));
	}
	return code;
}
