/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map that keeps insertion order. Entries are in an array in that order; an open-addressed
 * table of indexes finds them. A deleted entry leaves a hole in both until the next growth, so that
 * walks survive a deletion. The hash key is random per process, because map keys often come from
 * clients.
 */
#include "common/base/map.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define MAP_MIN 8 /* a power of two */

struct entry {
	char *key; /* NULL: a hole */
	void *value;
	uint64_t hash;
};

struct map {
	void (*free_value)(void *);
	struct entry *entries;
	uint32_t *slots; /* index + 1; 0 is empty; twice as many as entries */
	size_t used, cap, live;
};

static unsigned char hash_key[crypto_shorthash_KEYBYTES];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
	randombytes_buf(hash_key, sizeof(hash_key));
}

static uint64_t hash_string(const char *s)
{
	uint64_t hash;
	(void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)s, strlen(s),
	                       hash_key);
	return hash;
}

struct map *map_create(void (*free_value)(void *))
{
	struct map *m = loom_calloc(1, sizeof(*m));
	(void)pthread_once(&hash_once, make_hash_key);
	m->free_value = free_value;
	return m;
}

void map_destroy(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->used; i++) {
		if (!m->entries[i].key)
			continue;
		loom_free(m->entries[i].key);
		if (m->free_value)
			m->free_value(m->entries[i].value);
	}
	loom_free(m->entries);
	loom_free(m->slots);
	loom_free(m);
}

/* The entry of a key, or NULL. The table is at most half full, so the search ends. */
static struct entry *find(const struct map *m, const char *key, uint64_t hash)
{
	size_t mask = m->cap * 2 - 1;
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & mask; m->slots[i]; i = (i + 1) & mask) {
		struct entry *e = &m->entries[m->slots[i] - 1];
		if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

static void slot_put(struct map *m, size_t index)
{
	size_t mask = m->cap * 2 - 1;
	size_t i = m->entries[index].hash & mask;
	while (m->slots[i])
		i = (i + 1) & mask;
	m->slots[i] = (uint32_t)(index + 1);
}

/* Drops the holes, and doubles the size unless that freed enough. */
static void rebuild(struct map *m)
{
	size_t n = 0;
	if (m->cap == 0)
		m->cap = MAP_MIN;
	else if (m->live > m->cap / 2)
		m->cap *= 2;
	loom_assert(m->cap < UINT32_MAX / 2);
	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].key)
			m->entries[n++] = m->entries[i];
	}
	m->used = n;
	m->entries = loom_realloc(m->entries, m->cap * sizeof(*m->entries));
	loom_free(m->slots);
	m->slots = loom_calloc(m->cap * 2, sizeof(*m->slots));
	for (size_t i = 0; i < m->used; i++)
		slot_put(m, i);
}

void map_set(struct map *m, const char *key, void *value)
{
	uint64_t hash = hash_string(key);
	struct entry *e = find(m, key, hash);
	if (e) {
		void *old = e->value;
		e->value = value;
		if (m->free_value && old != value)
			m->free_value(old);
		return;
	}
	if (m->used == m->cap)
		rebuild(m);
	m->entries[m->used] =
		(struct entry){ .key = loom_strdup(key), .value = value, .hash = hash };
	slot_put(m, m->used);
	m->used++;
	m->live++;
}

void *map_get(const struct map *m, const char *key)
{
	struct entry *e = m->live ? find(m, key, hash_string(key)) : NULL;
	return e ? e->value : NULL;
}

bool map_del(struct map *m, const char *key)
{
	struct entry *e = m->live ? find(m, key, hash_string(key)) : NULL;
	char *old_key;
	void *old;
	if (!e)
		return false;
	old_key = e->key;
	old = e->value;
	*e = (struct entry){ 0 };
	m->live--;
	if (m->free_value)
		m->free_value(old);
	loom_free(old_key); /* last: the caller may have passed this very key */
	return true;
}

size_t map_count(const struct map *m)
{
	return m->live;
}

bool map_next(const struct map *m, size_t *it, const char **ret_key, void **ret_value)
{
	while (*it < m->used) {
		const struct entry *e = &m->entries[(*it)++];
		if (!e->key)
			continue;
		if (ret_key)
			*ret_key = e->key;
		if (ret_value)
			*ret_value = e->value;
		return true;
	}
	return false;
}
