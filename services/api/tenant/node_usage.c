/* SPDX-License-Identifier: Apache-2.0 */
/* Sums up the time for which nodes existed, by intervals. */
#include "services/api/tenant/node_usage.h"

#include "common/base/str.h"

#include <string.h>

#define DAY 86400LL

void node_lives_add(struct node_lives *l, int64_t from, int64_t to)
{
	if (l->n == l->max) {
		l->max = l->max ? 2 * l->max : 256;
		l->v = loom_realloc(l->v, l->max * sizeof(*l->v));
	}
	l->v[l->n++] = (struct node_life){ from, to };
}

void node_lives_fini(struct node_lives *l)
{
	loom_free(l->v);
	*l = (struct node_lives){ 0 };
}

/* ---- words ----------------------------------------------------------------------------------- */

/* A month of 30 days and a year of 360, as the original counts. */
static const struct {
	const char *name;
	int64_t seconds;
} groups[] = {
	{ "hour", 3600 },      { "day", DAY },        { "week", 7 * DAY },
	{ "month", 30 * DAY }, { "year", 360 * DAY },
};

/* One second is `times` of these units, or one unit is `seconds`. */
static const struct {
	const char *name;
	int64_t times, seconds;
} units[] = {
	{ "nanoseconds", 1000000000, 1 },
	{ "microseconds", 1000000, 1 },
	{ "milliseconds", 1000, 1 },
	{ "seconds", 1, 1 },
	{ "minutes", 1, 60 },
	{ "hours", 1, 3600 },
	{ "days", 1, DAY },
};

/* Seconds of a group; 0: unknown. */
static int64_t period_of(const char *group)
{
	for (size_t i = 0; i < LOOM_COUNT(groups); i++) {
		if (str_eq(groups[i].name, group))
			return groups[i].seconds;
	}
	return 0;
}

static size_t unit_of(const char *name)
{
	size_t i = 0;
	while (i < LOOM_COUNT(units) && !str_ieq(units[i].name, name ? name : "seconds"))
		i++;
	return i;
}

int node_usage_check(const struct node_usage *u, struct loom_err *err)
{
	if (u->group && !period_of(u->group))
		return err_set(err, 400, "groupby '%.32s' is none of hour, day, week, month, year",
		               u->group);
	if (unit_of(u->time_unit) == LOOM_COUNT(units))
		return err_set(err, 400,
		               "timeunit '%.32s' is none of nanoseconds, microseconds, "
		               "milliseconds, seconds, minutes, hours, days",
		               u->time_unit);
	return 0;
}

/* Saturates at the largest number. */
static int64_t in_unit(int64_t seconds, const char *name)
{
	size_t i = unit_of(name);
	int64_t n = seconds / units[i].seconds;
	return n > INT64_MAX / units[i].times ? INT64_MAX : n * units[i].times;
}

/* ---- sums ------------------------------------------------------------------------------------ */

static int64_t first_start(const struct node_lives *l)
{
	int64_t first = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (!i || l->v[i].from < first)
			first = l->v[i].from;
	}
	return first;
}

/* The end of the last node; now, if one still exists. */
static int64_t last_end(const struct node_lives *l, int64_t now)
{
	int64_t last = 0;
	for (size_t i = 0; i < l->n; i++) {
		int64_t to = l->v[i].to ? l->v[i].to : now;
		last = to > last ? to : last;
	}
	return l->n ? last : now;
}

struct intervals {
	int64_t start, end, period; /* period 0: a single interval */
	size_t n;
	int64_t *sums, *steps; /* steps: change in the number of nodes that exist for the whole
	                        * interval */
};

/* The first interval begins at start, the others at multiples of the period. */
static int64_t begin_of(const struct intervals *s, size_t i)
{
	return i ? (s->start / s->period + (int64_t)i) * s->period : s->start;
}

static int64_t end_of(const struct intervals *s, size_t i)
{
	return i + 1 < s->n ? begin_of(s, i + 1) : s->end;
}

static size_t index_of(const struct intervals *s, int64_t time)
{
	size_t i = s->period ? (size_t)(time / s->period - s->start / s->period) : 0;
	return i < s->n ? i : s->n - 1;
}

static void add_life(struct intervals *s, int64_t from, int64_t to)
{
	from = from > s->start ? from : s->start;
	to = to < s->end ? to : s->end;
	if (to <= from)
		return;
	size_t i = index_of(s, from), last = index_of(s, to);
	if (i == last) {
		s->sums[i] += to - from;
		return;
	}
	s->sums[i] += end_of(s, i) - from;
	s->sums[last] += to - begin_of(s, last);
	s->steps[i + 1]++;
	s->steps[last]--;
}

static struct json *written(const struct intervals *s, const char *time_unit)
{
	struct json *o = json_set_int(json_new_obj(), "start", s->start), *data = json_new_arr();
	json_set_int(o, "end", s->end);
	int64_t whole = 0;
	for (size_t i = 0; i < s->n; i++) {
		whole += s->steps[i];
		int64_t sum = s->sums[i] + whole * (end_of(s, i) - begin_of(s, i));
		struct json *one = json_set_int(json_new_obj(), "time", begin_of(s, i));
		json_push(data, json_set_int(one, "value", in_unit(sum, time_unit)));
	}
	return json_set(o, "data", data);
}

int node_usage_sum(const struct node_usage *u, const struct node_lives *l, int64_t now,
                   struct json **ret, struct loom_err *err)
{
	struct intervals s = { .start = u->start < 0 ? first_start(l) : u->start,
		               .end = u->end < 0 ? last_end(l, now) : u->end };
	if (s.end < s.start)
		return err_set(err, 400, "end %lld is before start %lld", (long long)s.end,
		               (long long)s.start);
	s.period = l->n && u->group ? period_of(u->group) : 0;
	int64_t n = s.period ? s.end / s.period - s.start / s.period + 1 : 1;
	/* Drop an empty last interval. */
	if (n > 1 && s.end % s.period == 0)
		n--;
	if (n > NODE_USAGE_INTERVALS)
		return err_set(err, 400,
		               "groupby %s makes %lld intervals from start to end; at most %d are "
		               "answered",
		               u->group, (long long)n, NODE_USAGE_INTERVALS);
	s.n = (size_t)n;
	s.sums = loom_calloc(s.n + 1, sizeof(*s.sums));
	s.steps = loom_calloc(s.n + 1, sizeof(*s.steps));
	for (size_t i = 0; i < l->n; i++)
		add_life(&s, l->v[i].from, l->v[i].to ? l->v[i].to : now);
	*ret = written(&s, u->time_unit);
	loom_free(s.sums);
	loom_free(s.steps);
	return 0;
}
