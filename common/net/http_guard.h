/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_guard - checks whether every HTTP/1 parser must read a stream of request bytes the same way.
 *
 * evhttp reads leniently, and so do proxies, each in its own way; if two of them disagree about the
 * end of a request, a second one can be hidden inside the first.  The guard sees the same bytes
 * before evhttp, follows the framing from request to request (keep-alive, pipelining), and refuses
 * the connection at the first byte that is not plain RFC 9112:
 *
 *  - request line: a known method, a target that is a path or http(s)://host/path (of OPTIONS also
 *    "*"), HTTP/1.1 or HTTP/1.0, one space between them; lines end with CRLF, never with a
 *    bare LF or CR, and are never folded;
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
	uint64_t start;     /* offset of the first byte of the present request */
	uint64_t complete;  /* requests read to their end */
	uint64_t length;    /* of the body, by Content-Length */
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

/* 0, or the status (400, 413, 414, 417, 431, 501, 505), which every later call also returns. */
int http_guard_feed(struct http_guard *g, const void *data, size_t len);

/* Feeds up to a point where the caller may want to act. Returns how many bytes were taken. */
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
/* Does the next byte belong to a head? To a body? */
bool http_guard_before_head(const struct http_guard *g);
bool http_guard_in_body(const struct http_guard *g);
/* How many of the next len bytes belong to the body itself, not to its framing. */
size_t http_guard_body_bytes(const struct http_guard *g, size_t len);

/* Has a request begun whose head is not complete? */
bool http_guard_in_head(const struct http_guard *g);

/* Refuses for the caller's own reason (a literal). */
int http_guard_refuse(struct http_guard *g, int status, const char *reason);

#endif
