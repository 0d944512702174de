/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocking - holds a GET as streams are held (watch.h): it costs no worker, counts among the
 * connections that the tenant holds, and is woken by the same notices, whichever copy of the API
 * made the change.
 */
#include "services/api/blocking.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/api/request.h"
#include "services/api/visible.h"
#include "services/api/watch.h"

#include <stdio.h>

#define WAIT_MS     30000
#define WAIT_MAX_MS 50000 /* a gateway in front gives up after 60 s */

struct blocking {
	struct watch w;
	http_handler answer;
	struct loop_timer *over;
	int64_t index, newest;
	int64_t wait_ms;
};

static int newest_read(struct db *db, void *arg)
{
	struct blocking *b = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, b->w.cluster, &c);
	b->newest = rc ? b->newest : c->event_seq;
	return rc;
}

static int read_newest(struct watch *w, struct db_pool *p, bool *more LOOM_UNUSED)
{
	return db_read(p, newest_read, w);
}

static long ends_when_newer(struct watch *w)
{
	const struct blocking *b = (const struct blocking *)w;
	return b->newest > b->index ? -1 : 0;
}

/* There is news, the time is over, or this server ends: in each case it is told how things are. */
static void let_go(struct watch *w)
{
	struct blocking *b = (struct blocking *)w;
	loop_timer_destroy(b->over);
	b->over = NULL;
	http_on_close(w->req, NULL, NULL);
	if (http_gone(w->req))
		http_reply_empty(w->req, 503);
	else
		http_to_pool(w->req, b->answer, w->a);
}

static void free_blocking(struct watch *w)
{
	struct blocking *b = (struct blocking *)w;
	loop_timer_destroy(b->over);
	loom_free(b);
}

static const struct watch_ops blocking_ops = {
	.read = read_newest, .write = ends_when_newer, .let_go = let_go, .free = free_blocking
};

static void wait_over(void *arg)
{
	watch_end(arg);
}

static void hold(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct blocking *b = arg;
	b->over = loop_timer_create(b->w.a->loop, "blocking query", wait_over, b);
	loop_timer_arm(b->over, b->wait_ms);
	watch_start(&b->w, NULL);
}

/* Both parameters; false when answered. */
static bool asked(struct http_req *req, struct blocking *b)
{
	const char *wait = http_query(req, "wait");
	if (!watch_number(req, http_query(req, "index"), &b->index))
		return false;
	b->wait_ms = WAIT_MS;
	if (!wait ||
	    (!clock_parse_ms(wait, &b->wait_ms) && b->wait_ms >= 0 && b->wait_ms <= WAIT_MAX_MS))
		return true;
	http_reply_text(req, 400, "wait '%.32s' must be a duration of at most %ds, as 30s", wait,
	                WAIT_MAX_MS / 1000);
	return false;
}

/* 0: hold it; 1: there is something new; below: answered. */
static int look(struct http_req *req, struct blocking *b)
{
	int rc = db_read(b->w.a->db, newest_read, b);
	if (rc) {
		visible_refuse(req, rc, b->w.cluster);
		return -1;
	}
	if (!watch_can_resume(req, b->index, b->newest))
		return -1;
	return b->newest > b->index || !b->wait_ms;
}

void blocking_query(struct http_req *req, void *ctx, http_handler answer)
{
	if (!http_query(req, "index")) {
		answer(req, ctx);
		return;
	}
	struct blocking *b = loom_calloc(1, sizeof(*b));
	b->w = (struct watch){ .ops = &blocking_ops,
		               .a = ctx,
		               .req = req,
		               .who = *request_who(req),
		               .cluster = request_cluster(req) };
	b->answer = answer;
	int seen = asked(req, b) ? look(req, b) : -1;
	if (!seen) {
		http_defer(req, hold, b);
		return;
	}
	loom_free(b);
	if (seen > 0)
		answer(req, ctx);
}

void blocking_index(struct http_req *req, const struct cluster *c)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)c->event_seq);
	http_reply_header(req, "X-Loom-Index", text);
}
