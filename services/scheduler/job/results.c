/* SPDX-License-Identifier: Apache-2.0 */
/* results - the fence, and what is kept of a failed attempt's output. */
#include "services/scheduler/job/results.h"

#include "common/base/fault.h"
#include "common/base/str.h"
#include "services/scheduler/job/job_lifecycle.h"

#include <string.h>

#define KEPT_OUTPUT 2048 /* characters of a failed attempt's output (rest-api 5.5) */

/* Does the result belong to the attempt that runs now? Workers of the original send no attempt and
 * know no claim: theirs is known by who holds the task. */
static int fence(const struct msg_finish *said, const struct task *t)
{
	if (fault_enabled("fence"))
		return t->state == TASK_RUNNING ? 0 : 417;
	int64_t attempt = said->attempt;
	bool theirs = str_eq(t->provisioner_id, said->provisioner) &&
	              str_eq(t->worker_id, said->worker) && task_claim_is(t, said->claim);
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

static struct task_result result_of(const struct msg_finish *said)
{
	return (struct task_result){ .status = said->status,
		                     .never_again = !said->retry,
		                     .result = said->result,
		                     .ipaddresses = said->ipaddresses,
		                     .hostname = said->hostname };
}

bool result_about_node(const struct msg_finish *said, const struct task *t)
{
	const struct task_result res = result_of(said);
	return lifecycle_about_node(t, &res);
}

/* The end of a text, marked where it was cut. NULL gives NULL. */
static char *tail(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n <= KEPT_OUTPUT)
		return loom_strdup(s);
	const char *from = s + n - KEPT_OUTPUT;
	while ((*from & 0xc0) == 0x80) /* not inside a character */
		from++;
	return loom_asprintf("[snipped]%s", from);
}

int result_apply(struct unit *u, struct task *t, const struct msg_finish *said, bool unstorable,
                 int *ret_status)
{
	static const struct task_result none = { .status = -1,
		                                 .never_again = true,
		                                 .message = "its result could not be stored" };
	*ret_status = fence(said, t);
	if (*ret_status)
		return 0;
	*ret_status = 200;
	if (said->lost) /* the worker was late and knows it */
		return lifecycle_lost(u, t, LOST_LEASE);
	if (unstorable)
		return lifecycle_finish(u, t, &none);
	LOOM_CLEANUP_STR char *out = tail(said->out);
	LOOM_CLEANUP_STR char *err = tail(said->err);
	LOOM_CLEANUP_STR char *why = tail(said->message);
	struct task_result res = result_of(said);
	res.message = !str_blank(why) ? why : !str_blank(err) ? err : out;
	res.out = out;
	res.err = err;
	return lifecycle_finish(u, t, &res);
}
