/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget - how much each of many may use in a while: a bucket for each name, filled at a steady
 * rate, so that whoever wants more is held back, and nobody else. In memory, of this process.
 * Bounded: the names used last are remembered. Any thread.
 */
#ifndef LOOM_API_BUDGET_H
#define LOOM_API_BUDGET_H

#include <stdint.h>

struct budget;

/* So much a second, and so much at once; rate 0: no bound. */
struct budget *budget_create(int64_t rate, int64_t burst);
void budget_destroy(struct budget *b); /* NULL ok */
/* Takes so much for name, at now (monotonic ms): 0; or in so many ms it could be had, and nothing
 * is taken. What is more than a burst can never be had. */
int64_t budget_take(struct budget *b, const char *name, int64_t amount, int64_t now);
/* The same, but nothing is taken. */
int64_t budget_wait(struct budget *b, const char *name, int64_t amount, int64_t now);

#endif
