/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace - tells to which trace a piece of work belongs, in the form of W3C Trace Context: a
 * traceparent "00-<trace id>-<span id>-<flags>". Pure, except trace_new(); any thread.
 *
 * The span id of a job, of an attempt and of a plug-in's run follows from its parent's trace and
 * its own name. So every machine that knows both computes the same span, and none must be stored or
 * sent.
 */
#ifndef LOOM_BASE_TRACE_H
#define LOOM_BASE_TRACE_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

struct trace {
	char id[33], span[17]; /* hex, lower case */
	bool sampled;          /* the originator wants the trace recorded */
};

#define TRACE_TEXT 56 /* a traceparent with its NUL */

/* Parses a traceparent of any version; NULL or invalid: false, and the caller starts a new
 * trace. */
bool trace_parse(const char *text, struct trace *ret);
void trace_text(const struct trace *t, char out[TRACE_TEXT]);
/* The data of trace vendors: the values of all tracestate headers, in order, as one list to pass
 * on. NULL if there is none, or one of them is malformed. A list longer than TRACE_STATE_MAX first
 * loses its longest members, then its last. Owned. */
#define TRACE_STATE_MAX 512
char *trace_state(const char *const *values, size_t n);
void trace_new(struct trace *ret); /* sampled */
void trace_new_span(struct trace *t);
/* The span with this name in the same trace. */
void trace_named(const struct trace *in, const char *name, struct trace *ret);

#endif
