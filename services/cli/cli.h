/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - shared by all commands of `loom`: where the server is, who the caller is, how answers are
 * shown.
 *
 * It uses only the REST API. One thread; results go to stdout, everything else to stderr.
 */
#ifndef LOOM_CLI_CLI_H
#define LOOM_CLI_CLI_H

#include "services/cli/args.h"

#include "common/json/json.h"
#include "common/net/http_client.h"

#define CLI_DEFAULT_URL "http://127.0.0.1:55054"
#define CLI_ANSWER_MAX  ((size_t)1 << 30) /* a cluster of ten thousand machines has some 50 MiB */

enum {
	CLI_OK,
	CLI_FAILED = 1,      /* refused, or the operation failed */
	CLI_UNREACHABLE = 2, /* no server answered */
	CLI_NOT_WELL = 3,    /* doctor has found problems */
	CLI_USAGE = 64,
	CLI_INTERRUPTED = 130,
};

struct cli {
	char *url; /* without a trailing slash */
	const char *user, *tenant;
	bool json;  /* -o json */
	int status; /* of the last answer; 0: none */
	struct http_conn *conn;
	struct http_trust trust; /* for URLs with https:// */
	struct strs headers;     /* the caller's identity */
	char *login;             /* the file of the login whose token is shown; NULL: another's */
	const char *key;         /* Idempotency-Key of the next request; borrowed, may be NULL */
};

/* CLI_OK, or CLI_USAGE after printing an error; call cli_fini() either way. */
LOOM_MUST_CHECK int cli_init(struct cli *c, const struct args *a);
void cli_fini(struct cli *c);

/* Prints "loom: ..." and a newline to stderr; returns code. */
int cli_fail(int code, const char *fmt, ...) LOOM_PRINTF(2, 3);

/* Sends one request; path begins with '/', body may be NULL. For status 2xx returns CLI_OK with
 * *ret_text owned by the caller (NULL: not wanted); otherwise prints the error and returns the exit
 * code. Repeatable requests (GET, or with a key) are retried for a while when the server is busy or
 * does not answer. */
LOOM_MUST_CHECK int cli_request(struct cli *c, const char *method, const char *path,
                                const struct json *body, char **ret_text);
/* The same for an answer in JSON: an object, or an array of objects. */
LOOM_MUST_CHECK int cli_request_json(struct cli *c, const char *method, const char *path,
                                     const struct json *body, enum json_type type,
                                     struct json **ret);

/* The same with the exact bytes of the server: to be sent back, not for a terminal. */
LOOM_MUST_CHECK int cli_request_exactly(struct cli *c, const char *method, const char *path,
                                        const struct json *body, struct json **ret);

/* Requests what a command shows. With JSON output prints it, and *ret is NULL. */
LOOM_MUST_CHECK int cli_get(struct cli *c, const char *path, enum json_type type,
                            struct json **ret);

/* A text of an answer for people; "?" if the answer has none. */
const char *cli_text(const struct json *v, const char *key);
/* A text that an answer must have: CLI_OK, or CLI_FAILED after printing that it has none. */
LOOM_MUST_CHECK int cli_need(const struct cli *c, const struct json *v, const char *key,
                             const char **ret);

/* Prints warnings in the answer (Warning: 299) to stderr. */
void cli_warn(const struct http_call *call);

/* The explanation in an answer that is not 2xx: a problem's detail, missing fields, or its text.
 * Pure; returns owned. */
char *cli_reason(int status, const char *body, size_t len);

/* Prints that the server was not reached, and what to check; returns CLI_UNREACHABLE. */
int cli_unreachable(const struct cli *c, const char *why);

/* Finds the id of a cluster given as number or name (a name prefers clusters that are not
 * terminated). Returns an exit code; *ret_id owned. */
LOOM_MUST_CHECK int cli_find_cluster(struct cli *c, const char *id_or_name, char **ret_id);

/* The same with the server's full description: *ret owned. */
LOOM_MUST_CHECK int cli_get_cluster(struct cli *c, const char *id_or_name, struct json **ret);

/* Percent-encodes all but unreserved characters. Returns owned. */
char *cli_quote(const char *s);

/* Prints JSON, with control characters escaped, as for all output. Indented on a terminal, else one
 * line. */
void cli_print_json(const struct json *v);
char *cli_pretty(const char *s); /* Indents JSON that has no white space. Pure, owned */
/* Makes a document's texts safe for printing one by one; cli_request_json() does it, unless the
 * output is JSON. */
void cli_show_safely(struct json **v);

#endif
