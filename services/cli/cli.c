/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by commands: requests, explanations of refusals, exit codes. */
#include "services/cli/cli.h"

#include "services/cli/commands.h"
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

#define BUSY_MS    10000 /* repeatable requests are retried for this long */
#define GONE_MS    1500  /* the same when no server answers: a failover takes less */
#define LOST_MS    6000  /* the same when the result would be unknown otherwise */
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

/* What it says must be one line: a header with a line end would not be sent at all, and the request
 * be that of somebody else. what: where it comes from. */
static int add_header(struct cli *c, const char *name, const char *what, const char *value)
{
	for (const char *s = value; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return cli_fail(CLI_USAGE, "%s has a control character in it: '%s'", what,
			                name[0] == 'A' ? "..." : value);
	}
	strs_addf(&c->headers, "%s%s", name, value);
	return CLI_OK;
}

/* The token of the last login, if there is one. */
static int login_token(struct cli *c, char **ret)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *file = identity_file();
	if (!file || access(file, F_OK) != 0)
		return CLI_OK;
	*ret = secret_file_read("login", file, &err);
	if (!*ret)
		return cli_fail(CLI_USAGE, "%s; 'loom login' makes it anew", err.msg);
	c->login = loom_take(file);
	return CLI_OK;
}

/* Adds the caller's token: from the given file, the environment, or the last login. Without one
 * only the identity headers are sent, which a server may accept or not. */
static int add_token(struct cli *c, const struct args *a)
{
	const char *file = args_get(a, "token-file"),
		   *named = file ? "--token-file" : "LOOM_TOKEN_FILE";
	const char *token = file ? NULL : getenv("LOOM_TOKEN"); /* NOLINT(concurrency-mt-unsafe) */
	struct loom_err err = { 0 };
	LOOM_CLEANUP(secret_file_free) char *text = NULL;
	int code = CLI_OK;
	if (!file && str_blank(token))
		file = getenv("LOOM_TOKEN_FILE"); /* NOLINT(concurrency-mt-unsafe) */
	if (!str_blank(file)) {
		text = secret_file_read(named, file, &err);
		if (!text)
			return cli_fail(CLI_USAGE, "%s", err.msg);
		token = text;
	} else if (str_blank(token) && a->command->run != identity_login) {
		code = login_token(c, &text);
		token = text;
	}
	if (!code && !str_blank(token))
		code = add_header(c, "Authorization: Bearer ", "the token", token);
	return code;
}

/* With a token sends only what was asked for: the token names the caller. */
static int add_names(struct cli *c, const struct args *a)
{
	bool shown = c->headers.n;
	int code = CLI_OK;
	if (!shown || setting(a, "user", "LOOM_USER", NULL))
		code = add_header(c, "X-Loom-UserID: ", "--user or LOOM_USER", c->user);
	if (!code && (!shown || setting(a, "tenant", "LOOM_TENANT", NULL)))
		code = add_header(c, "X-Loom-TenantID: ", "--tenant or LOOM_TENANT", c->tenant);
	return code;
}

/* Sets the authorities to trust and our own certificate, for servers at https://. */
static int set_trust(struct cli *c, const struct args *a)
{
	struct loom_err err = { 0 };
	c->trust = (struct http_trust){
		.ca = loom_strdup(setting(a, "ca-file", "LOOM_CA_FILE", "")),
		.certificate = loom_strdup(
			setting(a, "client-certificate", "LOOM_CLIENT_CERTIFICATE", "")),
		.key = loom_strdup(setting(a, "client-key", "LOOM_CLIENT_KEY", "")),
	};
	return http_trust_check(&c->trust, &err) ? cli_fail(CLI_USAGE, "%s", err.msg) : CLI_OK;
}

/* A malformed address is a usage error, not an unreachable server. */
static int set_url(struct cli *c, const struct args *a)
{
	c->url = loom_strdup(setting(a, "url", "LOOM_URL", CLI_DEFAULT_URL));
	LOOM_CLEANUP_STR char *whole =
		loom_asprintf("%s%s", strstr(c->url, "://") ? "" : "http://", c->url);
	LOOM_CLEANUP_STR char *host = http_url_host(whole);
	if (!host || !*host || c->url[strcspn(c->url, "?# ")])
		return cli_fail(CLI_USAGE,
		                "--url or LOOM_URL is http://HOST[:PORT] or https://, not '%s'",
		                c->url);
	for (size_t n = strlen(c->url); n && c->url[n - 1] == '/'; n--)
		c->url[n - 1] = '\0';
	return CLI_OK;
}

