/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - a reason a person can act on, carried to a boundary (HTTP answer, command line).
 * `status` is an HTTP status, 0 where none applies.
 */
#ifndef LOOM_BASE_ERR_H
#define LOOM_BASE_ERR_H

#include "common/base/mem.h"

struct loom_err {
	int status;
	char msg[1024];
};

/* Fills err (NULL allowed) and returns the status (1 where that is 0), for `return err_set(err,
 * 400,
 * ...)`. The arguments may name err->msg itself. */
int err_set(struct loom_err *err, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);

#endif
