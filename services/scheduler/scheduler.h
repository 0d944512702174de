/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler - the context of one loom-scheduler, and its configuration. Each part is declared in
 * its own header:
 *
 *	operation/planning.h    jobs in phase plan become task graphs
 *	operation/rpc.h         effect of an operation; pause, resume, abort
 *	dispatch/dispatch.h     results move the graph, waiting takes meet ready tasks
 *	job/janitor.h           failures that nobody reports; expiry
 *	job/retention.h         deletes old history
 *	webhook/webhooks.h      callbacks
 *	wake.h, mail.h          hints after a commit; requests through the database
 *
 * Each change is one transaction; any number of schedulers may run at once.
 */
#ifndef LOOM_SCHEDULER_H
#define LOOM_SCHEDULER_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "common/coord/coord.h"
#include "common/db/db.h"
#include "common/model/keys/keyring.h"
#include "common/net/http_server.h"
#include "common/net/pool.h"
#include "common/service/service.h"
#include "services/scheduler/job/clock_sweep.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/job/quarantine_policy.h"
#include "services/scheduler/job/renewals.h"
#include "services/scheduler/webhook/webhook_targets.h"

struct scheduler_config {
	char *admin_listen;
	int64_t threads;
	int64_t poll_ms;         /* the safety net behind wake-ups */
	int64_t job_lease_ms;    /* then other schedulers may claim the job */
	int64_t task_lease_ms;   /* for workers that renew by heartbeat */
	int64_t task_timeout_ms; /* for workers that do not */
	int64_t task_tries, node_replacements;
	int64_t retry_base_ms, retry_cap_ms;
	int64_t provisioner_timeout_ms;
	int64_t request_keys_ms;
	int64_t events_keep, logs_keep, jobs_keep, clusters_keep; /* ms; 0: for ever */
	int64_t lease_warning_ms; /* time before the end of a cluster's lease */
	int64_t lease_retry_ms;   /* first wait when an expired cluster could not be deleted */
	struct tls_config tls;
	struct db_config db;
	struct keyring_config keys;
	struct bus_config bus;
	struct coord_config coord;
};

struct db_watch;
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
	struct db_watch *db_watch;
	struct bus *bus;
	struct coord *coord;
	struct http_server *admin;
	struct dispatch *dispatch;
	struct loop_timer *poll, *expiries;
	unsigned planning;   /* workers that plan */
	bool planning_again; /* another run is requested */
	struct planning_share *planning_share;
	bool sweeping, sweep_again; /* a thread sweeps; another sweep is requested */
	int64_t silent_at; /* when to look for silent provisioners again; used by a sweep */
	struct renewals renewals;
	struct clock_seen clock; /* of the database; used by a sweep, as the rest here */
	enum clock_state clock_state;
	/* Clusters that the last sweep could not have: of lost tasks, and at their time. 0: none.
	 */
	int64_t stuck_lost, stuck_expired;
	struct peers *peers;
	struct postman *postman;
	struct webhooks *webhooks;
	struct retention *retention;
	struct keyring *ring; /* opens secrets */
};

extern const struct config_key scheduler_config_keys[];
int scheduler_check(void *ctx, struct loom_err *err);
int scheduler_start(struct service *service, void *ctx, struct loom_err *err);
void scheduler_drain(struct service *service, void *ctx);
void scheduler_stop(struct service *service, void *ctx);
bool scheduler_ready(struct service *service, void *ctx, struct loom_err *err);
void scheduler_notes(struct service *service, void *ctx, struct strs *ret);

/* The policy for jobs, from the configuration; borrows from s. */
struct job_policy scheduler_policy(const struct scheduler *s);

#endif
