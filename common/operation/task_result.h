/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_result - the rules for a task's result. Pure; any thread.
 *
 * Producers and consumers share one set of rules, so that a plugin's error is found next to its
 * log, and never later, where nobody can explain it.
 */
#ifndef LOOM_OPERATION_TASK_RESULT_H
#define LOOM_OPERATION_TASK_RESULT_H

#include "common/json/json.h"

enum {
	TASK_RESULT_MAX = 1 << 20,  /* bytes of a finish message */
	TASK_RESULT_DEPTH = 48,     /* levels of nesting, including the message itself */
	TASK_RESULT_ADDRESSES = 32, /* per node */
	TASK_RESULT_NULLS = 1024,   /* members of ipaddresses before the nulls are removed */
	TASK_RESULT_TEXT = 255,     /* bytes of a host name, an address, the name of an address */
	TASK_RESULT_TAIL = 1 << 16, /* bytes of each output that task_result_cut() leaves */
};

/* Removes null members of v's ipaddresses: addresses that the node does not have. If there are more
 * than TASK_RESULT_NULLS members, which is refused, it does nothing. */
void task_result_tidy(struct json *v);

/* Checks the fields that a finish message and a plugin's answer share: result, ipaddresses,
 * hostname, message, stdout, stderr. 0, or positive with err naming the field and its rule. */
LOOM_MUST_CHECK int task_result_check(const struct json *v, struct loom_err *err);

/* Leaves only the end of a finish message's stdout, stderr and message. */
void task_result_cut(struct json *v);

/* The failure to send instead of a finish message that will never be accepted, with a message for
 * the user; owned. If the result were dropped, the task would be repeated again and again, and in
 * the end be blamed on a lost worker. The provider's name of the node is kept, so that the node can
 * be deleted. */
struct json *task_result_failure(const struct json *finish, const char *message);

#endif
