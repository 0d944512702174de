/* SPDX-License-Identifier: Apache-2.0 */
/* feed_late - reference-counted texts, and one reader's queue of them. */
#include "services/api/watch/feed_late.h"

#include "common/base/map.h"

#include <string.h>

struct feed_text {
	size_t refs;
	char json[];
};

struct feed_late {
	struct map *texts; /* struct feed_text by id */
};

struct feed_text *feed_text_create(const char *json, size_t len)
{
	struct feed_text *t = loom_malloc(sizeof(*t) + len + 1);
	t->refs = 1;
	memcpy(t->json, json, len);
	t->json[len] = '\0';
	return t;
}

static struct feed_text *ref(struct feed_text *t)
{
	t->refs++;
	return t;
}

void feed_text_unref(struct feed_text *t)
{
	loom_assert(!t || t->refs);
	if (t && !--t->refs)
		loom_free(t);
}

const char *feed_text_json(const struct feed_text *t)
{
	return t->json;
}

static void unref(void *t)
{
	feed_text_unref(t);
}

struct feed_late *feed_late_create(void)
{
	struct feed_late *l = loom_calloc(1, sizeof(*l));
	l->texts = map_create(unref);
	return l;
}

void feed_late_destroy(struct feed_late *l)
{
	if (!l)
		return;
	map_destroy(l->texts);
	loom_free(l);
}

bool feed_late_put(struct feed_late *l, const char *id, struct feed_text *t)
{
	if (map_count(l->texts) >= FEED_LATE_MAX && !map_get(l->texts, id))
		return false;
	map_set(l->texts, id, ref(t));
	return true;
}

void feed_late_give(struct feed_late *l, bool (*fn)(const char *json, void *arg), void *arg)
{
	const char *id;
	void *t;
	bool more = map_count(l->texts);
	for (size_t it = 0; more && map_next(l->texts, &it, &id, &t);) {
		more = fn(feed_text_json(t), arg);
		(void)map_del(l->texts, id);
	}
	if (map_count(l->texts))
		return;
	map_destroy(l->texts); /* a map never shrinks: free its tables */
	l->texts = map_create(unref);
}
