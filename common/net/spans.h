/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spans - reports to a collector what was done, when and as part of what, as OpenTelemetry's OTLP
 * over HTTP in JSON. Work never waits for it: spans are kept in a bounded queue and sent every half
 * second, some hundreds at once. A span that finds no room, or that the collector does not take, is
 * dropped and counted.
 */
#ifndef LOOM_NET_SPANS_H
#define LOOM_NET_SPANS_H

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/trace.h"
#include "common/net/loop.h"

/* As OTLP numbers them. */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_PRODUCER = 4, SPAN_CONSUMER = 5 };

struct span {
	const struct trace *at; /* its own ids */
	const char *parent;     /* id of the parent span; "": none */
	const char *state;      /* tracestate; NULL: none */
	const char *name;
	enum span_kind kind;
	int64_t start_us, end_us;       /* since the epoch */
	const struct log_field *fields; /* further attributes (log.h); NULL: none */
	bool failed;
	const char *message; /* reason of a failure; may be NULL */
};

struct spans;

/* endpoint: "http://collector:4318", to which /v1/traces is added; "": none. 0, or 400 with err. */
LOOM_MUST_CHECK int spans_endpoint_check(const char *endpoint, struct loom_err *err);
/* endpoint: a checked one; if it is empty this returns NULL, for which all functions here do
 * nothing. Loop thread. */
struct spans *spans_create(struct loop *l, const char *endpoint, const char *service,
                           const char *instance);
void spans_destroy(struct spans *s); /* unsent spans are lost; call when no other thread adds */

/* Ignores spans of a trace that is not to be recorded. Any thread. */
void spans_add(struct spans *s, const struct span *sp);
/* In two steps, for spans that are only certain later: NULL if it is not to be recorded. */
char *span_text(const struct span *sp);
void spans_add_texts(struct spans *s, const struct strs *texts);

#endif
