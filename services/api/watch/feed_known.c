/* SPDX-License-Identifier: Apache-2.0 */
/* feed_known - hashes of summaries, by the ids of their clusters. */
#include "services/api/watch/feed_known.h"

#include "common/base/str.h"
#include "common/model/cluster/state.h"

#include <sodium.h>
#include <string.h>

struct feed_known {
	struct map *clusters; /* struct known by id */
};

struct known {
	unsigned char hash[crypto_generichash_BYTES_MIN];
	bool pending;
};

struct feed_known *feed_known_create(void)
{
	struct feed_known *k = loom_calloc(1, sizeof(*k));
	k->clusters = map_create(loom_free);
	return k;
}

void feed_known_destroy(struct feed_known *k)
{
	if (!k)
		return;
	map_destroy(k->clusters);
	loom_free(k);
}

/* The first member "status" is the cluster's: quotes in users' texts before it are escaped, and the
 * labels come after it. */
static bool has_status(const char *summary, enum cluster_status status)
{
	static const char member[] = "\"status\":\"";
	const char *at = strstr(summary, member), *name = cluster_status_name(status);
	size_t n = strlen(name);
	at = at ? at + sizeof(member) - 1 : "";
	return strncmp(at, name, n) == 0 && at[n] == '"';
}

bool feed_known_note(struct feed_known *k, const char *id, const char *summary)
{
	struct known now = { .pending = has_status(summary, CLUSTER_PENDING) };
	const struct known *before = map_get(k->clusters, id);
	(void)crypto_generichash(now.hash, sizeof(now.hash), (const unsigned char *)summary,
	                         strlen(summary), NULL, 0);
	if (before && memcmp(before->hash, now.hash, sizeof(now.hash)) == 0)
		return false;
	if (has_status(summary, CLUSTER_TERMINATED)) {
		(void)map_del(k->clusters, id);
		return true;
	}
	struct known *kept = loom_malloc(sizeof(*kept));
	*kept = now;
	map_set(k->clusters, id, kept);
	return true;
}

void feed_known_pending(const struct feed_known *k, struct map *set, void *value)
{
	const char *id;
	void *known;
	for (size_t it = 0; map_next(k->clusters, &it, &id, &known);) {
		if (((const struct known *)known)->pending)
			map_set(set, id, value);
	}
}

size_t feed_known_count(const struct feed_known *k)
{
	return map_count(k->clusters);
}
