/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget - rate limits per name: a token bucket for each, filled at a steady rate, so that a greedy
 * one is held back and nobody else. In memory, of this process. Bounded: the least recently used
 * names are forgotten. Any thread.
 */
#ifndef LOOM_API_BUDGET_H
#define LOOM_API_BUDGET_H

#include <stdint.h>

struct budget;

/* rate: units per second, 0: unlimited; burst: the most units at once. */
struct budget *budget_create(int64_t rate, int64_t burst);
void budget_destroy(struct budget *b); /* NULL ok */
/* Takes amount units for name, at now (monotonic ms). 0; or the ms until they are available, and
 * nothing is taken. More than a burst is never available. */
int64_t budget_take(struct budget *b, const char *name, int64_t amount, int64_t now);
/* The same without taking anything. */
int64_t budget_wait(struct budget *b, const char *name, int64_t amount, int64_t now);

#endif
