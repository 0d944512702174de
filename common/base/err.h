/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - what a function returns beside 0, and the reason a person can act on.
 *
 * One numbering for all of Loom: a status of HTTP (400 to 599), which comes with words from
 * err_set(); or a code of this list. So a code may be handed on by any caller without being taken
 * for another's. A refusal is a decision: nothing was changed, and asking again gives the same. A
 * fault of the database is none: what it was about is not known, and may be tried again.
 */
#ifndef LOOM_BASE_ERR_H
#define LOOM_BASE_ERR_H

#include "common/base/mem.h"

#include <stdbool.h>

/* Code, status of HTTP, what it is. PLAIN: of err_set() where no status applies. */
#define ERR_REFUSALS(X)                                                                  \
	X(ERR_PLAIN, 500, "failed")                                                      \
	X(PRECONDITION_E_FAILED, 412, "not the version that was asked for")              \
	X(ENTITY_E_NONE, 404, "no such document")                                        \
	X(ENTITY_E_USED, 409, "document in use")                                         \
	X(CLUSTER_E_NONE, 404, "no such cluster")                                        \
	X(CLUSTER_E_QUOTA, 409, "over the quota")                                        \
	X(JOB_E_NONE, 404, "no such job")                                                \
	X(JOB_E_MANY, 429, "too many unfinished jobs")                                   \
	X(TASK_E_NONE, 404, "no such task")                                              \
	X(TASK_E_UNSTARTED, 404, "task has not run that attempt")                        \
	X(PROVISIONER_E_NONE, 404, "no such provisioner")                                \
	X(PROVISIONER_E_OTHER, 403, "another tenant's provisioner")                      \
	X(PROVISIONER_E_PROBED, 409, "provisioner in quarantine has its probe")          \
	X(CALLBACK_E_NONE, 404, "no such callback")                                      \
	X(CALLBACK_TARGET_E_NONE, 404, "no such callback target")                        \
	X(CALLBACK_TARGET_E_MANY, 409, "too many callback targets")                      \
	X(NODE_RECORD_E_OTHER, 409, "another user's node record")                        \
	X(NODE_RECORD_E_MANY, 409, "too many node records")                              \
	X(IMPORT_E_DRY, 409, "only asked what it would do")                              \
	X(NODE_RECORD_E_MACHINE, 409, "a machine of a cluster")                          \
	X(ACCOUNT_E_NONE, 404, "no such account")                                        \
	X(ACCOUNT_E_LAST, 409, "no superadmin would be left")                            \
	X(ACCOUNT_E_MANY, 409, "too many accounts")                                      \
	X(TOKEN_E_NONE, 404, "no such token")                                            \
	X(TOKEN_E_MANY, 409, "too many tokens")                                          \
	X(REQUEST_KEY_E_OTHER, 422, "this Idempotency-Key was used for another request") \
	X(PLUGIN_RESOURCE_E_NONE, 404, "no such file for plug-ins")                      \
	X(PLUGIN_RESOURCE_E_USED, 409, "file for plug-ins in use")                       \
	X(PLUGIN_RESOURCE_E_MANY, 409, "too many files for plug-ins")                    \
	X(PLUGIN_RESOURCE_E_FULL, 413, "files for plug-ins are too large together")      \
	X(MACRO_E_SYNTAX, 400, "macro is not well formed")                               \
	X(MACRO_E_INCOMPLETE, 409, "macro asks for what is not known yet")

/* RETRY: run the whole transaction again. DOUBT: and the deadline passed. AWAY: within the
 * deadline; nothing was done. FATAL: wrong SQL, a missing table; a defect, logged once. */
#define ERR_FAULTS(X)                                        \
	X(DB_E_DUP, 503, "duplicate key")                    \
	X(DB_E_RETRY, 503, "transient failure")              \
	X(DB_E_DOUBT, 503, "outcome of the commit unknown")  \
	X(DB_E_AWAY, 503, "database away")                   \
	X(DB_E_FATAL, 500, "database refused the statement") \
	X(DB_E_TOO_OLD, 503, "database is newer than this program")

#define ERR_ENUM_(code, status, words) code,
enum err_code {
	ERR_NONE = 0,
	ERR_LAST_STATUS = 599,
	ERR_REFUSALS(ERR_ENUM_) ERR_LAST_REFUSAL = 1000,
	ERR_FAULTS(ERR_ENUM_)
};

struct loom_err {
	int status; /* of HTTP; 0 where none applies */
	char msg[1024];
};

/* Fills err (NULL allowed) and returns code (ERR_PLAIN where that is 0), for `return err_set(err,
 * 400, ...)`. The arguments may name err->msg itself. */
int err_set(struct loom_err *err, int code, const char *fmt, ...) LOOM_PRINTF(3, 4);

const char *err_name(int code); /* for logs: "no such cluster"; a status of HTTP is "refused" */
int err_http_status(int code);  /* 200 for 0; 500 for what is no code of Loom */
bool err_is_refusal(int code);  /* decided: neither 0 nor a fault */

#endif
