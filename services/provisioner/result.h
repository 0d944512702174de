/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result - a plugin's answer, and the finish message made from it. Pure; any thread.
 *
 * A plugin's answer is not trusted: it is checked field by field, and unknown fields are dropped.
 * The task's secrets are removed from its messages and results, except from "ssh-auth", which later
 * tasks need to log in.
 */
#ifndef LOOM_PROVISIONER_RESULT_H
#define LOOM_PROVISIONER_RESULT_H

#include "common/json/json.h"
#include "common/json/redact.h"
#include "runner.h"

enum { RESULT_TAIL = 2048 }; /* bytes of stdout and stderr kept for a failure */

/* Parses an answer. No bytes give an empty object. 0, or positive with err saying what is wrong;
 * *ret is then NULL, or an object with the part of the answer that is usable. */
LOOM_MUST_CHECK int result_parse(const char *text, size_t len, struct json **ret,
                                 struct loom_err *err);

/* The outcome of a task so far; its plugins add to it one after another. */
struct outcome {
	bool failed;
	bool never_retry;
	int64_t status;         /* 0: success */
	struct json *result;    /* object or NULL; later plugins override members */
	struct json *addresses; /* object or NULL */
	char *hostname;         /* NULL: not given */
	char *message;
	struct buf tail[RUN_STREAMS_]; /* last bytes of each output stream */
	const struct redact *redact;   /* secrets to remove from texts */
};

void outcome_init(struct outcome *o, const struct redact *redact); /* redact is borrowed; NULL:
                                                                    * nothing */
void outcome_fini(struct outcome *o);
/* Keeps the last RESULT_TAIL bytes; data has no secrets any more. */
void outcome_output(struct outcome *o, enum run_stream stream, const char *data, size_t len);
/* Adds the end of a plugin run. timeout_ms is its time limit, for the message. */
void outcome_add(struct outcome *o, const struct run_end *end, int64_t timeout_ms);
/* Marks the task as failed without a plugin run. */
void outcome_fail(struct outcome *o, bool never_retry, const char *message);
/* Adds the outcome's members (status, retry, result ...) to a finish message. */
void outcome_write(const struct outcome *o, struct json *finish);

static inline void outcome_fini_p(struct outcome *o)
{
	outcome_fini(o);
}

#endif
