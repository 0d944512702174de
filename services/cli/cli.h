/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what every command of `loom` shares: where the server is, who asks, how answers are shown.
 *
 * It knows nothing that the REST API does not tell.  One thread; results go to stdout, everything
 * else to stderr.
 */
#ifndef LOOM_CLI_CLI_H
#define LOOM_CLI_CLI_H

#include "services/cli/args.h"

#include "common/json/json.h"
#include "common/net/http_client.h"

#define CLI_DEFAULT_URL "http://127.0.0.1:55054"

enum {
	CLI_OK,
	CLI_FAILED = 1,      /* refused, or what was asked for did not come about */
	CLI_UNREACHABLE = 2, /* nobody answered */
	CLI_NOT_WELL = 3,    /* doctor has found something */
	CLI_USAGE = 64,
	CLI_INTERRUPTED = 130,
};

struct cli {
	char *url; /* without a slash at its end */
	const char *user, *tenant;
	bool json;  /* -o json */
	int status; /* of the last answer; 0: there was none */
	struct http_conn *conn;
	struct strs headers; /* identity */
	const char *key;     /* Idempotency-Key of the next request; borrowed, may be NULL */
};

/* CLI_OK, or after a word of why CLI_USAGE; cli_fini() is due either way. */
LOOM_MUST_CHECK int cli_init(struct cli *c, const struct args *a);
void cli_fini(struct cli *c);

/* "loom: ..." and a newline on stderr; returns code. */
int cli_fail(int code, const char *fmt, ...) LOOM_PRINTF(2, 3);

/* One request; path begins with '/', body may be NULL.  An answer of status 2xx is CLI_OK with
 * *ret_text owned by the caller (NULL: not wanted); anything else has been told on stderr, and the
 * exit code comes back.  What may be repeated (a GET, or a request with a key) is asked again for a
 * while when the server is busy, or does not answer. */
LOOM_MUST_CHECK int cli_request(struct cli *c, const char *method, const char *path,
                                const struct json *body, char **ret_text);
/* The same for an answer in JSON: an object, or an array of objects. */
LOOM_MUST_CHECK int cli_request_json(struct cli *c, const char *method, const char *path,
                                     const struct json *body, enum json_type type,
                                     struct json **ret);

/* The same byte by byte as the server has it: for what is sent back, not for a terminal. */
LOOM_MUST_CHECK int cli_request_exactly(struct cli *c, const char *method, const char *path,
                                        const struct json *body, struct json **ret);

/* Asks for what a command shows. Where the output is JSON it is printed, and *ret is NULL. */
LOOM_MUST_CHECK int cli_get(struct cli *c, const char *path, enum json_type type,
                            struct json **ret);

/* What an answer that is not 2xx says: a problem's detail, missing fields, or its text. Pure;
 * returns owned. */
char *cli_reason(int status, const char *body, size_t len);

/* Tells that the server was not reached, and what to check; returns CLI_UNREACHABLE. */
int cli_unreachable(const struct cli *c, const char *why);

/* id of a cluster, given as number or name (a name prefers clusters that are not terminated).
 * Returns an exit code; *ret_id owned. */
LOOM_MUST_CHECK int cli_find_cluster(struct cli *c, const char *id_or_name, char **ret_id);

/* The same with all that the server tells of it: *ret owned. */
LOOM_MUST_CHECK int cli_get_cluster(struct cli *c, const char *id_or_name, struct json **ret);

/* s with everything but unreserved characters as %XX. Returns owned. */
char *cli_quote(const char *s);

/* Safe for a terminal, like all that is printed: what would steer one is escaped. Laid out over
 * lines on a terminal, one line elsewhere. */
void cli_print_json(const struct json *v);
char *cli_pretty(const char *compact); /* JSON without white space, laid out. Pure, owned */
/* The same for a document whose texts are printed one by one; cli_request_json() does it, unless
 * the output is JSON. */
void cli_show_safely(struct json **v);

#endif
