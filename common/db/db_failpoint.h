/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_failpoint - places at which a test breaks transactions (LOOM_DB_FAIL, see db.h).
 *
 * Any thread. Without LOOM_DB_FAIL: NULL, which never fails.
 */
#ifndef LOOM_DB_DB_FAILPOINT_H
#define LOOM_DB_DB_FAILPOINT_H

#include "common/base/config.h"

enum db_fail_point { FAIL_BEFORE_COMMIT, FAIL_DURING_COMMIT, FAIL_AFTER_COMMIT };
enum db_fail {
	DB_FAIL_NOT,
	DB_FAIL_CUT, /* cut the connection */
	DB_FAIL_END, /* end the process: db_fail_end() */
};

struct db_failpoints;

/* 0, or a positive code with err if LOOM_DB_FAIL is malformed. */
LOOM_MUST_CHECK int db_failpoints_read(struct db_failpoints **ret, struct loom_err *err);
void db_failpoints_free(struct db_failpoints *f);

/* run: number of the transaction's run; kind: equal for transactions of the same kind. */
enum db_fail db_fails_at(struct db_failpoints *f, enum db_fail_point point, uint64_t run,
                         uint64_t kind);
/* Like kill -9: flushes and reports nothing. */
void db_fail_end(void);

#endif
