/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events - what happens to a cluster, as server-sent events numbered without gaps; and summaries of
 * all the caller's clusters as they change.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/feed.h"
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

struct tenant_ask {
	struct api *a;
	struct identity who;
};

static void start_feed(struct http_req *req, void *arg)
{
	struct tenant_ask *k = arg;
	feed_start(req, k->a, &k->who);
	loom_free(k);
}

void events_tenant(struct http_req *req, void *ctx)
{
	struct identity who;
	if (!auth(ctx, req, ROLE_USER, &who))
		return;
	struct tenant_ask *k = loom_malloc(sizeof(*k));
	*k = (struct tenant_ask){ .a = ctx, .who = who };
	http_defer(req, start_feed, k);
}
