/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_usage - for how long nodes existed, summed up by intervals (REST spec 13.2). Times are
 * seconds since 1970. Pure.
 */
#ifndef LOOM_API_NODE_USAGE_H
#define LOOM_API_NODE_USAGE_H

#include "common/json/json.h"

#define NODE_USAGE_INTERVALS 100000 /* more are refused */

/* A node: created at `from`, deleted at `to` (0: it still exists). */
struct node_life {
	int64_t from, to;
};
struct node_lives {
	struct node_life *v;
	size_t n, max;
};
void node_lives_add(struct node_lives *l, int64_t from, int64_t to);
void node_lives_fini(struct node_lives *l);

struct node_usage {
	int64_t start, end;    /* -1: from the lives */
	const char *group;     /* "hour" .. "year"; NULL: one interval */
	const char *time_unit; /* "seconds", in any case; NULL: seconds */
};
/* Are group and time_unit known? 0, or 400 with err. */
LOOM_MUST_CHECK int node_usage_check(const struct node_usage *u, struct loom_err *err);
/* {"start", "end", "data": [{"time", "value"}]}: 0 with *ret owned, or 400 with err. */
LOOM_MUST_CHECK int node_usage_sum(const struct node_usage *u, const struct node_lives *l,
                                   int64_t now, struct json **ret, struct loom_err *err);

#endif
