/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events - the events of clusters as server-sent events, numbered without gaps, and summaries of
 * all the caller's clusters as they change. Each as a stream, or several in one for a browser,
 * which has few connections per site.
 */
#include "services/api/resources.h"

#include "common/base/fault.h"
#include "common/base/str.h"
#include "common/model/cluster/history.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/watch/feed.h"
#include "services/api/watch/watch.h"

#include <string.h>

#define BATCH       256
#define BATCH_BYTES ((size_t)256 << 10) /* read at once, plus one event */
#define TOPICS      64

struct line {
	int64_t cluster, seq;
	char *type, *data;
};

struct topic {
	int64_t cluster, last; /* the last number written */
};

struct event_watch {
	struct watch w;
	struct feed_reader feed;
	struct feed_late *later; /* while this reader is behind */
	bool many;               /* each event names its cluster */
	struct topic topics[TOPICS];
	size_t n_topics;
	struct line *lines; /* BATCH of them; NULL without topics */
	size_t n, bytes;
	int64_t of; /* the cluster that is being read */
};

/* ---- events of clusters ---------------------------------------------------------------------- */

static int keep_line(const struct event *e, void *arg)
{
	struct event_watch *ew = arg;
	ew->lines[ew->n++] =
		(struct line){ ew->of, e->seq, loom_strdup(e->type), loom_strdup(e->data) };
	ew->bytes += strlen(e->data);
	return ew->n == BATCH || ew->bytes >= BATCH_BYTES;
}

static void drop_lines(struct event_watch *ew)
{
	for (size_t i = 0; i < ew->n; i++) {
		loom_free(ew->lines[i].type);
		loom_free(ew->lines[i].data);
	}
	ew->n = 0;
	ew->bytes = 0;
}

static bool is_full(const struct event_watch *ew)
{
	return ew->n == BATCH || ew->bytes >= BATCH_BYTES;
}

static int events_read(struct db *db, void *arg)
{
	struct event_watch *ew = arg;
	int rc = 0;
	drop_lines(ew);
	for (size_t i = 0; !rc && i < ew->n_topics && !is_full(ew); i++) {
		ew->of = ew->topics[i].cluster;
		rc = cluster_events(db, ew->of, ew->topics[i].last, (int)(BATCH - ew->n), keep_line,
		                    ew);
	}
	return rc;
}

static int read_topics(struct watch *w, struct db_pool *p, bool *more)
{
	struct event_watch *ew = (struct event_watch *)w;
	hold_at("topics_read");
	int rc = db_read(p, events_read, ew);
	*more = is_full(ew);
	return rc;
}

static bool about(const struct watch *w, int64_t cluster)
{
	const struct event_watch *ew = (const struct event_watch *)w;
	for (size_t i = 0; i < ew->n_topics; i++) {
		if (ew->topics[i].cluster == cluster)
			return true;
	}
	return false;
}

static long write_line(struct event_watch *ew, const struct line *l)
{
	for (size_t i = 0; i < ew->n_topics; i++) {
		if (ew->topics[i].cluster == l->cluster)
			ew->topics[i].last = l->seq;
	}
	if (!ew->many)
		return sse_event(ew->w.req, l->seq, l->type, l->data);
	char id[ID_MAX];
	id_cluster(id, l->cluster);
	LOOM_CLEANUP_STR char *text =
		loom_asprintf("{\"cluster\":\"%s\",\"seq\":%lld,\"type\":\"%s\",\"data\":%s}", id,
	                      (long long)l->seq, l->type, l->data);
	return sse_event(ew->w.req, -1, "event", text);
}

struct late_write {
	struct http_req *req;
	long unsent;
};

static bool write_late(const char *json, void *arg)
{
	struct late_write *lw = arg;
	lw->unsent = sse_event(lw->req, -1, "summary", json);
	return lw->unsent >= 0;
}

static long write_news(struct watch *w)
{
	struct event_watch *ew = (struct event_watch *)w;
	struct late_write lw = { w->req, 0 };
	feed_late_give(ew->later, write_late, &lw);
	long unsent = lw.unsent;
	for (size_t i = 0; i < ew->n && unsent >= 0; i++)
		unsent = write_line(ew, &ew->lines[i]);
	drop_lines(ew);
	return unsent;
}

static void free_watch(struct watch *w)
{
	struct event_watch *ew = (struct event_watch *)w;
	feed_leave(&ew->feed);
	feed_late_destroy(ew->later);
	drop_lines(ew);
	loom_free(ew->lines);
	loom_free(ew);
}

static const struct watch_ops topic_ops = {
	.read = read_topics, .write = write_news, .about = about, .free = free_watch
};
static const struct watch_ops feed_ops = { .write = write_news,
	                                   .about = about,
	                                   .free = free_watch };

/* ---- summaries ------------------------------------------------------------------------------- */

static struct event_watch *of_reader(struct feed_reader *r)
{
	return (struct event_watch *)((char *)r - offsetof(struct event_watch, feed));
}

