/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client - libcurl: a blocking call for threads and command lines, and a streaming fetch on
 * the loop for the gateway. No redirects, bounded answers.
 */
#ifndef LOOM_NET_HTTP_CLIENT_H
#define LOOM_NET_HTTP_CLIENT_H

#include "common/base/buf.h"
#include "common/base/config.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/net/loop.h"

/* Blocking. Keep one `struct http_conn` per thread to reuse the connection (NULL: a fresh one). */
struct http_conn;
struct sockaddr;
struct http_conn *http_conn_create(void);
void http_conn_destroy(struct http_conn *c);

/* Which servers we trust, and our own certificate; files in PEM, "" or NULL for none. */
struct http_trust {
	char *ca; /* authorities, instead of the system's */
	char *certificate, *key;
	bool pinned; /* accept any server with a certificate from `ca`, whatever its name */
};
extern const struct config_key http_trust_keys[]; /* ca_file client_certificate client_key */
extern const struct http_trust http_trust_system; /* the system's authorities */
/* 0, or an error with err naming the missing file. */
LOOM_MUST_CHECK int http_trust_check(const struct http_trust *t, struct loom_err *err);

struct http_call {
	const char *method;
	const char *url;
	const struct strs *headers; /* "Name: value"; may be NULL */
	const void *body;           /* NULL: none; Content-Type is application/json */
	size_t body_len;
	const struct http_trust *trust; /* https:// too; NULL: http:// only */
	int64_t connect_ms;             /* 0 = 2000 */
	int64_t timeout_ms;             /* whole call; 0 = 10000; < 0 = none */
	size_t max_answer;              /* 0 = 16 MiB */
	/* For URLs that others chose: also allows https://, and asks about every address right
	 * before connecting to it, whatever the name resolved to. If false is returned, the call
	 * fails with -EACCES (a fetch: http_fetch_refused()). Reuses no earlier connection, except
	 * with `again` one to the same host and port that was used up to 2 s ago: for clients whose
	 * calls all have the same rules. allow_arg is borrowed until the end. */
	bool (*allow)(const struct sockaddr *addr, void *arg);
	void *allow_arg;
	bool again;
	/* Uses no earlier connection. Where one ends before an answer has begun, the request is
	 * otherwise sent again by another, and may be done twice. */
	bool once;
	/* Streaming: called with each piece instead of filling answer; non-zero ends the call with
	 * -ECANCELED. The body of an answer with status 400 or above still goes to answer. */
	int (*on_data)(const char *data, size_t len, void *arg);
	void *arg;
	/* out */
	int status; /* 0 if there was no answer */
	struct buf answer;
	int64_t retry_after_ms; /* from Retry-After, else -1 */
	struct strs warnings;   /* texts of Warning: 299, a few */
};
/* 0 if an HTTP answer of any status came; else -errno with err filled (host, port, reason). */
LOOM_MUST_CHECK int http_call(struct http_conn *c, struct http_call *call, struct loom_err *err);
void http_call_fini(struct http_call *call);

/* The host of an http:// or https:// URL, lower case, without brackets; returns owned. NULL for any
 * other text, and for URLs with a user or password. */
char *http_url_host(const char *url);
/* Is the traffic protected from reading and changing on its way? https://, or http:// on this
 * machine. */
bool http_url_is_safe(const char *url);

/* On the loop. */
struct http_client;
struct http_fetch;
struct http_fetch_ops {
	void (*on_head)(struct http_fetch *f, int status, const struct strs *headers, void *arg);
	void (*on_data)(struct http_fetch *f, const char *data, size_t len, void *arg);
	/* error is NULL on a complete answer; f is freed after this returns. */
	void (*on_done)(struct http_fetch *f, const char *error, void *arg);
};
struct http_client *http_client_create(struct loop *l);
void http_client_destroy(struct http_client *c);
/* Copies all arguments except allow_arg. connect_ms as above; timeout_ms < 0: no limit on the
 * whole. */
struct http_fetch *http_fetch_start(struct http_client *c, const struct http_call *spec,
                                    const struct http_fetch_ops *ops, void *arg);
/* In on_done: did `allow` refuse the address? */
bool http_fetch_refused(const struct http_fetch *f);
/* From Retry-After among an answer's headers, seconds or a date; more than a day is a day; none:
 * -1. */
int64_t http_retry_after_ms(const struct strs *headers);
void http_fetch_cancel(struct http_fetch *f);            /* no callback follows */
void http_fetch_pause(struct http_fetch *f, bool pause); /* back-pressure */

LOOM_DEFINE_CLEANUP(struct http_conn *, http_conn_destroy)

#endif
