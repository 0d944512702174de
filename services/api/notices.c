/* SPDX-License-Identifier: Apache-2.0 */
/* notices - says to the schedulers and to the other APIs, and to this one's own watchers, what a
 * request has committed. */
#include "services/api/api.h"
#include "services/api/watch/tally.h"

struct notice {
	struct api *a;
	int64_t cluster, seq;
	bool job;
	enum messages hint; /* a notice for schedulers that has no other content; 0: none */
	char *tenant_id, *task;
	bool catalog;     /* documents of the tenant have changed, */
	const char *kind; /* of this kind; NULL: of any */
};

static void send(const struct notice *n)
{
	static const struct msg_none none = { 0 };
	struct api *a = n->a;
	if (n->job)
		peers_notify_schedulers(a, MSG_JOB, &none);
	if (n->hint) {
		peers_notify_schedulers(a, n->hint, &none);
	} else if (n->task) {
		peers_notify_apis(a, MSG_LOG, &(struct msg_log){ .task = n->task });
		watchers_log(a, n->task);
	} else if (n->catalog) {
		const struct msg_catalog m = { .tenant = n->tenant_id, .kind = n->kind };
		peers_notify_apis(a, MSG_CATALOG, &m);
		tallies_catalog(a, n->tenant_id, n->kind);
	} else {
		const struct msg_event m = { .first = { n->cluster, n->seq, n->tenant_id } };
		peers_notify_apis(a, MSG_EVENT, &m);
		watchers_event(a, n->cluster, n->tenant_id);
	}
}

static void on_loop(void *arg)
{
	struct notice *n = arg;
	if (n->a->peers) /* neither peers nor watchers are there after the end */
		send(n);
	loom_free(n->tenant_id);
	loom_free(n->task);
	loom_free(n);
}

/* Any thread; takes the texts of n. */
static void post(const struct notice *n)
{
	struct notice *copy = loom_malloc(sizeof(*copy));
	*copy = *n;
	loop_post(n->a->loop, on_loop, copy);
}

void peers_committed(struct api *a, int64_t cluster, const char *tenant_id, int64_t seq, bool job)
{
	post(&(struct notice){ .a = a,
	                       .cluster = cluster,
	                       .seq = seq,
	                       .job = job,
	                       .tenant_id = loom_strdup(tenant_id) });
}

void peers_log_grew(struct api *a, const char *task_id)
{
	post(&(struct notice){ .a = a, .task = loom_strdup(task_id) });
}

void peers_catalog(struct api *a, const char *tenant_id, const char *kind)
{
	post(&(struct notice){
		.a = a, .tenant_id = loom_strdup(tenant_id), .catalog = true, .kind = kind });
}

void peers_ready(struct api *a)
{
	post(&(struct notice){ .a = a, .hint = MSG_READY });
}

void peers_dropped(struct api *a)
{
	post(&(struct notice){ .a = a, .hint = MSG_DROPPED });
}
