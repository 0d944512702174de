/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_guard - says of a stream of request bytes whether every HTTP/1 parser must read it alike.
 *
 * evhttp reads leniently, and so do proxies, each in its own way; where two of them disagree about
 * the end of a request, a second one can be hidden inside the first.  The guard sees the same bytes
 * ahead of evhttp, follows the framing from request to request (keep-alive, pipelining), and
 * refuses for good at the first byte that is not plain RFC 9112:
 *
 *  - request line: a known method, a target that is a path or http(s)://host/path (of OPTIONS also
 *    "*"), HTTP/1.1 or HTTP/1.0, one space between them; lines end with CRLF, never a bare LF or
 * CR, never folded;
 *  - header names are tokens with the colon right behind; values have no control characters;
 *  - Host exactly once (HTTP/1.0: at most once); Content-Length at most once, digits only;
 *    Transfer-Encoding at most once, exactly "chunked", HTTP/1.1 only, never with Content-Length;
 *  - chunk sizes are plain hexadecimal; extensions behind them are short; no trailer fields;
 *  - head, number of headers and body stay within the limits.
 *
 * Pure: no I/O, no allocation.  One guard per connection; not thread safe.
 */
#ifndef LOOM_NET_HTTP_GUARD_H
#define LOOM_NET_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_guard_limits {
	size_t max_head;      /* request line and headers, bytes */
	unsigned max_headers; /* lines */
	uint64_t max_body;    /* bytes */
};

struct http_guard {
	struct http_guard_limits limits;
	int status;         /* 0, or the HTTP status to refuse with; stays */
	const char *reason; /* a literal; NULL while status is 0 */
	uint64_t fed;       /* bytes accepted */
	uint64_t start;     /* of those, where the request now being read begins */
	uint64_t complete;  /* requests read to their end */
	uint64_t length;    /* of the body, from Content-Length */
	bool chunked;       /* the body comes in chunks */

	/* private: the request being read */
	int state, field;
	size_t head;
	unsigned headers, digits, extension;
	bool v11, host, has_length, options;
	uint64_t left, body;
	size_t word_len, value_len;
	char word[24];
	char value[264];
};

void http_guard_init(struct http_guard *g, const struct http_guard_limits *limits);

/* 0, or the status (400, 413, 414, 417, 431, 501, 505) that every later call returns too. */
int http_guard_feed(struct http_guard *g, const void *data, size_t len);

/* The same up to a place that the caller may want to act at. Returns how many bytes were taken. */
enum http_guard_stop {
	HTTP_GUARD_ALL,  /* everything was taken, or the request is refused */
	HTTP_GUARD_HEAD, /* a head has ended: refuse, or call again (with 0 bytes if none are left)
	                  */
	HTTP_GUARD_REQUEST,   /* a request has ended */
	HTTP_GUARD_EXTENSION, /* what was taken is part of a chunk extension, which has no meaning
	                       */
};
size_t http_guard_next(struct http_guard *g, const void *data, size_t len,
                       enum http_guard_stop *ret_stop);
/* Is the next byte one of a head? Of a body? */
bool http_guard_before_head(const struct http_guard *g);
bool http_guard_in_body(const struct http_guard *g);
/* How many of the next len bytes are of the body itself, and not of its framing. */
size_t http_guard_body_bytes(const struct http_guard *g, size_t len);

/* Has a request begun whose head is not complete? */
bool http_guard_in_head(const struct http_guard *g);

/* Refuses for a reason of the caller's own (a literal). */
int http_guard_refuse(struct http_guard *g, int status, const char *reason);

#endif
