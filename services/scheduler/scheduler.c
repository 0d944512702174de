/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler - starts and stops loom-scheduler: its settings, and its parts in order. */
#include "services/scheduler/scheduler.h"

#include "common/base/log.h"
#include "common/model/schema.h"
#include "services/scheduler/db_watch.h"
#include "services/scheduler/dispatch/dispatch.h"
#include "services/scheduler/job/janitor.h"
#include "services/scheduler/job/retention.h"
#include "services/scheduler/mail.h"
#include "services/scheduler/operation/operation.h"
#include "services/scheduler/operation/planning.h"
#include "services/scheduler/operation/rpc.h"
#include "services/scheduler/wake.h"
#include "services/scheduler/webhook/outbox.h"
#include "services/scheduler/webhook/webhooks.h"

#include <string.h>

#define KEY(...) CONFIG_KEY(struct scheduler_config, __VA_ARGS__)
#define KEEP_MAX (36500LL * 24 * 3600 * 1000)

const struct config_key scheduler_config_keys[] = {
	KEY(admin_listen, CFG_STR, "127.0.0.1:55057", 0, 0,
	    "address of /livez, /readyz, /metrics, /show"),
	KEY(threads, CFG_INT, "8", 2, 256, "worker threads for the database"),
	KEY(poll_ms, CFG_DURATION, "2s", 50, 60000, "safety net behind the wake-ups"),
	KEY(job_lease_ms, CFG_DURATION, "10s", 500, 600000,
	    "time after which others may plan a claimed job"),
	KEY(task_lease_ms, CFG_DURATION, "8s", 500, 600000,
	    "lease of a task, renewed by heartbeats"),
	KEY(task_timeout_ms, CFG_DURATION, "1800s", 1000, 86400000,
	    "time limit of a task whose worker does not renew"),
	KEY(task_tries, CFG_INT, "3", 1, 100, "failures before a task is given up"),
	KEY(node_replacements, CFG_INT, "2", 0, 10000,
	    "how many machines per job may be replaced after they could not be created"),
	KEY(retry_base_ms, CFG_DURATION, "500ms", 1, 600000,
	    "first wait before a failed task is retried"),
	KEY(retry_cap_ms, CFG_DURATION, "30s", 1, 3600000, "longest such wait"),
	KEY(provisioner_timeout_ms, CFG_DURATION, "120s", 1000, 86400000,
	    "silence after which a provisioner is forgotten"),
	KEY(lease_warning_ms, CFG_DURATION, "1h", 0, 2592000000,
	    "how long before a cluster's lease ends a warning is sent; 0 never"),
	KEY(lease_retry_ms, CFG_DURATION, "30s", 50, 3600000,
	    "first wait before the deletion of an expired cluster is retried"),
	KEY(request_keys_ms, CFG_DURATION, "24h", 60000, 2592000000,
	    "how long a request repeated with its Idempotency-Key gets the first answer"),
	KEY(events_keep, CFG_DURATION, "30d", 0, KEEP_MAX,
	    "how long after a job's end the cluster's events up to it are kept; 0 for ever"),
	KEY(logs_keep, CFG_DURATION, "90d", 0, KEEP_MAX,
	    "how long the logs of tasks are kept after their job; 0 for ever"),
	KEY(jobs_keep, CFG_DURATION, "400d", 0, KEEP_MAX,
	    "how long finished jobs of a living cluster are kept that made no machine; 0 for ever"),
	KEY(clusters_keep, CFG_DURATION, "400d", 0, KEEP_MAX,
	    "how long ended clusters are kept; 0 for ever"),
	{ 0 },
};

static const struct job_effects effects = { .completed = operation_complete,
	                                    .undone = operation_undo,
	                                    .announce = outbox_add };

struct job_policy scheduler_policy(const struct scheduler *s)
{
	return (struct job_policy){ .tries = s->cfg.task_tries,
		                    .losses = 3 * s->cfg.task_tries,
		                    .replacements = s->cfg.node_replacements,
		                    .retry_base_ms = s->cfg.retry_base_ms,
		                    .retry_cap_ms = s->cfg.retry_cap_ms,
		                    .callbacks = &s->webhook_cfg,
		                    .quarantine = &s->quarantine_cfg,
		                    .effects = &effects,
		                    .ring = s->ring,
		                    .traced = service_spans(s->service) != NULL };
}

static const struct http_route routes[] = {
	SERVICE_ROUTES,
	{ "GET", "/show", HTTP_ON_LOOP, dispatch_show },
	{ "GET", "/show/{what}", HTTP_ON_LOOP, dispatch_show },
	{ 0 },
};

static void tick(void *arg)
{
	planning_kick(arg);
	webhooks_poll(arg);
	dispatch_kick(arg);
	janitor_tick(arg);
	mail_look(arg);
}

/* The elected scheduler looks for what nobody reports. One that cannot reach the database for
 * longer than a new writer takes to be chosen lets another be elected. */
#define STEP_DOWN_MS 5000

