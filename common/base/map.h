/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - string keys to pointers, insertion order kept when walked.  Keys are copied, values are
 * borrowed unless a free function is given.  Not thread safe.
 */
#ifndef LOOM_BASE_MAP_H
#define LOOM_BASE_MAP_H

#include "common/base/mem.h"

#include <stdbool.h>

struct map;

struct map *map_create(void (*free_value)(void *));
void map_destroy(struct map *m);
void map_set(struct map *m, const char *key, void *value); /* replaces, freeing the old value */
void *map_get(const struct map *m, const char *key);       /* NULL if absent */
bool map_del(struct map *m, const char *key);
size_t map_count(const struct map *m);
/* Walk: for (size_t it = 0; map_next(m, &it, &key, &value);) ; deleting the current key is allowed
 */
bool map_next(const struct map *m, size_t *it, const char **ret_key, void **ret_value);

LOOM_DEFINE_CLEANUP(struct map *, map_destroy)

#endif
