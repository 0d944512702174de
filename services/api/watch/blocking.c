/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocking - holds a GET the way streams are held (watch.h): it occupies no worker, counts among
 * the tenant's held connections, ends with its token, and is woken by the same notices, whichever
 * copy of the API made the change.
 */
#include "services/api/watch/blocking.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/watch/watch.h"

#include <stdio.h>

#define WAIT_MS     30000
#define WAIT_MAX_MS 50000 /* a gateway in front of the API gives up after 60 s */

struct blocking {
	struct watch w;
	struct tally_reader tally; /* of a list that is not a cluster's */
	struct tally_of of;
	bool says; /* which index the answer has */
	http_handler answer;
	void *arg; /* its second */
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

static void put_index(struct http_req *req, int64_t index)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)index);
	http_reply_header(req, "X-Loom-Index", text);
}

/* There is news, the wait is over, or this server stops: answer with the present state. */
static void let_go(struct watch *w)
{
	struct blocking *b = (struct blocking *)w;
	loop_timer_destroy(b->over);
	b->over = NULL;
	http_on_close(w->req, NULL, NULL);
	if (http_gone(w->req)) {
		http_reply_empty(w->req, 503);
	} else if (w->lapsed) {
		http_reply_problem(w->req, 401,
		                   "the token has ended, or is good for something else now: ask "
		                   "again");
	} else {
		if (b->says)
			put_index(w->req, b->newest);
		http_to_pool(w->req, b->answer, b->arg);
	}
}

static void free_blocking(struct watch *w)
{
	struct blocking *b = (struct blocking *)w;
	loop_timer_destroy(b->over);
	tally_leave(&b->tally);
	loom_free(b);
}

static const struct watch_ops blocking_ops = {
	.read = read_newest, .write = ends_when_newer, .let_go = let_go, .free = free_blocking
};
/* The tally reads for all its waiters (tally.h). */
static const struct watch_ops list_ops = { .let_go = let_go, .free = free_blocking };

static void changed(struct tally_reader *r, int64_t now)
{
	struct blocking *b = (struct blocking *)((char *)r - offsetof(struct blocking, tally));
	b->newest = now;
	watch_end(&b->w);
}

static void wait_over(void *arg)
{
	watch_end(arg);
}

static void hold(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct blocking *b = arg;
	b->over = loop_timer_create(b->w.a->loop, "blocking query", wait_over, b);
	loop_timer_arm(b->over, b->wait_ms);
	if (b->tally.changed)
		tally_join(&b->tally, b->w.a, &b->of);
	watch_start(&b->w, NULL);
}

/* Reads both parameters; false when answered. */
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

/* 0: hold the request; 1: there is news; below 0: answered. */
static int look(struct http_req *req, struct blocking *b)
{
	int rc = db_read(b->w.a->db, newest_read, b);
	if (rc) {
		visible_refuse(req, rc, b->w.cluster);
		return -1;
	}
	/* The answer is the present state, so events that were deleted do not matter. */
	if (!watch_can_resume(req, b->index, 1, b->newest))
		return -1;
	return b->newest > b->index || !b->wait_ms;
}

static struct blocking *begin(struct http_req *req, struct api *a, void *arg, http_handler answer)
{
	struct blocking *b = loom_calloc(1, sizeof(*b));
	b->w = (struct watch){ .a = a, .req = req, .who = *request_who(req) };
	b->answer = answer;
	b->arg = arg;
	return b;
}

void blocking_query(struct http_req *req, void *ctx, http_handler answer)
{
	if (!http_query(req, "index")) {
		answer(req, ctx);
		return;
	}
	struct blocking *b = begin(req, ctx, ctx, answer);
	b->w.ops = &blocking_ops;
	b->w.cluster = request_cluster(req);
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
	put_index(req, c->event_seq);
}

/* 0: hold the request; 1: the number differs; below 0: answered. It may also have become smaller:
 * long ended clusters are deleted, a backup may have been restored, and that of documents is not a
 * sum. */
static int look_at_list(struct http_req *req, struct blocking *b)
{
	int rc = tally_now(b->w.a, &b->of, &b->newest);
	if (rc) {
		api_reply_db(req, rc);
		return -1;
	}
	return b->newest != b->index || !b->wait_ms;
}

void blocking_list(struct http_req *req, struct api *a, const struct tally_of *of, void *arg,
                   http_handler answer)
{
	if (!http_query(req, "index")) {
		answer(req, arg);
		return;
	}
	struct blocking *b = begin(req, a, arg, answer);
	b->says = true;
	b->w.ops = of ? &list_ops : &blocking_ops;
	if (of)
		b->of = *of;
	else
		b->w.cluster = request_cluster(req);
	int seen = !asked(req, b) ? -1 : of ? look_at_list(req, b) : look(req, b);
	if (!seen) {
		if (of)
			b->tally = (struct tally_reader){ .known = b->index, .changed = changed };
		http_defer(req, hold, b);
		return;
	}
	if (seen > 0) {
		put_index(req, b->newest);
		answer(req, arg);
	}
	loom_free(b);
}