static bool keep_late(struct event_watch *ew, const struct feed_news *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!feed_late_put(ew->later, v[i].id, v[i].text))
			return false;
	}
	ew->w.again = true;
	return true;
}

/* A reader that is behind gets only the newest summary of each cluster, once it has taken what was
 * written. If this concerns too many clusters its stream ends, and it reads the list again. A
 * stream that has ended is called here as long as a worker reads for it. */
static void give(struct feed_reader *r, const struct feed_news *v, size_t n,
                 const struct buf *events)
{
	struct event_watch *ew = of_reader(r);
	if (ew->w.ended)
		return;
	if (ew->w.behind) {
		if (!keep_late(ew, v, n))
			watch_end(&ew->w);
		return;
	}
	long unsent = http_stream_write(ew->w.req, events->data, events->len);
	if (unsent < 0)
		watch_end(&ew->w);
	else
		watch_behind(&ew->w, unsent);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct event_watch *new_watch(struct http_req *req, struct api *a,
                                     const struct identity *who)
{
	struct event_watch *ew = loom_calloc(1, sizeof(*ew));
	ew->w = (struct watch){ .ops = &feed_ops, .a = a, .req = req, .who = *who, .sse = true };
	ew->later = feed_late_create();
	return ew;
}

static void add_topic(struct event_watch *ew, int64_t cluster, int64_t last)
{
	ew->topics[ew->n_topics++] = (struct topic){ cluster, last };
	ew->w.ops = &topic_ops;
	if (!ew->lines)
		ew->lines = loom_calloc(BATCH, sizeof(*ew->lines));
}

static void start_on_loop(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct event_watch *ew = arg;
	if (ew->feed.give)
		feed_join(&ew->feed, ew->w.a, &ew->w.who);
	watch_start(&ew->w, NULL);
}

struct see {
	const struct identity *who;
	int64_t id, first, newest; /* numbers of the existing events */
};

static int see_read(struct db *db, void *arg)
{
	struct see *s = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = visible_get(db, s->who, s->id, &c);
	s->newest = rc ? 0 : c->event_seq;
	return rc ? rc : history_first_event(db, s->id, &s->first);
}

void events_cluster(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct identity *who = request_who(req);
	struct see s = { .who = who, .id = request_cluster(req) };
	int64_t last;
	const char *after = http_header(req, "Last-Event-ID");
	if (!watch_number(req, after ? after : http_query(req, "after"), &last))
		return;
	int rc = db_read(a->db, see_read, &s);
	if (rc) {
		visible_refuse(req, rc, s.id);
		return;
	}
	if (!watch_can_resume(req, last, s.first, s.newest))
		return;
	struct event_watch *ew = new_watch(req, a, who);
	add_topic(ew, s.id, last);
	http_defer(req, start_on_loop, ew);
}

void events_tenant(struct http_req *req, void *ctx)
{
	struct event_watch *ew = new_watch(req, ctx, request_who(req));
	ew->feed.give = give;
	http_defer(req, start_on_loop, ew);
}

/* "00000001:17": a cluster, and the number of the last event seen; false when answered. */
static bool ask_topic(struct http_req *req, struct event_watch *ew, const char *text)
{
	struct see s = { .who = &ew->w.who };
	int64_t last;
	size_t n = strcspn(text, ":");
	LOOM_CLEANUP_STR char *id = loom_strndup(text, n);
	if (id_parse_cluster(id, &s.id)) {
		http_reply_problem(req, 400,
		                   "cluster '%.40s' must be the id of a cluster, a colon and"
		                   " the number of the event seen last",
		                   text);
		return false;
	}
	if (!watch_number(req, text[n] ? text + n + 1 : NULL, &last))
		return false;
	int rc = db_read(ew->w.a->db, see_read, &s);
	if (rc && rc != CLUSTER_E_NONE) {
		visible_refuse(req, rc, s.id);
		return false;
	}
	/* A cluster that is gone is left out. If events after `last` are missing, or the cluster is
	 * not the one that `last` belongs to, send it from its first event: the other clusters of
	 * the stream must not suffer. */
	if (!rc && !about(&ew->w, s.id))
		add_topic(ew, s.id, watch_resumes(last, s.first, s.newest) ? last : 0);
	return true;
}

void events_many(struct http_req *req, void *ctx)
{
	struct event_watch *ew = new_watch(req, ctx, request_who(req));
	ew->many = true;
	if (http_query(req, "clusters"))
		ew->feed.give = give;
	const char *text;
	for (size_t i = 0; (text = http_query_nth(req, "cluster", i)); i++) {
		if (i == TOPICS) {
			http_reply_problem(req, 400, "at most %d clusters at once", TOPICS);
			free_watch(&ew->w);
			return;
		}
		if (!ask_topic(req, ew, text)) {
			free_watch(&ew->w);
			return;
		}
	}
	http_defer(req, start_on_loop, ew);
}
