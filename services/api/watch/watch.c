/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of news: read on a worker, written on the loop. */
#include "services/api/watch/watch.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/request/db_outage.h"
#include "services/api/request/pace.h"
#include "services/api/watch/feed.h"
#include "services/api/watch/tally.h"

#define HEARTBEAT_MS 10000
#define MISSED_MAX   6 /* heartbeats that a reader may stay behind: it must take some 4 KiB/s */

struct watchers {
	struct api *a;
	struct watch *first;
	struct loop_timer *poll, *beat;
	struct token_checks *tokens;
};

static void unlink_watch(struct watch *w)
{
	if (w->a->watchers) {
		for (struct watch **at = &w->a->watchers->first; *at; at = &(*at)->next) {
			if (*at == w) {
				*at = w->next;
				break;
			}
		}
	}
}

/* Ends the answer; the memory is freed once no worker reads for it. */
void watch_end(struct watch *w)
{
	if (w->req) {
		if (w->ops->let_go)
			w->ops->let_go(w);
		else if (w->cut)
			http_stream_abort(w->req);
		else
			http_stream_end(w->req);
		w->req = NULL;
		pace_release(w->a, w->who.tenant_id);
		unlink_watch(w);
	}
	w->ended = true;
	if (!w->reading)
		w->ops->free(w);
}

static void read_work(void *arg)
{
	struct watch *w = arg;
	w->more = false;
	w->rc = w->ops->read(w, w->a->db, &w->more);
}

static void kick(struct watch *w);

static bool written(struct watch *w)
{
	long unsent = w->ops->write(w);
	if (unsent < 0)
		watch_end(w);
	else
		watch_behind(w, unsent);
	return unsent >= 0;
}

static void read_done(void *arg)
{
	struct watch *w = arg;
	w->reading = false;
	if (w->ended) {
		w->ops->free(w);
		return;
	}
	/* During a database outage just wait: the next poll reads again. */
	if (!w->rc && !written(w))
		return;
	bool again = !w->rc && (w->again || w->more);
	w->again = false;
	if (again)
		kick(w);
}

void watch_behind(struct watch *w, long unsent)
{
	w->behind = w->behind || unsent >= WATCH_HIGH;
}

static void drained(struct http_req *req LOOM_UNUSED, void *arg)
{
	struct watch *w = arg;
	bool again = w->behind && w->again;
	w->behind = false;
	w->missed = 0;
	w->again = w->again && !again;
	if (again && w->ops->read)
		kick(w);
	else if (again)
		written(w);
}

static int submit(struct watch *w)
{
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", w->who.tenant_id);
	const struct pool_share share = { name, 0 };
	return pool_submit_share(w->a->pool, &share, read_work, read_done, w);
}

static void kick(struct watch *w)
{
	if (w->reading || w->behind)
		w->again = true;
	else if (w->ops->read && !db_outage_now(w->a)) /* otherwise the next poll finds the news */
		w->reading = !submit(w);
}

static void closed(struct http_req *req LOOM_UNUSED, void *arg)
{
	watch_end(arg);
}

void watch_start(struct watch *w, const char *type)
{
	watch_start_as(w, 200, type);
}

void watch_start_as(struct watch *w, int status, const char *type)
{
	if (!w->a->watchers || http_gone(w->req)) {
		http_reply_problem(w->req, 503, "this server is being stopped; try again");
		w->ops->free(w);
		return;
	}
	if (!pace_hold(w->a, w->req, w->who.tenant_id)) {
		w->ops->free(w);
		return;
	}
	if (w->ops->head)
		w->ops->head(w);
	if (w->sse)
		sse_start(w->req);
	else if (!w->ops->let_go)
		http_stream_start(w->req, status, type);
	http_on_close(w->req, closed, w);
	http_stream_on_drained(w->req, drained, w);
	w->next = w->a->watchers->first;
	w->a->watchers->first = w;
	kick(w);
}

void watchers_event(struct api *a, int64_t cluster, const char *tenant_id)
{
	for (struct watch *w = a->watchers ? a->watchers->first : NULL; w; w = w->next) {
		if (w->ops->about ? w->ops->about(w, cluster) : w->cluster == cluster)
			kick(w);
	}
	feeds_event(a, cluster, tenant_id);
	tallies_event(a, tenant_id);
}

void watchers_log(struct api *a, const char *task_id)
{
	for (struct watch *w = a->watchers ? a->watchers->first : NULL; w; w = w->next) {
		if (str_eq(w->task, task_id))
			kick(w);
	}
}

bool watch_number(struct http_req *req, const char *text, int64_t *ret)
{
	*ret = 0;
	if (!text || (!str_to_int(text, ret) && *ret >= 0))
		return true;
	http_reply_problem(req, 400, "'%.32s' is not the number of an event", text);
	return false;
}

/* A client that saw events which never happened knows the cluster from before a backup was
 * restored, and would wait in vain. A client whose next event was deleted would miss it. */
bool watch_can_resume(struct http_req *req, int64_t last, int64_t first, int64_t newest)
{
	if (watch_resumes(last, first, newest))
		return true;
	http_reply_problem(req, 410,
	                   "event %lld is not there any more, the newest is %lld: read the "
	                   "cluster anew and go on after its lastEvent",
	                   (long long)last, (long long)newest);
	return false;
}

bool watch_resumes(int64_t last, int64_t first, int64_t newest)
{
	bool missed = last && last < newest && (!first || first > last + 1);
	return last <= newest && !missed;
}

static void poll_all(void *arg)
{
	struct watchers *ws = arg;
	for (struct watch *w = ws->first; w; w = w->next)
		kick(w);
	feeds_poll(ws->a);
	tallies_poll(ws->a);
}

/* The client comes back with a new token, or not at all. */
static bool is_over(const struct watch *w)
{
	return w->who.expire && clock_wall_ms() >= w->who.expire;
}

static bool is_lost(struct watch *w)
{
	return w->behind ? ++w->missed > MISSED_MAX : w->sse && sse_comment(w->req, "hb") < 0;
}

void watch_each(struct api *a, void (*fn)(struct watch *w, void *arg), void *arg)
{
	struct watch *next;
	for (struct watch *w = a->watchers ? a->watchers->first : NULL; w; w = next) {
		next = w->next;
		fn(w, arg);
	}
}

static void beat(struct watch *w, void *arg LOOM_UNUSED)
{
	w->lapsed = is_over(w);
	if (w->lapsed || is_lost(w))
		watch_end(w);
}

static void beat_all(void *arg)
{
	struct watchers *ws = arg;
	watch_each(ws->a, beat, NULL);
}

void watchers_start(struct api *a)
{
	struct watchers *ws = loom_calloc(1, sizeof(*ws));
	feeds_start();
	ws->a = a;
	ws->poll = loop_timer_create(a->loop, "watch poll", poll_all, ws);
	ws->beat = loop_timer_create(a->loop, "heartbeat", beat_all, ws);
	loop_timer_every(ws->poll, a->cfg.poll_ms);
	loop_timer_every(ws->beat, HEARTBEAT_MS);
	ws->tokens = token_checks_create(a);
	a->watchers = ws;
}

void watchers_stop(struct api *a)
{
	struct watchers *ws = a->watchers;
	if (!ws)
		return;
	while (ws->first)
		watch_end(ws->first);
	loop_timer_destroy(ws->poll);
	loop_timer_destroy(ws->beat);
	token_checks_destroy(ws->tokens);
	loom_free(ws);
	a->watchers = NULL;
}
