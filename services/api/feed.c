/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - reads summaries of a tenant's clusters on a worker, and gives those that differ from what
 * was given last to all its readers. Only what has news is read: the clusters that notices named,
 * and at a poll those that are pending now or were last.
 */
#include "services/api/feed.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/cluster.h"
#include "services/api/db_outage.h"

#include <string.h>

struct feed {
	struct feed *next;
	struct api *a;
	struct identity who; /* of the first reader: its tenant, and its user unless it sees all */
	struct feed_reader *readers;
	struct map *known; /* cluster id -> text, as given last */
	struct map *news;  /* ids to read in the next round */
	struct map *asked; /* ids being read; the worker's while it reads */
	struct json *list; /* what was read */
	bool primed;       /* the state at the start is known */
	bool polled;       /* no notice may have come: look at what is pending */
	bool poll, again, reading, giving;
	int rc;
};

static char somewhere; /* what the sets of ids point to */

static bool sees_all(const struct identity *who)
{
	return who->role >= ROLE_ADMIN;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return str_eq(a->tenant_id, b->tenant_id) && sees_all(a) == sees_all(b) &&
	       (sees_all(a) || str_eq(a->user, b->user));
}

static struct feed *feed_find(struct api *a, const struct identity *who)
{
	struct feed *f = a->feeds;
	while (f && !same(&f->who, who))
		f = f->next;
	if (f)
		return f;
	f = loom_calloc(1, sizeof(*f));
	*f = (struct feed){ .next = a->feeds,
		            .a = a,
		            .who = *who,
		            .known = map_create(loom_free),
		            .news = map_create(NULL),
		            .asked = map_create(NULL) };
	a->feeds = f;
	return f;
}

/* When nobody reads it, and nothing is under way. */
static void feed_free(struct feed *f)
{
	if (f->readers || f->reading || f->giving)
		return;
	struct feed **at = &f->a->feeds;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	map_destroy(f->known);
	map_destroy(f->news);
	map_destroy(f->asked);
	json_free(f->list);
	loom_free(f);
}

/* ---- reading: a worker ----------------------------------------------------------------------- */

static int read_into(struct db *db, struct feed *f, const struct cluster_filter *only)
{
	struct json *some = NULL;
	int rc = cluster_summaries(db, only, &some);
	for (size_t i = 0; !rc && i < json_len(some); i++) {
		map_del(f->asked, json_get_str(json_at(some, i), "id"));
		json_push(f->list, json_copy(json_at(some, i)));
	}
	json_free(some);
	return rc;
}

static int summaries_read(struct db *db, void *arg)
{
	struct feed *f = arg;
	json_free(f->list);
	f->list = json_new_arr();
	struct cluster_filter filter = { .tenant_id = f->who.tenant_id,
		                         .owner_id = sees_all(&f->who) ? NULL : f->who.user };
	if (!f->primed)
		return read_into(db, f, &filter);
	filter.statuses = 1u << CLUSTER_PENDING;
	int rc = f->polled ? read_into(db, f, &filter) : 0;
	filter.statuses = 0;
	LOOM_CLEANUP(strs_fini) struct strs ids = { 0 };
	const char *id;
	void *value;
	for (size_t it = 0; map_next(f->asked, &it, &id, &value);)
		strs_add(&ids, id);
	for (size_t i = 0; !rc && i < ids.n; i++) {
		if (!id_parse_cluster(ids.v[i], &filter.id))
			rc = read_into(db, f, &filter);
	}
	return rc;
}

static void feed_work(void *arg)
{
	struct feed *f = arg;
	f->rc = db_read(f->a->db, summaries_read, f);
}

/* ---- giving ---------------------------------------------------------------------------------- */

static void give(struct feed *f, const char *id, const char *text)
{
	struct feed_reader *next;
	for (struct feed_reader *r = f->readers; r; r = next) {
		next = r->next;
		r->give(r, id, text);
	}
}

static void give_all(struct feed *f)
{
	f->giving = true;
	for (size_t i = 0; i < json_len(f->list); i++) {
		const char *id = json_get_str(json_at(f->list, i), "id");
		LOOM_CLEANUP_STR char *text = json_text(json_at(f->list, i));
		if (str_eq(text, map_get(f->known, id)))
			continue;
		if (f->primed)
			give(f, id, text);
		map_set(f->known, id, loom_take(text));
	}
	f->primed = true;
	f->giving = false;
}

static void note_news(struct feed *f, const struct map *ids, const char *with)
{
	const char *id;
	void *text;
	for (size_t it = 0; map_next(ids, &it, &id, &text);) {
		if (!with || strstr(text, with))
			map_set(f->news, id, &somewhere);
	}
}

static void feed_kick(struct feed *f, bool poll);

static void feed_done(void *arg)
{
	struct feed *f = arg;
	f->reading = false;
	/* The database being away is waited out: the next poll reads all that was missed. */
	if (f->rc)
		note_news(f, f->asked, NULL);
	else
		give_all(f);
	bool again = f->again && !f->rc && f->readers;
	f->again = false;
	if (again)
		feed_kick(f, false);
	else
		feed_free(f);
}

static void feed_kick(struct feed *f, bool poll)
{
	f->poll = f->poll || poll;
	f->again = f->reading;
	if (f->reading || db_outage_now(f->a))
		return;
	f->polled = f->poll;
	if (f->polled)
		note_news(f, f->known, "\"status\":\"pending\"");
	map_destroy(f->asked);
	f->asked = f->news;
	f->news = map_create(NULL);
	f->reading = !pool_submit(f->a->pool, feed_work, feed_done, f);
	if (f->reading)
		f->poll = false;
	else /* the next poll asks again */
		note_news(f, f->asked, NULL);
}

void feeds_event(struct api *a, int64_t cluster, const char *tenant_id)
{
	char id[ID_MAX];
	id_cluster(id, cluster);
	for (struct feed *f = a->feeds; f; f = f->next) {
		if (str_eq(f->who.tenant_id, tenant_id)) {
			map_set(f->news, id, &somewhere);
			feed_kick(f, false);
		}
	}
}

void feeds_poll(struct api *a)
{
	for (struct feed *f = a->feeds; f; f = f->next)
		feed_kick(f, true);
}

/* ---- readers --------------------------------------------------------------------------------- */

void feed_join(struct feed_reader *r, struct api *a, const struct identity *who)
{
	struct feed *f = r->feed = feed_find(a, who);
	r->next = f->readers;
	f->readers = r;
	if (!f->primed)
		feed_kick(f, false);
}

void feed_leave(struct feed_reader *r)
{
	if (!r->feed)
		return;
	struct feed_reader **at = &r->feed->readers;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	feed_free(r->feed);
	r->feed = NULL;
}
