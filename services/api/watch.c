/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that wait for something new: read on a worker, written on the loop. */
#include "services/api/watch.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/db_outage.h"
#include "services/api/feed.h"
#include "services/api/pace.h"

#define HEARTBEAT_MS 10000
#define MISSED_MAX   6 /* heartbeats without taking what was written: some 4 KiB/s at least */

struct watchers {
	struct api *a;
	struct watch *first;
	struct loop_timer *poll, *beat;
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

/* Ends the answer; the memory goes once no worker reads for it. */
void watch_end(struct watch *w)
{
	if (w->req) {
		if (w->ops->let_go)
			w->ops->let_go(w);
		else
			http_stream_end(w->req);
		w->req = NULL;
		pace_release(w->a, w->who.tenant_id);
		unlink_watch(w);
	}
	w->gone = true;
	if (!w->reading)
		w->ops->free(w);
}

static void read_work(void *arg)
{
	struct watch *w = arg;
	w->more = false;
	w->rc = w->ops->read(w, w->a->db, &w->more);
}

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
	if (w->gone) {
		w->ops->free(w);
		return;
	}
	/* The database being away is waited out: the next poll reads again. */
	if (!w->rc && !written(w))
		return;
	bool again = !w->rc && (w->again || w->more);
	w->again = false;
	if (again)
		watch_kick(w);
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
		watch_kick(w);
	else if (again)
		written(w);
}

static int submit(struct watch *w)
{
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", w->who.tenant_id);
	const struct pool_share share = { name, 0 };
	return pool_submit_share(w->a->pool, &share, read_work, read_done, w);
}

void watch_kick(struct watch *w)
{
	if (w->reading || w->behind)
		w->again = true;
	else if (w->ops->read && !db_outage_now(w->a)) /* else the next poll finds what is new */
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
	if (w->sse)
		sse_start(w->req);
	else if (!w->ops->let_go)
		http_stream_start(w->req, status, type);
	http_on_close(w->req, closed, w);
	http_stream_on_drained(w->req, drained, w);
	w->next = w->a->watchers->first;
	w->a->watchers->first = w;
	watch_kick(w);
}

void watchers_event(struct api *a, int64_t cluster, const char *tenant_id)
{
	for (struct watch *w = a->watchers ? a->watchers->first : NULL; w; w = w->next) {
		if (w->ops->about ? w->ops->about(w, cluster) : w->cluster == cluster)
			watch_kick(w);
	}
	feeds_event(a, cluster, tenant_id);
}

void watchers_log(struct api *a, const char *task_id)
{
	for (struct watch *w = a->watchers ? a->watchers->first : NULL; w; w = w->next) {
		if (str_eq(w->task, task_id))
			watch_kick(w);
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

/* Who has seen what has not happened knows another cluster, of before a backup was brought back,
 * and would wait for nothing. */
bool watch_can_resume(struct http_req *req, int64_t last, int64_t newest)
{
	if (last <= newest)
		return true;
	http_reply_problem(req, 410,
	                   "event %lld is not there any more, the newest is %lld: read the "
	                   "cluster anew and go on after its lastEvent",
	                   (long long)last, (long long)newest);
	return false;
}

static void poll_all(void *arg)
{
	struct watchers *ws = arg;
	for (struct watch *w = ws->first; w; w = w->next)
		watch_kick(w);
	feeds_poll(ws->a);
}

static void beat_all(void *arg)
{
	struct watchers *ws = arg;
	struct watch *next;
	for (struct watch *w = ws->first; w; w = next) {
		next = w->next;
		bool lost = w->behind ? ++w->missed > MISSED_MAX
		                      : w->sse && sse_comment(w->req, "hb") < 0;
		if (lost)
			watch_end(w);
	}
}

void watchers_start(struct api *a)
{
	struct watchers *ws = loom_calloc(1, sizeof(*ws));
	ws->a = a;
	ws->poll = loop_timer_create(a->loop, "watch poll", poll_all, ws);
	ws->beat = loop_timer_create(a->loop, "heartbeat", beat_all, ws);
	loop_timer_every(ws->poll, a->cfg.poll_ms);
	loop_timer_every(ws->beat, HEARTBEAT_MS);
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
	loom_free(ws);
	a->watchers = NULL;
}
