/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - return codes other than 0, and reasons for a person to act on.
 *
 * All of Loom has one numbering: an HTTP status (400 to 599), which comes with a sentence from
 * err_set(), or a code of this list. So a caller may pass any code on without confusing it with
 * another. A refusal is a decision: nothing was changed, and asking again gives the same answer. A
 * fault of the database is not: its outcome may be unknown, and it may be tried again.
 */
#ifndef LOOM_BASE_ERR_H
#define LOOM_BASE_ERR_H

#include "common/base/mem.h"

#include <stdbool.h>

/* Code, HTTP status, meaning. PLAIN: from err_set() where no status applies. */
#define ERR_REFUSALS(X)                                                                  \
	X(ERR_PLAIN, 500, "failed")                                                      \
	X(PRECONDITION_E_FAILED, 412, "not the version that was asked for")              \
	X(ENTITY_E_NONE, 404, "no such document")                                        \
	X(ENTITY_E_USED, 409, "document in use")                                         \
	X(TENANT_E_NONE, 404, "the tenant does not exist any more")                      \
	X(CLUSTER_E_NONE, 404, "no such cluster")                                        \
	X(CLUSTER_E_QUOTA, 409, "over the quota")                                        \
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
	X(OWN_ROLE_E_NONE, 404, "no such role")                                          \
	X(OWN_ROLE_E_USED, 409, "role in use")                                           \
	X(OWN_ROLE_E_MANY, 409, "too many roles")                                        \
	X(OWN_ROLE_E_OTHER, 409, "role is not for this user")                            \
	X(TOKEN_E_NONE, 404, "no such token")                                            \
	X(TOKEN_E_MANY, 409, "too many tokens")                                          \
	X(REQUEST_KEY_E_OTHER, 422, "this Idempotency-Key was used for another request") \
	X(PLUGIN_RESOURCE_E_NONE, 404, "no such file for plug-ins")                      \
	X(PLUGIN_RESOURCE_E_USED, 409, "file for plug-ins in use")                       \
	X(PLUGIN_RESOURCE_E_MANY, 409, "too many files for plug-ins")                    \
	X(PLUGIN_RESOURCE_E_FULL, 413, "files for plug-ins are too large together")      \
	X(MACRO_E_SYNTAX, 400, "macro is not well formed")                               \
	X(MACRO_E_INCOMPLETE, 409, "macro asks for what is not known yet")

/* RETRY: run the whole transaction again. DOUBT: the same, but the deadline passed. AWAY: nothing
 * was done within the deadline. FULL: nothing was done, and nothing can be until somebody makes
 * room. FATAL: wrong SQL or a missing table; a defect, logged once. */
#define ERR_FAULTS(X)                                             \
	X(DB_E_DUP, 503, "duplicate key")                         \
	X(DB_E_RETRY, 503, "transient failure")                   \
	X(DB_E_DOUBT, 503, "outcome of the commit unknown")       \
	X(DB_E_AWAY, 503, "database away")                        \
	X(DB_E_FULL, 503, "database out of disk space or memory") \
	X(DB_E_FATAL, 500, "database refused the statement")      \
	X(DB_E_TOO_OLD, 503, "database is newer than this program")

#define ERR_ENUM_(code, status, words) code,
enum err_code {
	ERR_NONE = 0,
	ERR_LAST_STATUS = 599,
	ERR_REFUSALS(ERR_ENUM_) ERR_LAST_REFUSAL = 1000,
	ERR_FAULTS(ERR_ENUM_)
};

struct loom_err {
	int status; /* HTTP; 0 if none applies */
	char msg[1024];
};

/* Fills err (may be NULL) and returns code (ERR_PLAIN if it is 0), for `return err_set(err, 400,
 * ...)`. The arguments may include err->msg itself. */
int err_set(struct loom_err *err, int code, const char *fmt, ...) LOOM_PRINTF(3, 4);

const char *err_name(int code); /* for logs: "no such cluster"; an HTTP status is "refused" */
int err_http_status(int code);  /* 200 for 0; 500 for an unknown code */
bool err_is_refusal(int code);  /* a decision: neither 0 nor a fault */

#endif
