/* SPDX-License-Identifier: Apache-2.0 */
/* Counts without locks, and writes the metrics in Prometheus format. */
#include "common/base/metrics.h"

#include "common/base/str.h"

#include <inttypes.h>
#include <string.h>

#define MAX_TABLES 64

static const int64_t bounds_ms[METRIC_BUCKETS - 1] = {
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
};

static const char *const bounds_text[METRIC_BUCKETS] = {
	"0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "0.1",
	"0.25",  "0.5",   "1",     "2.5",  "5",     "10",   "+Inf",
};

/* Filled at start-up, read-only afterwards. */
static struct {
	struct metric *rows;
	size_t n;
} tables[MAX_TABLES];
static size_t table_count;

void metrics_register(struct metric *table, size_t n)
{
	for (size_t i = 0; i < table_count; i++) {
		if (tables[i].rows == table)
			return;
	}
	loom_assert(table_count < MAX_TABLES);
	tables[table_count].rows = table;
	tables[table_count].n = n;
	table_count++;
}

void metric_add(struct metric *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t v)
{
	atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

void metric_observe_ms(struct metric *m, int64_t ms)
{
	size_t i = 0;
	if (ms < 0)
		ms = 0;
	while (i < LOOM_COUNT(bounds_ms) && ms > bounds_ms[i])
		i++;
	atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->value, ms, memory_order_relaxed);
}

/* A name is "family" or "family{label=\"x\"}"; histograms are written in seconds. */
struct split {
	char *family;
	char *labels; /* without braces; "" for none */
};

static struct split split_name(const struct metric *m)
{
	size_t n = strcspn(m->name, "{");
	struct split s = {
		.family = loom_strndup(m->name, n),
		.labels = loom_strdup(m->name[n] ? m->name + n + 1 : ""),
	};
	size_t len = strlen(s.labels);

	if (len)
		s.labels[len - 1] = '\0';
	if (m->kind == METRIC_HISTOGRAM_MS && !str_ends(s.family, "_seconds")) {
		char *old = s.family;
		if (str_ends(old, "_ms"))
			old[strlen(old) - 3] = '\0';
		s.family = loom_asprintf("%s_seconds", old);
		loom_free(old);
	}
	return s;
}

static void write_head(const struct metric *m, const char *family, struct buf *out)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM_MS] = "histogram",
	};

	buf_addf(out, "# HELP %s ", family);
	for (const char *p = m->help ? m->help : ""; *p; p++) {
		if (*p == '\\' || *p == '\n')
			buf_addf(out, "\\%c", *p == '\n' ? 'n' : '\\');
		else
			buf_addc(out, *p);
	}
	buf_addf(out, "\n# TYPE %s %s\n", family, kinds[m->kind]);
}

static void write_labels(const char *labels, struct buf *out)
{
	if (*labels)
		buf_addf(out, "{%s}", labels);
}

static void write_histogram(const struct metric *m, const struct split *s, struct buf *out)
{
	int64_t count = 0, sum;
	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", s->family, s->labels,
		         *s->labels ? "," : "", bounds_text[i], count);
	}
	sum = atomic_load_explicit(&m->value, memory_order_relaxed);
	buf_addf(out, "%s_sum", s->family);
	write_labels(s->labels, out);
	buf_addf(out, " %" PRId64 ".%03d\n%s_count", sum / 1000, (int)(sum % 1000), s->family);
	write_labels(s->labels, out);
	buf_addf(out, " %" PRId64 "\n", count);
}

static void write_row(const struct metric *m, const struct split *s, struct buf *out)
{
	if (m->kind == METRIC_HISTOGRAM_MS) {
		write_histogram(m, s, out);
		return;
	}
	buf_adds(out, s->family);
	write_labels(s->labels, out);
	buf_addf(out, " %" PRId64 "\n", atomic_load_explicit(&m->value, memory_order_relaxed));
}

static void write_table(const struct metric *rows, size_t n, struct buf *out)
{
	char *last = NULL;
	for (size_t i = 0; i < n; i++) {
		struct split s = split_name(&rows[i]);
		if (!str_eq(s.family, last))
			write_head(&rows[i], s.family, out);
		write_row(&rows[i], &s, out);
		loom_free(last);
		last = s.family;
		loom_free(s.labels);
	}
	loom_free(last);
}

void metrics_write(struct buf *out)
{
	for (size_t i = 0; i < table_count; i++)
		write_table(tables[i].rows, tables[i].n, out);
}
