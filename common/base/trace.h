/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace - which trace a piece of work belongs to, as W3C Trace Context names it: a traceparent
 * "00-<trace id>-<span id>-<flags>". Pure, but for trace_new(); any thread.
 *
 * The span of a job, of an attempt and of a plug-in's run has an id that follows from its parent's
 * trace and its own name. So whoever knows both, on whatever machine, names the same span, and
 * nothing has to be stored or sent for it.
 */
#ifndef LOOM_BASE_TRACE_H
#define LOOM_BASE_TRACE_H

#include "common/base/mem.h"

#include <stdbool.h>

struct trace {
	char id[33], span[17]; /* hex, small letters */
	bool sampled;          /* whoever began it wants it to be recorded */
};

#define TRACE_TEXT 56 /* a traceparent with its NUL */

/* A traceparent of any version; NULL or none: false, and the caller begins a trace of his own. */
bool trace_parse(const char *text, struct trace *ret);
void trace_text(const struct trace *t, char out[TRACE_TEXT]);
void trace_new(struct trace *ret); /* sampled */
void trace_new_span(struct trace *t);
/* The span of this name within the same trace. */
void trace_named(const struct trace *in, const char *name, struct trace *ret);

#endif
