/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pieces - answers a list as a JSON array, or an object, that is read and written in pieces, for a
 * list may have a hundred thousand items. After each piece the request queues again, behind the
 * others of its tenant and beside those of other tenants, so that nobody waits for more than a
 * piece of another's list. Only the text is kept meanwhile. Once it is longer than a page's, it is
 * sent piece by piece, each after the one before, so that a whole list takes no more memory than a
 * page.
 */
#ifndef LOOM_API_PIECES_H
#define LOOM_API_PIECES_H

#include "common/base/buf.h"
#include "common/net/http_server.h"

#define PIECES_AT_ONCE ((size_t)1 << 20) /* bytes of an answer that is not sent in pieces */

/* Embedded first in each list's own struct, which lives as long as the request. */
struct pieces {
	/* Worker: adds the next items, possibly none, by pieces_add(), and sets `over` with the
	 * last one. 0, or a DB_E_ code. */
	int (*next)(struct pieces *p);
	/* Adds headers before the first byte is sent; may be NULL. */
	void (*head)(struct http_req *req, const struct pieces *p);
	/* The list is empty: true if this has answered the request. NULL: answers an empty
	 * array. */
	bool (*empty)(struct http_req *req, const struct pieces *p);
	/* Answers that what comes first cannot be read. NULL: api_reply_db(). */
	void (*refuse)(struct http_req *req, const struct pieces *p, int rc);
	bool over;
	bool blind;  /* nothing is sent before it is over: head() does not know yet what to say */
	bool object; /* of members, instead of an array */

	struct buf text; /* read, not yet sent */
	size_t written;  /* bytes of the answer in earlier pieces */
	bool streaming;  /* a part has been sent */
	bool failed;     /* the rest cannot be read */
	bool at_work;    /* running on a worker, which owns the request */
};

/* Zeroes all other members. max: bytes, more than a piece can have. */
void pieces_init(struct pieces *p, size_t max);
void pieces_fini(struct pieces *p);

/* Discards what an earlier run left; call first in the function that db_read() runs for a piece. */
void pieces_again(struct pieces *p);
void pieces_add(struct pieces *p, const char *text, size_t len);

/* Worker: reads and sends the whole answer, now and in later pieces. */
void pieces_answer(struct http_req *req, struct pieces *p);

#endif
