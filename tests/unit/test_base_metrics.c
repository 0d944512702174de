/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdlib.h>

enum { M_TASKS, M_OK, M_BAD, M_DEPTH, M_LATENCY, M_LABELLED };

static struct metric rows[] = {
	[M_TASKS] = { .name = "loom_tasks_total",
	              .help = "Tasks\nwith a \\",
	              .kind = METRIC_COUNTER },
	[M_OK] = { .name = "loom_http_total{code=\"200\"}", .help = "Answers" },
	[M_BAD] = { .name = "loom_http_total{code=\"500\"}", .help = "Answers" },
	[M_DEPTH] = { .name = "loom_depth", .kind = METRIC_GAUGE },
	[M_LATENCY] = { .name = "loom_take_ms", .help = "Takes", .kind = METRIC_HISTOGRAM_MS },
	[M_LABELLED] = { .name = "loom_db_seconds{op=\"read\"}",
	                 .help = "Reads",
	                 .kind = METRIC_HISTOGRAM_MS },
};

static const char want[] = "# HELP loom_tasks_total Tasks\\nwith a \\\\\n"
			   "# TYPE loom_tasks_total counter\n"
			   "loom_tasks_total 3\n"
			   "# HELP loom_http_total Answers\n"
			   "# TYPE loom_http_total counter\n"
			   "loom_http_total{code=\"200\"} 2\n"
			   "loom_http_total{code=\"500\"} 0\n"
			   "# HELP loom_depth \n"
			   "# TYPE loom_depth gauge\n"
			   "loom_depth -4\n"
			   "# HELP loom_take_seconds Takes\n"
			   "# TYPE loom_take_seconds histogram\n"
			   "loom_take_seconds_bucket{le=\"0.001\"} 2\n"
			   "loom_take_seconds_bucket{le=\"0.002\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.005\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.01\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.025\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.05\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.1\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.25\"} 3\n"
			   "loom_take_seconds_bucket{le=\"0.5\"} 3\n"
			   "loom_take_seconds_bucket{le=\"1\"} 3\n"
			   "loom_take_seconds_bucket{le=\"2.5\"} 4\n"
			   "loom_take_seconds_bucket{le=\"5\"} 4\n"
			   "loom_take_seconds_bucket{le=\"10\"} 5\n"
			   "loom_take_seconds_bucket{le=\"+Inf\"} 6\n"
			   "loom_take_seconds_sum 21.005\n"
			   "loom_take_seconds_count 6\n"
			   "# HELP loom_db_seconds Reads\n"
			   "# TYPE loom_db_seconds histogram\n"
			   "loom_db_seconds_bucket{op=\"read\",le=\"0.001\"} 0\n";

START_TEST(writes_prometheus_text)
{
	static const int64_t observed[] = { -5, 1, 2, 1001, 10000, 10001 };
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(1 << 16);

	metric_add(&rows[M_TASKS], 1);
	metric_add(&rows[M_TASKS], 2);
	metric_add(&rows[M_OK], 2);
	metric_set(&rows[M_DEPTH], 9);
	metric_set(&rows[M_DEPTH], -4);
	for (size_t i = 0; i < LOOM_COUNT(observed); i++)
		metric_observe_ms(&rows[M_LATENCY], observed[i]);
	metrics_register(rows, LOOM_COUNT(rows));
	metrics_register(rows, LOOM_COUNT(rows)); /* twice is once */
	metrics_write(&b);
	ck_assert_uint_gt(b.len, sizeof(want) - 1);
	b.data[sizeof(want) - 1] = '\0';
	ck_assert_str_eq(b.data, want);
	buf_reset(&b);
	metrics_write(&b);
	ck_assert(str_ends(b.data, "\nloom_db_seconds_sum{op=\"read\"} 0.000\n"
	                           "loom_db_seconds_count{op=\"read\"} 0\n"));
}
END_TEST

static void *count(void *arg)
{
	for (int i = 0; i < 10000; i++)
		metric_add(arg, 1);
	return NULL;
}

START_TEST(counts_from_threads)
{
	pthread_t threads[4];

	for (size_t i = 0; i < LOOM_COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count, &rows[M_TASKS]), 0);
	for (size_t i = 0; i < LOOM_COUNT(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(rows[M_TASKS].value, 40000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, writes_prometheus_text);
	tcase_add_test(tc, counts_from_threads);
	return UNIT_RUN("base_metrics", tc);
}
