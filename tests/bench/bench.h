/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - the load driver's parts: options, samples, and the commands of main.c. It shares two
 * cores with all it measures, so it is one thread on one epoll (limit.c apart) and reads of an
 * answer only what it needs.
 */
#ifndef LOOM_BENCH_H
#define LOOM_BENCH_H

#include "common/json/json.h"

#include <stdint.h>
#include <stdio.h>

/* Words of the form key=value. */
struct options {
	int n;
	char **v;
};

const char *option(const struct options *o, const char *key, const char *otherwise);
int64_t option_int(const struct options *o, const char *key, int64_t otherwise);

/* A list of numbers, and what is said about them. */
struct samples {
	int64_t *v;
	size_t n, cap;
};

void samples_add(struct samples *s, int64_t v);
/* {"n", "p50", "p90", "p99", "max"} in milliseconds; the samples are microseconds. Sorts. */
struct json *samples_ms(struct samples *s);
void samples_fini(struct samples *s);

int64_t wall_us(void); /* since the epoch */
struct json *set_double(struct json *obj, const char *key, double v);

/* Each prints one JSON object to stdout; 0, or 1 after saying why on stderr. */
int play_main(const struct options *o);
int create_main(const struct options *o);
int solve_main(const struct options *o);
int limit_main(const struct options *o);

#endif
