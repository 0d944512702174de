/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spans - what was done, when and as part of what, told to a collector as OpenTelemetry's OTLP over
 * HTTP in JSON. Work never waits for it: spans are kept in a bounded queue and sent every half
 * second, some hundreds at once; what finds no room, and what the collector does not take, is
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
	const struct trace *at; /* it */
	const char *parent;     /* id of the span that it is part of; "": the first one */
	const char *name;
	enum span_kind kind;
	int64_t start_us, end_us;       /* since the epoch */
	const struct log_field *fields; /* what else there is to say (log.h); NULL: nothing */
	bool failed;
	const char *message; /* why; may be NULL */
};

struct spans;

/* endpoint: "http://collector:4318", to which /v1/traces is added; "": none. 0, or 400 with err. */
LOOM_MUST_CHECK int spans_endpoint_check(const char *endpoint, struct loom_err *err);
/* endpoint: one that is right; without it NULL comes back, which all of these take and do nothing
 * for. Loop thread. */
struct spans *spans_create(struct loop *l, const char *endpoint, const char *service,
                           const char *instance);
void spans_destroy(struct spans *s); /* what is not sent is lost; when no other thread adds */

/* Those of a trace that nobody wants recorded are passed over. Any thread. */
void spans_add(struct spans *s, const struct span *sp);
/* In two steps, for what is only known to have happened later: NULL when it is not wanted. */
char *span_text(const struct span *sp);
void spans_add_texts(struct spans *s, const struct strs *texts);

#endif
