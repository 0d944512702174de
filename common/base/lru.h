/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lru - a cache keyed by two numbers. If it holds too many values, or their total cost (rows,
 * bytes: the caller's unit) is too high, it drops those not used for longest. The value put last
 * stays at any cost. Every call takes constant time.
 *
 * One thread at a time.
 */
#ifndef LOOM_BASE_LRU_H
#define LOOM_BASE_LRU_H

#include <stddef.h>
#include <stdint.h>

struct lru;

/* destroy: called with each value that is dropped. */
struct lru *lru_create(size_t max_values, size_t max_cost, void (*destroy)(void *value));
void lru_destroy(struct lru *l); /* NULL ok */

void *lru_get(struct lru *l, int64_t a, int64_t b);  /* borrowed; counts as a use; NULL: none */
void *lru_take(struct lru *l, int64_t a, int64_t b); /* owned by the caller; NULL: none */
/* Takes value, and replaces any value with this key. */
void lru_put(struct lru *l, int64_t a, int64_t b, void *value, size_t cost);

size_t lru_count(const struct lru *l);
size_t lru_cost(const struct lru *l);

#endif