static void database_seen(void *arg)
{
	const struct scheduler *s = arg;
	if (s->coord)
		coord_stand(s->coord, "janitor", db_watch_away_ms(s->db_watch) < STEP_DOWN_MS);
}

static int start_admin(struct scheduler *s, struct loom_err *err)
{
	s->admin = http_server_create(s->loop, s->pool, routes, s, NULL);
	int rc = http_server_tls(s->admin, &s->cfg.tls, err);
	if (rc)
		return rc;
	rc = http_server_listen(s->admin, s->cfg.admin_listen);
	return rc ? err_set(err, 500, "cannot listen on %s: %s", s->cfg.admin_listen,
	                    http_server_listen_words(rc))
	          : 0;
}

int scheduler_check(void *ctx, struct loom_err *err)
{
	const struct scheduler *s = ctx;
	int rc = http_server_listen_check("admin_listen", s->cfg.admin_listen, err);
	if (!rc)
		rc = tls_config_check(&s->cfg.tls, err);
	if (!rc)
		rc = webhook_config_check(&s->webhook_cfg, err);
	return rc ? rc : coord_config_check(&s->cfg.coord, err);
}

static void too_old(const char *why, void *arg)
{
	service_fail(arg, why);
}

int scheduler_start(struct service *service, void *ctx, struct loom_err *err)
{
	struct scheduler *s = ctx;
	s->service = service;
	s->loop = service_loop(service);
	planning_start(s);
	janitor_start();
	s->pool = pool_create(s->loop, (unsigned)s->cfg.threads, 4096);
	int rc = db_pool_create(&s->cfg.db, &s->db, err);
	if (!rc)
		db_pool_on_too_old(s->db, too_old, service);
	if (!rc)
		rc = db_migrate(s->db, schema_migrations, 60000, err);
	if (!rc)
		rc = bus_create(s->loop, &s->cfg.bus, &s->bus, err);
	if (!rc)
		rc = keyring_create(&s->cfg.keys, s->cfg.bus.key_file, s->db, &s->ring, err);
	if (!rc)
		rc = start_admin(s, err);
	if (!rc)
		rc = webhooks_start(s, err);
	if (!rc)
		rc = mail_start(s, err);
	if (rc)
		return rc;
	s->cfg.coord.key_file = s->cfg.bus.key_file;
	s->coord = coord_create(s->loop, &s->cfg.coord, err);
	if (!s->coord)
		return 1;
	s->db_watch = db_watch_create(s->loop, &s->cfg.db, database_seen, s, err);
	if (!s->db_watch)
		return 1;
	dispatch_start(s);
	rpc_start(s);
	wake_start(s);
	coord_elect(s->coord, "janitor", service_id(service), NULL, NULL);
	s->poll = loop_timer_create(s->loop, "poll", tick, s);
	loop_timer_every(s->poll, s->cfg.poll_ms);
	retention_start(s);
	planning_kick(s);
	return 0;
}

static void when_idle(void *arg)
{
	struct scheduler *s = arg;
	if (!s->planning && !s->sweeping && retention_idle(s) && dispatch_idle(s) &&
	    webhooks_idle(s) && !pool_backlog(s->pool))
		service_drained(s->service);
}

/* Leaves the members first, so that the APIs ask others; then answers the waiting takes. */
void scheduler_drain(struct service *service LOOM_UNUSED, void *ctx)
{
	struct scheduler *s = ctx;
	coord_destroy(s->coord);
	s->coord = NULL;
	dispatch_drain(s);
	webhooks_drain(s);
	loop_timer_destroy(s->poll);
	s->poll = loop_timer_create(s->loop, "drain", when_idle, s);
	loop_timer_every(s->poll, 20);
}

/* Threads end first; the functions they posted run while everything they use still exists. */
void scheduler_stop(struct service *service LOOM_UNUSED, void *ctx)
{
	struct scheduler *s = ctx;
	loop_timer_destroy(s->poll);
	db_watch_destroy(s->db_watch);
	s->db_watch = NULL;
	if (s->db)
		db_pool_stop(s->db);
	pool_destroy(s->pool);
	s->pool = NULL;
	webhooks_stop(s);
	loop_flush(s->loop);
	janitor_stop(s);
	retention_stop(s);
	dispatch_stop(s);
	wake_stop(s);
	if (s->coord)
		coord_destroy(s->coord);
	if (s->bus)
		bus_destroy(s->bus);
	mail_stop(s);
	loop_flush(s->loop);
	planning_stop(s);
	http_server_destroy(s->admin);
	db_pool_destroy(s->db);
	keyring_destroy(s->ring);
}

void scheduler_notes(struct service *service LOOM_UNUSED, void *ctx, struct strs *ret)
{
	const struct scheduler *s = ctx;
	bus_notes(s->bus, ret);
}

bool scheduler_ready(struct service *service LOOM_UNUSED, void *ctx, struct loom_err *err)
{
	struct scheduler *s = ctx;
	return s->db && db_pool_ready(s->db, err);
}
