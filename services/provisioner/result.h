/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result - what a plugin answered, and the finish message made of it.  Pure; any thread.
 *
 * A plugin's answer is not trusted: it is checked field by field, and unknown fields are dropped.
 * Secrets that its task was told are taken out of its words and results, but of "ssh-auth", by
 * which later tasks log in.
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

/* Outcome of a task so far; several plugins may add to it. */
struct outcome {
	bool failed;
	bool never_retry;
	int64_t status;         /* 0 when it succeeded */
	struct json *result;    /* object or NULL; later plugins win key by key */
	struct json *addresses; /* object or NULL */
	char *hostname;         /* NULL when not said */
	char *message;
	struct buf tail[RUN_STREAMS_]; /* last bytes of the output */
	const struct redact *redact;   /* what its words must not say */
};

void outcome_init(struct outcome *o, const struct redact *redact); /* borrowed; NULL: nothing */
void outcome_fini(struct outcome *o);
/* Keeps the last RESULT_TAIL bytes; it is given without secrets. */
void outcome_output(struct outcome *o, enum run_stream stream, const char *data, size_t len);
/* Adds one plugin's end. timeout_ms is what it was given, for the message. */
void outcome_add(struct outcome *o, const struct run_end *end, int64_t timeout_ms);
/* Fails it without a plugin having run. */
void outcome_fail(struct outcome *o, bool never_retry, const char *message);
/* Adds the outcome's fields (status, retry, result ...) to a finish message. */
void outcome_write(const struct outcome *o, struct json *finish);

static inline void outcome_fini_p(struct outcome *o)
{
	outcome_fini(o);
}

#endif
