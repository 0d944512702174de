/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - what this API writes into the log of who did what (model/audit.h).
 *
 * A handler that changes something does it in audit_tx(): then the change and its row are one
 * transaction. What a scheduler is asked to do is written before it is asked. Refusals (401, 403,
 * 404, 409, 412, 422) are written within a second, alike ones counted: the first of its kind at
 * once, those of the minute after it as one row. A kill may lose a refusal that was just given,
 * never the row of a change.
 */
#ifndef LOOM_API_AUDIT_H
#define LOOM_API_AUDIT_H

#include "common/model/audit.h"
#include "common/model/outcome.h"
#include "services/api/request.h"

LOOM_MUST_CHECK int audit_start(struct api *a,
                                struct loom_err *err); /* loop; when the pools are there */
void audit_stop(struct api *a); /* writes what is left; while the database can be asked */
void audit_free(struct api *a); /* when no worker is left */
const struct seal_key *audit_key(const struct api *a);

/* ---- for handlers; worker threads ------------------------------------------------------------ */

/* db_tx() and outcome_tx() with the row of this request's change. */
LOOM_MUST_CHECK int audit_tx(struct http_req *req, db_tx_fn fn, void *arg);
LOOM_MUST_CHECK int audit_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg,
                                     struct outcome *o);
/* The row, in a transaction of another function's. */
LOOM_MUST_CHECK int audit_row(struct db *db, struct http_req *req);
/* The row alone, with AUDIT_ASKED. */
LOOM_MUST_CHECK int audit_asked(struct http_req *req);
/* What was there and what is: either may be NULL. Without it the row has the request's body. May be
 * said again in each run of a transaction. */
void audit_change(struct http_req *req, const struct json *before, const struct json *after);
void audit_before(struct http_req *req, const struct json *before);
/* What it is about, where the path does not say: "providers/lab". */
void audit_object(struct http_req *req, const char *fmt, ...) LOOM_PRINTF(2, 3);

/* ---- for the dispatcher ---------------------------------------------------------------------- */

/* Of a request. */
struct audit_note {
	bool written; /* its row is, unless the answer says that nothing was done */
	bool told;    /* what is */
	char id[AUDIT_ID];
	char *object, *before, *after; /* owned */
};
void audit_note_fini(struct audit_note *n);

/* Is a call of this row a change that is written? Work on tasks is not: its tables tell that. */
bool audit_is_change(const struct route *r);

/* A request was answered, or a head refused. Loop thread. */
void audit_answered(struct http_req *req, int status, void *api);
void audit_head_refused(struct api *a, const struct http_head *head, const struct route *r,
                        int status);

/* ---- audit_from.c ---------------------------------------------------------------------------- */

/* The address that a request is from: the peer's, or, where that is a trusted proxy, the last one
 * in X-Forwarded-For that is none. peer with or without a port; forwarded may be NULL. */
const char *audit_forwarded(const struct http_req *req); /* the last such header; NULL: none */
void audit_from(const char *trusted, const char *peer, const char *forwarded, char ret[64]);

#endif
