/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events - what happens to a cluster, as server-sent events numbered without gaps; and summaries of
 * all the caller's clusters as they change.
 */
#include "services/api/resources.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "services/api/visible.h"
#include "services/api/watch.h"

#include <string.h>

#define BATCH 256

struct line {
	int64_t seq;
	char *type, *data;
};

struct cluster_watch {
	struct watch w;
	int64_t last; /* number written last */
	struct line lines[BATCH];
	size_t n;
};

static int keep_line(const struct event *e, void *arg)
{
	struct cluster_watch *cw = arg;
	cw->lines[cw->n++] = (struct line){ e->seq, loom_strdup(e->type), loom_strdup(e->data) };
	return cw->n == BATCH;
}

static void drop_lines(struct cluster_watch *cw)
{
	for (size_t i = 0; i < cw->n; i++) {
		loom_free(cw->lines[i].type);
		loom_free(cw->lines[i].data);
	}
	cw->n = 0;
}

static int events_read(struct db *db, void *arg)
{
	struct cluster_watch *cw = arg;
	drop_lines(cw);
	return cluster_events(db, cw->w.cluster, cw->last, BATCH, keep_line, cw);
}

static int cluster_read(struct watch *w, struct db_pool *p, bool *more)
{
	struct cluster_watch *cw = (struct cluster_watch *)w;
	int rc = db_read(p, events_read, cw);
	*more = cw->n == BATCH;
	return rc;
}

static bool cluster_write(struct watch *w)
{
	struct cluster_watch *cw = (struct cluster_watch *)w;
	long unsent = 0;
	for (size_t i = 0; i < cw->n && unsent >= 0; i++) {
		unsent = sse_event(w->req, cw->lines[i].seq, cw->lines[i].type, cw->lines[i].data);
		cw->last = cw->lines[i].seq;
	}
	drop_lines(cw);
	return unsent >= 0 && unsent < WATCH_BACKLOG;
}

static void cluster_free_watch(struct watch *w)
{
	drop_lines((struct cluster_watch *)w);
	loom_free(w);
}

static const struct watch_ops cluster_ops = { .read = cluster_read,
	                                      .write = cluster_write,
	                                      .free = cluster_free_watch };

struct see {
	const struct identity *who;
	int64_t id;
};

static int see_read(struct db *db, void *arg)
{
	struct see *s = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	return visible_get(db, s->who, s->id, &c);
}

static void start_on_loop(struct http_req *req LOOM_UNUSED, void *arg)
{
	watch_start(arg, NULL);
}

void events_cluster(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who;
	struct see s = { .who = &who };
	if (!auth(a, req, ROLE_USER, &who) || !visible_id(req, "id", &s.id))
		return;
	const char *after = http_header(req, "Last-Event-ID");
	if (!after)
		after = http_query(req, "after");
	int64_t last = 0;
	if (after && (str_to_int(after, &last) || last < 0)) {
		http_reply_problem(req, 400, "'%.32s' is not the number of an event", after);
		return;
	}
	int rc = db_read(a->db, see_read, &s);
	if (rc) {
		visible_refuse(req, rc, s.id);
		return;
	}
	struct cluster_watch *cw = loom_calloc(1, sizeof(*cw));
	cw->w = (struct watch){
		.ops = &cluster_ops, .a = a, .req = req, .who = who, .sse = true, .cluster = s.id
	};
	cw->last = last;
	http_defer(req, start_on_loop, cw);
}

/*
 * Sends a summary when it differs from the one sent last. Only what has news is read: the clusters
 * that notices named, and at a poll those that are pending now or were when sent last.
 */
struct tenant_watch {
	struct watch w;
	struct map *sent;  /* cluster id -> text */
	struct map *news;  /* ids to read in the next round */
	struct map *asked; /* ids being read; the worker's while it reads */
	struct json *list;
	bool primed; /* the state at the start is known */
};

static char somewhere; /* what the sets of ids point to */

static void tenant_news(struct watch *w, int64_t cluster)
{
	char id[ID_MAX];
	id_cluster(id, cluster);
	map_set(((struct tenant_watch *)w)->news, id, &somewhere);
}

static void tenant_prepare(struct watch *w, bool polled)
{
	struct tenant_watch *tw = (struct tenant_watch *)w;
	const char *id;
	void *text;
	for (size_t it = 0; polled && map_next(tw->sent, &it, &id, &text);)
		if (strstr(text, "\"status\":\"pending\""))
			map_set(tw->news, id, &somewhere);
	struct map *done = tw->asked;
	tw->asked = tw->news;
	map_destroy(done);
	tw->news = map_create(NULL);
}

static int read_into(struct db *db, struct cluster_filter *f, struct json *list)
{
	LOOM_CLEANUP(json_free) struct json *some = NULL;
	int rc = cluster_summaries(db, f, &some);
	for (size_t i = 0; !rc && i < json_len(some); i++)
		json_push(list, json_copy(json_at(some, i)));
	return rc;
}

static int summaries_read(struct db *db, void *arg)
{
	struct tenant_watch *tw = arg;
	json_free(tw->list);
	tw->list = json_new_arr();
	struct cluster_filter f = { .tenant_id = tw->w.who.tenant_id,
		                    .owner_id =
		                            tw->w.who.role >= ROLE_ADMIN ? NULL : tw->w.who.user };
	if (!tw->primed)
		return read_into(db, &f, tw->list);
	f.statuses = 1u << CLUSTER_PENDING;
	int rc = read_into(db, &f, tw->list);
	f.statuses = 0;
	const char *id;
	void *value;
	for (size_t it = 0; !rc && map_next(tw->asked, &it, &id, &value);)
		if (!id_parse_cluster(id, &f.id))
			rc = read_into(db, &f, tw->list);
	return rc;
}

static int tenant_read(struct watch *w, struct db_pool *p, bool *more LOOM_UNUSED)
{
	return db_read(p, summaries_read, w);
}

static bool tenant_write(struct watch *w)
{
	struct tenant_watch *tw = (struct tenant_watch *)w;
	long unsent = 0;
	for (size_t i = 0; i < json_len(tw->list) && unsent >= 0; i++) {
		const char *id = json_get_str(json_at(tw->list, i), "id");
		LOOM_CLEANUP_STR char *text = json_text(json_at(tw->list, i));
		if (str_eq(text, map_get(tw->sent, id)))
			continue;
		if (tw->primed)
			unsent = sse_event(w->req, -1, "summary", text);
		map_set(tw->sent, id, loom_take(text));
	}
	tw->primed = true;
	return unsent >= 0 && unsent < WATCH_BACKLOG;
}

static void tenant_free_watch(struct watch *w)
{
	struct tenant_watch *tw = (struct tenant_watch *)w;
	map_destroy(tw->sent);
	map_destroy(tw->news);
	map_destroy(tw->asked);
	json_free(tw->list);
	loom_free(tw);
}

static const struct watch_ops tenant_ops = { .prepare = tenant_prepare,
	                                     .news = tenant_news,
	                                     .read = tenant_read,
	                                     .write = tenant_write,
	                                     .free = tenant_free_watch };

void events_tenant(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who;
	if (!auth(a, req, ROLE_USER, &who))
		return;
	struct tenant_watch *tw = loom_calloc(1, sizeof(*tw));
	tw->w = (struct watch){ .ops = &tenant_ops, .a = a, .req = req, .who = who, .sse = true };
	tw->sent = map_create(loom_free);
	tw->news = map_create(NULL);
	tw->asked = map_create(NULL);
	http_defer(req, start_on_loop, tw);
}