int cli_init(struct cli *c, const struct args *a)
{
	memset(c, 0, sizeof(*c));
	int code = set_url(c, a);
	c->user = setting(a, "user", "LOOM_USER", "admin");
	c->tenant = setting(a, "tenant", "LOOM_TENANT", "superadmin");
	c->json = str_eq(args_get(a, "output"), "json");
	c->conn = http_conn_create();
	if (!code)
		code = set_trust(c, a);
	if (!code)
		code = add_token(c, a);
	if (!code)
		code = add_names(c, a);
	const char *trace = getenv("TRACEPARENT"); /* NOLINT(concurrency-mt-unsafe) */
	if (!str_blank(trace))
		strs_addf(&c->headers, "traceparent: %s", trace);
	const char *state = getenv("TRACESTATE"); /* NOLINT(concurrency-mt-unsafe) */
	if (!str_blank(trace) && !str_blank(state))
		strs_addf(&c->headers, "tracestate: %s", state);
	return code;
}

void cli_fini(struct cli *c)
{
	http_conn_destroy(c->conn);
	strs_fini(&c->headers);
	loom_free(c->trust.ca);
	loom_free(c->trust.certificate);
	loom_free(c->trust.key);
	loom_free(c->url);
	loom_free(c->login);
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

/* What to look at when a server is not reached: by how it is asked and what went wrong. */
static const char *what_to_check(const char *url, const char *why)
{
	static const struct {
		const char *scheme, *why, *check;
	} known[] = {
		{ "https://", "certificate",
		  "--ca-file or LOOM_CA_FILE says whose certificates to believe." },
		{ "https://", "wrong version number",
		  "Something answers there, but not by TLS: is it http:// that --url or LOOM_URL "
		  "must say?" },
		{ "http://", "Empty reply",
		  "Something is there, but does not answer: if it speaks TLS, --url or LOOM_URL must "
		  "say https://." },
	};
	for (size_t i = 0; i < LOOM_COUNT(known); i++) {
		if (str_starts(url, known[i].scheme) && strstr(why, known[i].why))
			return known[i].check;
	}
	return "Is loom-api running there? --url or LOOM_URL says where it is.";
}

int cli_unreachable(const struct cli *c, const char *why)
{
	const char *sep = strstr(why, ": "); /* "GET http://...: reason" */
	if (sep && (str_starts(why, "GET ") || str_starts(why, "POST ") ||
	            str_starts(why, "PUT ") || str_starts(why, "DELETE ")))
		why = sep + 2;
	return cli_fail(CLI_UNREACHABLE, "cannot reach Loom at %s: %s\n      %s", c->url, why,
	                what_to_check(c->url, why));
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

void cli_warn(const struct http_call *call)
{
	for (size_t i = 0; i < call->warnings.n; i++)
		(void)cli_fail(CLI_OK, "warning: %s", call->warnings.v[i]);
}

static int judge(const struct http_call *call, char **ret_text)
{
	cli_warn(call);
	if (call->status < 200 || call->status > 299) {
		LOOM_CLEANUP_STR char *why =
			cli_reason(call->status, buf_str(&call->answer), call->answer.len);
		return cli_fail(CLI_FAILED, "%s (%d)", why, call->status);
	}
	if (ret_text)
		*ret_text = loom_strndup(buf_str(&call->answer), call->answer.len);
	return CLI_OK;
}

/* r: of the call; began: time of the first try. */
static bool may_ask_again(const struct cli *c, const struct http_call *call, int rc, int64_t began)
{
	int64_t took = clock_mono_ms() - began;
	if (!str_eq(call->method, "GET") && !c->key)
		return false;
	if (rc)
		return took < (c->key ? LOST_MS : GONE_MS);
	/* The same request is in progress, so its answer will come. Other conflicts have no end in
	 * sight. */
	bool soon = call->status == 409 && c->key && call->retry_after_ms > 0;
	return (soon || call->status == 503 || call->status == 502 || call->status == 504) &&
	       took < BUSY_MS;
}

static int64_t pause_of(const struct http_call *call, int r)
{
	int64_t wait = !r && call->retry_after_ms > 0 ? call->retry_after_ms : r ? 200 : 500;
	return wait > 2000 ? 2000 : wait;
}

/* A refusal that is not about a password: how to be somebody, in the command line's words. */
static void hint_who(const struct cli *c, const char *path)
{
	if (c->status == 401 && !str_eq(path, "/v2/login") && !str_eq(path, "/v2/password"))
		fprintf(stderr,
		        "      'loom login' signs in; --token-file or LOOM_TOKEN shows a token.\n");
}

int cli_request(struct cli *c, const char *method, const char *path, const struct json *body,
                char **ret_text)
{
	int64_t began = clock_mono_ms();
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s%s", c->url, path);
	LOOM_CLEANUP_STR char *text = body ? json_text(body) : NULL;
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	for (size_t i = 0; i < c->headers.n; i++)
		strs_add(&headers, c->headers.v[i]);
	if (c->key)
		strs_addf(&headers, "Idempotency-Key: %s", c->key);
	for (;;) {
		struct loom_err err = { 0 };
		struct http_call call = { .method = method,
			                  .url = url,
			                  .headers = &headers,
			                  .trust = &c->trust,
			                  .body = text,
			                  .body_len = text ? strlen(text) : 0,
			                  .max_answer = CLI_ANSWER_MAX,
			                  .timeout_ms = TIMEOUT_MS };
		int rc = http_call(c->conn, &call, &err);
		c->status = rc ? 0 : call.status;
		bool again = may_ask_again(c, &call, rc, began);
		int64_t wait = pause_of(&call, rc);
		int code = again ? CLI_OK
		           : rc  ? cli_unreachable(c, err.msg)
		                 : judge(&call, ret_text);
		http_call_fini(&call);
		if (!again) {
			hint_who(c, path);
			return code;
		}
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
	if (json_parse(text, strlen(text), CLI_ANSWER_MAX, ret, &err) != 0)
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

const char *cli_text(const struct json *v, const char *key)
{
	const char *text = json_get_str(v, key);
	return text ? text : "?";
}

int cli_need(const struct cli *c, const struct json *v, const char *key, const char **ret)
{
	*ret = json_get_str(v, key);
	return !str_blank(*ret)
	               ? CLI_OK
	               : cli_fail(CLI_FAILED, "%s does not answer like Loom: no %s", c->url, key);
}

/* ---- clusters by name ------------------------------------------------------------------------ */

/* The one cluster of this name, NULL if there is none or several (*ret_n says). */
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

/* Those made last are looked through for one that may be meant. */
static int no_cluster(struct cli *c, const char *name)
{
	LOOM_CLEANUP(json_free)
	struct json *list = meant_ask(c, "clusters?fields=name&limit=1000");
	const char *meant = hint_name(list, name);
	return cli_fail(CLI_FAILED, "there is no cluster called %s%s%s%s (loom cluster list)", name,
	                meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
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
	LOOM_CLEANUP_STR char *name = cli_quote(id_or_name);
	LOOM_CLEANUP_STR char *path =
		loom_asprintf("/v2/clusters?name=%s&fields=id,name,status", name);
	int code = cli_request_json(c, "GET", path, NULL, JSON_ARRAY, &list);
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
	if (!id)
		return no_cluster(c, id_or_name);
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
	code = cli_request_json(c, "GET", path, NULL, JSON_OBJECT, ret);
	static const char *const keys[] = { "id", "name", "status" };
	const char *text;
	for (size_t i = 0; !code && i < LOOM_COUNT(keys); i++)
		code = cli_need(c, *ret, keys[i], &text);
	return code;
}

/* ---- text ------------------------------------------------------------------------------------ */

char *cli_quote(const char *s)
{
	struct buf b = BUF_INIT(3 * strlen(s));
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
