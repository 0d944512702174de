/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics - static tables of counters, gauges and histograms, written as Prometheus text.
 * Rows are static; updates are relaxed atomics from any thread. A name may carry labels:
 * "loom_http_requests_total{code=\"200\"}". Histograms are observed in milliseconds and written in
 * seconds: "loom_http_request_ms" (or no suffix) becomes "loom_http_request_seconds".
 */
#ifndef LOOM_BASE_METRICS_H
#define LOOM_BASE_METRICS_H

#include "common/base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM_MS };

#define METRIC_BUCKETS 14 /* 1 2 5 10 25 50 100 250 500 1000 2500 5000 10000 ms, +Inf */

struct metric {
	const char *name; /* "loom_http_requests_total"; rows of one family stand together */
	const char *help;
	enum metric_kind kind;
	_Atomic int64_t value; /* counter, gauge; sum of ms for a histogram */
	_Atomic int64_t buckets[METRIC_BUCKETS];
};

void metrics_register(struct metric *table, size_t n); /* kept by reference; start-up only */
void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t v);
void metric_observe_ms(struct metric *m, int64_t ms);
void metrics_write(struct buf *out);

#endif
