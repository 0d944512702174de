/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_show - shows operators the present state of the dispatcher: GET /show and /show/{what}
 * at the admin port. Loop thread. */
#include "services/scheduler/dispatch/dispatch_private.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/base/str.h"

#include <string.h>

#define MOST_SHOWN 1000 /* most entries of a list, to keep the answer small */

enum { CACHE_ROWS, CACHE_PAYLOADS, CACHE_EDGES, CACHES_ };

static struct json *show_waiters(const struct dispatch *d)
{
	struct json *list = json_new_arr();
	int64_t now = clock_mono_ms();
	for (const struct waiter *p = d->waiters.first; p && json_len(list) < MOST_SHOWN;
	     p = p->next) {
		struct json *o = json_set_str(json_new_obj(), "tenant", p->take.tenant);
		json_set_str(o, "provisioner", p->take.provisioner);
		json_set_str(o, "worker", p->take.worker);
		json_set_int(o, "max", p->take.max);
		json_set_int(o, "waitedMs", now - p->since);
		json_set_int(o, "leftMs", p->until > now ? p->until - now : 0);
		json_set_bool(o, "searched", p->searched >= d->epoch);
		json_push(list, json_set_bool(o, "inBatch", p->in_batch));
	}
	return list;
}

static struct json *queue_of(const struct result_queue *q)
{
	struct json *list = json_new_arr();
	char id[ID_MAX];
	for (const struct result *r = q->first; r && json_len(list) < MOST_SHOWN; r = r->next) {
		id_cluster(id, r->cluster);
		struct json *o = json_set_str(json_new_obj(), "cluster", id);
		json_set_str(o, "task", r->finish->task);
		json_push(list, json_set_bool(o, "alone", r->alone));
	}
	return list;
}

static struct json *show_queues(const struct dispatch *d)
{
	struct json *o = json_set(json_new_obj(), "results", queue_of(&d->queue));
	return json_set(o, "contended", queue_of(&d->contended));
}

/* The size limit of each cache, over all slots. */
static const size_t most_bytes[CACHES_] = { [CACHE_ROWS] = CLUSTER_CACHE_MAX,
	                                    [CACHE_PAYLOADS] = SLOTS * PAYLOAD_CACHE_MAX,
	                                    [CACHE_EDGES] = SLOTS * EDGES_CACHE_MAX };

/* Measures the caches, over all slots; returns the number of cached clusters. */
static size_t measure(const struct dispatch *d, size_t all[CACHES_])
{
	memset(all, 0, CACHES_ * sizeof(*all));
	for (size_t i = 0; i < SLOTS; i++) {
		all[CACHE_PAYLOADS] += payload_cache_bytes(d->slots[i].payloads);
		all[CACHE_EDGES] += edges_cache_bytes(d->slots[i].edges_cache);
	}
	return cluster_cache_count(d->cache, &all[CACHE_ROWS]);
}

static struct json *show_cache(const struct dispatch *d)
{
	static const char *const names[CACHES_] = { "rows", "payloads", "edges" };
	size_t all[CACHES_], n = measure(d, all);
	struct json *list = json_set_int(json_new_obj(), "clusters", (int64_t)n);
	for (size_t i = 0; i < CACHES_; i++) {
		struct json *o = json_set_int(json_new_obj(), "bytes", (int64_t)all[i]);
		json_set(list, names[i], json_set_int(o, "mostBytes", (int64_t)most_bytes[i]));
	}
	return list;
}

static struct metric cache_metrics[CACHES_ + 1] = {
	[CACHE_ROWS] = { "loom_scheduler_cache_rows_bytes", "Rows of clusters kept in memory",
	                 METRIC_GAUGE },
	[CACHE_PAYLOADS] = { "loom_scheduler_cache_payloads_bytes",
	                     "Documents of jobs kept in memory", METRIC_GAUGE },
	[CACHE_EDGES] = { "loom_scheduler_cache_edges_bytes", "Graphs of jobs kept in memory",
	                  METRIC_GAUGE },
	[CACHES_] = { "loom_scheduler_caches_most_bytes", "Upper bound of these caches together",
	              METRIC_GAUGE },
};

void dispatch_caches_start(void)
{
	metrics_register(cache_metrics, LOOM_COUNT(cache_metrics));
	for (size_t i = 0; i < CACHES_; i++)
		metric_add(&cache_metrics[CACHES_], (int64_t)most_bytes[i]);
}

void dispatch_caches_measure(const struct dispatch *d)
{
	size_t all[CACHES_];
	(void)measure(d, all);
	for (size_t i = 0; i < CACHES_; i++)
		metric_set(&cache_metrics[i], (int64_t)all[i]);
}

static struct json *show_shares(const struct dispatch *d)
{
	return fair_queue_show(d->fair, MOST_SHOWN);
}

static struct json *show_state(const struct dispatch *d)
{
	struct json *o = json_set_int(json_new_obj(), "epoch", (int64_t)d->epoch);
	json_set_int(o, "searchedMs", d->searched ? clock_mono_ms() - d->searched : -1);
	return json_set_bool(o, "draining", d->draining);
}

static const struct {
	const char *what;
	struct json *(*show)(const struct dispatch *d);
} shown[] = {
	{ "state", show_state },
	{ "waiters", show_waiters },
	{ "batches", dispatch_batches_show },
	{ "queues", show_queues },
	{ "cache", show_cache },
	{ "shares", show_shares },
};

void dispatch_show(struct http_req *req, void *ctx)
{
	const struct scheduler *s = ctx;
	const char *what = http_param(req, "what");
	LOOM_CLEANUP(json_free) struct json *all = json_new_obj();
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (size_t i = 0; s->dispatch && i < LOOM_COUNT(shown); i++) {
		strs_add(&names, shown[i].what);
		if (!what || str_eq(what, shown[i].what))
			json_set(all, shown[i].what, shown[i].show(s->dispatch));
	}
	if (json_len(all)) {
		http_reply_json(req, 200, all);
		return;
	}
	LOOM_CLEANUP_STR char *list = strs_join(&names, ", ");
	http_reply_problem(req, 404, "there is nothing of that name to show; there are: %s", list);
}
