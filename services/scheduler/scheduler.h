/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler - the context of one loom-scheduler, and its configuration. Each part is declared in
 * its own header:
 *
 *	operation/planning.h    jobs in phase plan become task graphs
 *	operation/rpc.h         what an operation would do; pause, resume, abort
 *	dispatch/dispatch.h     results move the graph, waiting takes meet ready tasks
 *	job/janitor.h           what nobody reports
 *	webhook/webhooks.h      callbacks
 *	wake.h, mail.h          hints after a commit; requests by way of the database
 *
 * Each change is one transaction; any number of schedulers may run at once.
 */
#ifndef LOOM_SCHEDULER_H
#define LOOM_SCHEDULER_H

#include "common/base/seal.h"
#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "common/coord/coord.h"
#include "common/db/db.h"
#include "common/net/http_server.h"
#include "common/net/pool.h"
#include "common/service/service.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/job/quarantine_policy.h"
#include "services/scheduler/webhook/webhook_targets.h"

struct scheduler_config {
	char *admin_listen;
	int64_t threads;
	int64_t poll_ms;         /* the safety net behind wake-ups */
	int64_t job_lease_ms;    /* a claimed job is another's after this */
	int64_t task_lease_ms;   /* of workers that renew by heartbeat */
	int64_t task_timeout_ms; /* of workers that do not */
	int64_t task_tries, node_replacements;
	int64_t retry_base_ms, retry_cap_ms;
	int64_t provisioner_timeout_ms;
	int64_t request_keys_ms;
	int64_t lease_warning_ms; /* so long before a cluster's end */
	int64_t lease_retry_ms;   /* first wait when an expired cluster could not be deleted */
	struct db_config db;
	struct bus_config bus;
	struct coord_config coord;
};

struct dispatch;
struct planning_share;
struct postman;

struct scheduler {
	struct scheduler_config cfg;
	struct webhook_config webhook_cfg;
	struct quarantine_config quarantine_cfg;
	struct service *service;
	struct loop *loop;
	struct pool *pool;
	struct db_pool *db;
	struct bus *bus;
	struct coord *coord;
	struct http_server *admin;
	struct dispatch *dispatch;
	struct loop_timer *poll, *expiries;
	unsigned planning;   /* workers that plan */
	bool planning_again; /* one more is wanted */
	struct planning_share *planning_share;
	bool sweeping, sweep_again; /* the janitor is on a worker; and wanted once more */
	int64_t silent_at;          /* when silent provisioners are looked for again; a sweep's */
	int64_t away_until;         /* monotonic ms when the database was last seen away; 0 never */
	struct peers *peers;
	struct postman *postman;
	struct webhooks *webhooks;
	struct seal_key secret_key; /* of secrets in documents */
};

extern const struct config_key scheduler_config_keys[];
int scheduler_start(struct service *service, void *ctx, struct loom_err *err);
void scheduler_drain(struct service *service, void *ctx);
void scheduler_stop(struct service *service, void *ctx);
bool scheduler_ready(struct service *service, void *ctx, struct loom_err *err);
void scheduler_notes(struct service *service, void *ctx, struct strs *ret);

/* What decides about jobs, out of the configuration; borrowed from s. */
struct job_policy scheduler_policy(const struct scheduler *s);

#endif
