/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - what this API writes into the log of who did what (model/identity/audit.h).
 *
 * A handler makes its change in audit_tx(), so that the change and its row are one transaction. For
 * work that a scheduler does, the row is written before the scheduler is asked. Refusals (401, 403,
 * 404, 409, 412, 422) are written within a second and aggregated: the first of a kind at once,
 * equal ones of the following minute as one row with a count. A kill may lose a recent refusal,
 * never the row of a change.
 */
#ifndef LOOM_API_AUDIT_H
#define LOOM_API_AUDIT_H

#include "common/model/cluster/outcome.h"
#include "common/model/identity/audit.h"
#include "services/api/request/request.h"

LOOM_MUST_CHECK int audit_start(struct api *a, struct loom_err *err); /* loop thread; after the
                                                                       * thread pools are created */
void audit_stop(struct api *a); /* writes the pending rows; call while the database is still open */
void audit_free(struct api *a); /* after the last worker has ended */
const struct seal_key *audit_key(const struct api *a);

/* ---- for handlers; worker threads ------------------------------------------------------------ */

/* db_tx() and outcome_tx(), which also write this request's audit row. */
LOOM_MUST_CHECK int audit_tx(struct http_req *req, db_tx_fn fn, void *arg);
LOOM_MUST_CHECK int audit_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg,
                                     struct outcome *o);
/* Writes the row in the caller's own transaction. */
LOOM_MUST_CHECK int audit_row(struct db *db, struct http_req *req);
/* Writes only the row, with status AUDIT_ASKED. */
LOOM_MUST_CHECK int audit_asked(struct http_req *req);
/* Records the thing before and after the change; either may be NULL. Without this call the row
 * holds the request's body. May be called again when a transaction is retried. */
void audit_change(struct http_req *req, const struct json *before, const struct json *after);
void audit_before(struct http_req *req, const struct json *before);
/* Names the changed thing where the path does not: "providers/lab". */
void audit_object(struct http_req *req, const char *fmt, ...) LOOM_PRINTF(2, 3);

/* ---- for the dispatcher ---------------------------------------------------------------------- */

/* What the audit log knows about a request. */
struct audit_note {
	bool written;   /* its row is written, unless the answer says that nothing was done */
	bool described; /* the handler said what changed */
	char id[AUDIT_ID];
	char *object, *before, *after; /* owned */
};
void audit_note_fini(struct audit_note *n);

/* Is a call of this row a change that the audit log records? Work on tasks is not: the task tables
 * record it. */
bool audit_is_change(const struct route *r);

/* Rows came into the chain: wakes who waits for them. Any thread. */
void audit_sealed(struct api *a);

/* A request was answered, or a head refused. Loop thread. */
void audit_answered(struct http_req *req, int status, void *api);
void audit_head_refused(struct api *a, const struct http_head *head, const struct route *r,
                        int status);

/* ---- audit_from.c ---------------------------------------------------------------------------- */

/* The client's address: the peer's or, if the peer is a trusted proxy, the last address in
 * X-Forwarded-For that is not a trusted proxy. peer with or without a port; forwarded may be
 * NULL. */
char *audit_forwarded(const struct http_req *req); /* all such headers joined, owned; NULL: none */
char *audit_head_forwarded(const struct http_head *head);
void audit_from(const char *trusted, const char *peer, const char *forwarded, char ret[64]);

#endif
