/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_result - what a result of a task may look like.  Pure; any thread.
 *
 * One set of rules for whoever makes a result and whoever accepts it, so that what a plugin answers
 * is judged where its log is, and never refused later, where nobody can say why.
 */
#ifndef LOOM_OPERATION_TASK_RESULT_H
#define LOOM_OPERATION_TASK_RESULT_H

#include "common/json/json.h"

enum {
	TASK_RESULT_MAX = 1 << 20,  /* bytes of a finish message */
	TASK_RESULT_DEPTH = 48,     /* levels of nesting in it, itself included */
	TASK_RESULT_ADDRESSES = 32, /* of one machine */
	TASK_RESULT_TEXT = 255,     /* bytes of a host name, an address, the name of an address */
};

/* Checks the fields that a finish message and a plugin's answer have in common: result,
 * ipaddresses, hostname, message, stdout, stderr. 0, or positive with err naming the field and its
 * rule. */
LOOM_MUST_CHECK int task_result_check(const struct json *v, struct loom_err *err);

#endif
