/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - reads summaries of a tenant's clusters on a worker, and gives those that differ from what
 * was given last to all its readers. Only what has news is read: the clusters that notices named,
 * and at a poll those that are pending now or were last.
 */
#include "services/api/feed.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/cluster_list.h"
#include "services/api/db_outage.h"

#include <string.h>

#define GIVE_BYTES  ((size_t)64 << 10) /* written to a reader at once; a summary more may follow */
#define GIVE_MAX    ((size_t)32 << 20)
#define REST        20 /* times as long as giving took */
#define REST_MAX_MS 1000

struct feed {
	struct feed *next;
	struct api *a;
	struct identity who; /* of the first reader: its tenant, and its user unless it sees all */
	struct feed_reader *readers;
	struct map *known;      /* cluster id -> text, as given last */
	struct map *news;       /* ids to read in the next round */
	struct map *asked;      /* ids being read; the worker's while it reads */
	struct feed_news *list; /* what was read, n of them */
	size_t n;
	bool primed; /* the state at the start is known */
	bool polled; /* no notice may have come: look at what is pending */
	bool poll, again, reading, giving;
	int64_t rest_until; /* monotonic ms: until then nothing is read */
	struct loop_timer *rest;
	int rc;
};

static char somewhere; /* what the sets of ids point to */

static bool sees_all(const struct identity *who)
{
	return auth_sees_all(who);
}

static bool same(const struct identity *a, const struct identity *b)
{
	return str_eq(a->tenant_id, b->tenant_id) && sees_all(a) == sees_all(b) &&
	       (sees_all(a) || str_eq(a->user, b->user));
}

static void rested(void *arg);

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
	f->rest = loop_timer_create(a->loop, "feed rest", rested, f);
	a->feeds = f;
	return f;
}

static void drop_list(struct feed *f)
{
	for (size_t i = 0; i < f->n; i++)
		loom_free(f->list[i].text);
	loom_free(f->list);
	f->list = NULL;
	f->n = 0;
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
	drop_list(f);
	loop_timer_destroy(f->rest);
	loom_free(f);
}

/* ---- reading: a worker ----------------------------------------------------------------------- */

static void keep(int64_t id, const char *text, size_t len, void *arg)
{
	struct feed *f = arg;
	struct feed_news *t = &f->list[f->n++];
	id_cluster(t->id, id);
	t->text = loom_strndup(text, len);
}

static int read_into(struct db *db, struct feed *f, const struct cluster_filter *filter,
                     const int64_t *ids, size_t n)
{
	f->list = loom_realloc(f->list, (f->n + n + 1) * sizeof(*f->list));
	return cluster_list_summaries(db, filter, ids, n, keep, f);
}

/* Those that the filter finds by itself. */
static int found_read(struct db *db, struct feed *f, const struct cluster_filter *filter)
{
	struct cluster_keys keys = { 0 };
	int rc = cluster_list_keys(db, filter, &keys);
	if (!rc)
		rc = read_into(db, f, filter, keys.ids, keys.n);
	loom_free(keys.ids);
	return rc;
}

/* Those that notices named and that have not been read. */
static int asked_read(struct db *db, struct feed *f, const struct cluster_filter *filter)
{
	const char *id;
	void *value;
	for (size_t i = 0; i < f->n; i++)
		(void)map_del(f->asked, f->list[i].id);
	int64_t *ids = loom_calloc(map_count(f->asked) + 1, sizeof(*ids));
	size_t n = 0;
	for (size_t it = 0; map_next(f->asked, &it, &id, &value);)
		n += !id_parse_cluster(id, &ids[n]);
	int rc = read_into(db, f, filter, ids, n);
	loom_free(ids);
	return rc;
}

static int summaries_read(struct db *db, void *arg)
{
	struct feed *f = arg;
	drop_list(f);
	struct cluster_filter filter = { .tenant_id = f->who.tenant_id,
		                         .owner_id = sees_all(&f->who) ? NULL : f->who.user };
	if (!f->primed)
		return found_read(db, f, &filter);
	filter.statuses = 1u << CLUSTER_PENDING;
	int rc = f->polled ? found_read(db, f, &filter) : 0;
	return rc ? rc : asked_read(db, f, &filter);
}

static void feed_work(void *arg)
{
	struct feed *f = arg;
	f->rc = db_read(f->a->db, summaries_read, f);
}

/* ---- giving ---------------------------------------------------------------------------------- */

static void give(struct feed *f, const struct feed_news *v, size_t n, const struct buf *events)
{
	struct feed_reader *next;
	for (struct feed_reader *r = f->readers; n && r; r = next) {
		next = r->next;
		r->give(r, v, n, events);
	}
}

/* Only what differs from what was given last stays in the list. */
static void keep_news(struct feed *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct feed_news t = f->list[i];
		if (str_eq(t.text, map_get(f->known, t.id))) {
			loom_free(t.text);
			continue;
		}
		map_set(f->known, t.id, loom_strdup(t.text));
		f->list[n++] = t;
	}
	f->n = n;
}

static void give_all(struct feed *f)
{
	struct buf events = BUF_INIT(GIVE_MAX);
	size_t first = 0;
	keep_news(f);
	for (size_t i = 0; f->primed && i < f->n; i++) {
		sse_add(&events, -1, "summary", f->list[i].text);
		if (events.len < GIVE_BYTES && i + 1 < f->n)
			continue;
		give(f, f->list + first, i + 1 - first, &events);
		buf_reset(&events);
		first = i + 1;
	}
	buf_fini(&events);
	drop_list(f);
	f->primed = true;
}

/* Sending takes the loop about as long again. */
static void give_and_rest(struct feed *f)
{
	int64_t began = clock_mono_us();
	f->giving = true;
	give_all(f);
	f->giving = false;
	int64_t rest = (clock_mono_us() - began) * REST / 1000;
	f->rest_until = clock_mono_ms() + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
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

static void rested(void *arg)
{
	struct feed *f = arg;
	if (f->again && !f->reading)
		feed_kick(f, false);
}

static void feed_done(void *arg)
{
	struct feed *f = arg;
	f->reading = false;
	/* The database being away is waited out: the next poll reads all that was missed. */
	if (f->rc)
		note_news(f, f->asked, NULL);
	else
		give_and_rest(f);
	bool again = f->again && !f->rc && f->readers;
	f->again = false;
	if (again)
		feed_kick(f, false);
	else
		feed_free(f);
}

static void feed_kick(struct feed *f, bool poll)
{
	int64_t rest = f->rest_until - clock_mono_ms();
	f->poll = f->poll || poll;
	f->again = f->reading || rest > 0;
	if (!f->reading && rest > 0)
		loop_timer_arm(f->rest, rest);
	if (f->again || db_outage_now(f->a))
		return;
	f->polled = f->poll;
	if (f->polled)
		note_news(f, f->known, "\"status\":\"pending\"");
	map_destroy(f->asked);
	f->asked = f->news;
	f->news = map_create(NULL);
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", f->who.tenant_id);
	const struct pool_share share = { name, 0 };
	f->reading = !pool_submit_share(f->a->pool, &share, feed_work, feed_done, f);
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
