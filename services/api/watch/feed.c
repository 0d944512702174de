/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - reads summaries of a tenant's clusters on a worker, and gives all its readers those that
 * changed. It reads only clusters that may have news: those named by notices and, at a poll, those
 * that are pending or were last time.
 */
#include "services/api/watch/feed.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/cluster/cluster_list.h"
#include "services/api/request/db_outage.h"
#include "services/api/watch/feed_known.h"

#define GIVE_BYTES  ((size_t)64 << 10) /* written to a reader at once, plus one summary */
#define GIVE_MAX    ((size_t)32 << 20)
#define REST        20 /* rests this many times as long as giving took */
#define REST_MAX_MS 1000

struct feed {
	struct feed *next;
	struct api *a;
	struct identity who; /* of the first reader: its tenant, and its user unless he sees all */
	struct feed_reader *readers;
	struct feed_known *known; /* the summaries given last */
	size_t counted;           /* entries of `known` that the metric includes */
	struct map *news;         /* ids to read in the next round */
	struct map *asked;        /* ids being read; owned by the worker while it reads */
	struct feed_news *list;   /* what was read, n of them */
	size_t n;
	bool primed; /* the initial state is known */
	bool polled; /* notices may have been lost: read the pending clusters */
	bool poll, again, reading, giving;
	int64_t rest_until; /* monotonic ms: no reading before */
	struct loop_timer *rest;
	int rc;
};

static char somewhere; /* the value of each entry in the sets of ids */

enum { M_KNOWN, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_KNOWN] = { "loom_api_feed_clusters", "Clusters remembered for their watchers",
	              METRIC_GAUGE },
};

void feeds_start(void)
{
	metrics_register(metrics, M_COUNT);
}

static void count_known(struct feed *f, size_t n)
{
	metric_add(&metrics[M_KNOWN], (int64_t)n - (int64_t)f->counted);
	f->counted = n;
}

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
		            .known = feed_known_create(),
		            .news = map_create(NULL),
		            .asked = map_create(NULL) };
	f->rest = loop_timer_create(a->loop, "feed rest", rested, f);
	a->feeds = f;
	return f;
}

static void drop_list(struct feed *f)
{
	for (size_t i = 0; i < f->n; i++)
		feed_text_unref(f->list[i].text);
	loom_free(f->list);
	f->list = NULL;
	f->n = 0;
}

/* Frees a feed without readers once its reading is done. */
static void feed_free(struct feed *f)
{
	if (f->readers || f->reading || f->giving)
		return;
	struct feed **at = &f->a->feeds;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	count_known(f, 0);
	feed_known_destroy(f->known);
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
	t->text = feed_text_create(text, len);
}

static int read_into(struct db *db, struct feed *f, const struct cluster_filter *filter,
                     const int64_t *ids, size_t n)
{
	f->list = loom_realloc(f->list, (f->n + n + 1) * sizeof(*f->list));
	return cluster_list_summaries(db, filter, ids, n, keep, f);
}

/* Clusters that the filter finds by itself. */
static int found_read(struct db *db, struct feed *f, const struct cluster_filter *filter)
{
	struct cluster_keys keys = { 0 };
	int rc = cluster_list_keys(db, filter, &keys);
	if (!rc)
		rc = read_into(db, f, filter, keys.ids, keys.n);
	loom_free(keys.ids);
	return rc;
}

/* Clusters that notices named and that are not read yet. */
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
	filter.statuses = f->primed ? 1u << CLUSTER_PENDING
	                            : ((1u << CLUSTER_STATUSES_) - 1) & ~(1u << CLUSTER_TERMINATED);
	if (!f->primed)
		return found_read(db, f, &filter);
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

/* Drops summaries that equal the ones given last. */
static void keep_news(struct feed *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct feed_news t = f->list[i];
		if (feed_known_note(f->known, t.id, feed_text_json(t.text)))
			f->list[n++] = t;
		else
			feed_text_unref(t.text);
	}
	f->n = n;
	count_known(f, feed_known_count(f->known));
}

static void give_all(struct feed *f)
{
	struct buf events = BUF_INIT(GIVE_MAX);
	size_t first = 0;
	keep_news(f);
	for (size_t i = 0; f->primed && i < f->n; i++) {
		sse_add(&events, -1, "summary", feed_text_json(f->list[i].text));
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

/* Sending the events takes the loop about as long again. */
static void give_and_rest(struct feed *f)
{
	int64_t began = clock_mono_us();
	f->giving = true;
	give_all(f);
	f->giving = false;
	int64_t rest = (clock_mono_us() - began) * REST / 1000;
	f->rest_until = clock_mono_ms() + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
}

static void note_news(struct feed *f, const struct map *ids)
{
	const char *id;
	for (size_t it = 0; map_next(ids, &it, &id, NULL);)
		map_set(f->news, id, &somewhere);
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
	/* During a database outage just wait: the next poll reads all that was missed. */
	if (f->rc)
		note_news(f, f->asked);
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
		feed_known_pending(f->known, f->news, &somewhere);
	map_destroy(f->asked);
	f->asked = f->news;
	f->news = map_create(NULL);
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", f->who.tenant_id);
	const struct pool_share share = { name, 0 };
	f->reading = !pool_submit_share(f->a->pool, &share, feed_work, feed_done, f);
	if (f->reading)
		f->poll = false;
	else /* the next poll asks again */
		note_news(f, f->asked);
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
