/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler - the context of one loom-scheduler, and how its parts reach each other.
 *
 * Parts: planning (jobs in phase plan become task graphs), dispatch (results move the graph,
 * waiting takes meet ready tasks), janitor (what nobody reports), preview (a plan without a
 * cluster). Each change is one transaction; any number of schedulers may run at once.
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
#include "services/scheduler/job/quarantine.h"
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
	int64_t lease_warning_ms; /* so long before a cluster's end */
	int64_t lease_retry_ms;   /* first wait when an expired cluster could not be deleted */
	struct db_config db;
	struct bus_config bus;
	struct coord_config coord;
};

struct dispatch;
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
	struct loop_timer *poll, *lease_ends;
	bool planning, planning_again; /* a planning run is on a worker; one more is wanted */
	bool sweeping;                 /* the janitor is on a worker */
	int64_t silent_at;  /* when silent provisioners are looked for again; a sweep's */
	int64_t away_until; /* monotonic ms when the database was last seen away; 0 never */
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

struct job_policy scheduler_policy(const struct scheduler *s);

/* wake.c: hints to others; what follows a commit. */
struct wake {
	int64_t cluster, seq; /* 0: no new events */
	char tenant[65];
	bool ready;     /* tasks became ready */
	bool job;       /* a job wants planning */
	bool callbacks; /* targets are to be told */
};
void wake_start(struct scheduler *s);
void wake_stop(struct scheduler *s);
void wake_all(struct scheduler *s, const struct wake *w); /* any thread */
/* What a committed change calls for. */
struct wake wake_of(const struct cluster_tx *tx);
void wake_changed(struct scheduler *s, const struct cluster_tx *tx); /* any thread */
/* For all changes of one commit at once. Loop thread. */
void wake_now(struct scheduler *s, const struct wake *v, size_t n);

/* mail.c, loop thread: what APIs ask by way of the database. */
int mail_start(struct scheduler *s, struct loom_err *err);
void mail_look(struct scheduler *s);
void mail_stop(struct scheduler *s); /* after the bus is gone */

/* planning.c, loop thread: looks for jobs to plan, soon. */
void planning_kick(struct scheduler *s);
/* The scheduler of that id is gone: what it was planning is planned here. */
void planning_take_over(struct scheduler *s, const char *owner);

/* dispatch.c, loop thread: takes and results, a batch after the other. */
void dispatch_start(struct scheduler *s);
void dispatch_drain(struct scheduler *s);      /* answers all waiting takes empty-handed */
bool dispatch_idle(const struct scheduler *s); /* no result waits or is being applied */
void dispatch_stop(struct scheduler *s);
void dispatch_kick(struct scheduler *s); /* there may be ready tasks */
void dispatch_show(struct http_req *req, void *ctx);

/* janitor.c, preview.c, control.c, operation_plan.c. */
void janitor_tick(struct scheduler *s);
void janitor_stop(struct scheduler *s);
void preview_start(struct scheduler *s);
void control_start(struct scheduler *s);
void operation_plan_start(struct scheduler *s);

#endif
