/* SPDX-License-Identifier: Apache-2.0 */
/* The calls run on a worker thread, one after another; the loop starts them. */
#include "services/api/worker/share_push.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/catalog/plugin_resource.h"
#include "common/model/worker/worker_share.h"
#include "common/net/http_client.h"
#include "services/api/request/db_outage.h"

#include <stdatomic.h>
#include <string.h>

enum {
	TICK_MS = 100,
	TICKS_A_LOOK = 20,
	CALLS = 16, /* in one run */
	CONNECT_MS = 2000,
	CALL_MS = 10000,
	CLAIM_MS = 2 * CALL_MS,
	AGAIN_MS = 500,
	AGAIN_MOST_MS = 60000,
};

struct share_push {
	struct api *a;
	struct loop_timer *timer;
	atomic_bool soon;
	bool busy;
	int ticks;
	struct share_due due;   /* of the current call */
	struct json *resources; /* plug-in files of its tenant */
	int64_t again_ms;
	int rc;
};

static int look_read(struct db *db, void *arg)
{
	return shares_due(db, arg);
}

static int claim_tx(struct db *db, void *arg)
{
	struct share_push *t = arg;
	share_due_fini(&t->due);
	return share_claim(db, CLAIM_MS, &t->due);
}

static int resources_read(struct db *db, void *arg)
{
	struct share_push *t = arg;
	return plugin_resources_live(db, t->due.tenant, &t->resources);
}

static int pushed_tx(struct db *db, void *arg)
{
	const struct share_push *t = arg;
	return share_pushed(db, &t->due);
}

static int failed_tx(struct db *db, void *arg)
{
	const struct share_push *t = arg;
	return share_failed(db, &t->due, t->again_ms);
}

static char *message(const struct share_push *t)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set_int(v, "workers", t->due.workers);
	return json_text(json_set(v, "resources", json_copy(t->resources)));
}

/* true: the provisioner has accepted it. */
static bool call(const struct share_push *t)
{
	const struct share_due *d = &t->due;
	const char *six = strchr(d->host, ':');
	LOOM_CLEANUP_STR char *body = message(t);
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("http://%s%s%s:%lld/v2/tenants/%s", six ? "[" : "", d->host,
	                      six ? "]" : "", (long long)d->port, d->tenant);
	struct loom_err err = { 0 };
	struct http_call c = { .method = "PUT",
		               .url = url,
		               .body = body,
		               .body_len = strlen(body),
		               .connect_ms = CONNECT_MS,
		               .timeout_ms = CALL_MS,
		               .max_answer = 1 << 20 };
	int rc = http_call(NULL, &c, &err);
	bool ok = !rc && c.status >= 200 && c.status < 300;
	if (!ok)
		log_warn("provisioner not told how many workers to run",
		         LOG_S("provisioner", d->provisioner), LOG_S("tenant", d->tenant),
		         LOG_I("tries", d->tries + 1), LOG_I("status", c.status),
		         LOG_S("reason", rc ? err.msg : "refused"));
	http_call_fini(&c);
	return ok;
}

/* Makes one due call; false when nothing was due. */
static bool push_one(struct share_push *t)
{
	t->rc = db_tx(t->a->db, claim_tx, t);
	if (t->rc || !t->due.provisioner)
		return false;
	/* An error in one tenant's data must not keep the others waiting. */
	t->rc = db_read(t->a->db, resources_read, t);
	if (t->rc && t->rc != DB_E_FATAL)
		return false;
	if (t->rc)
		log_error("a tenant's files for plug-ins cannot be read",
		          LOG_S("tenant", t->due.tenant));
	bool ok = !t->rc && call(t);
	t->again_ms = clock_backoff_ms((unsigned)(t->due.tries < 16 ? t->due.tries : 16), AGAIN_MS,
	                               AGAIN_MOST_MS);
	t->rc = db_tx(t->a->db, ok ? pushed_tx : failed_tx, t);
	if (ok)
		log_info("provisioner told how many workers to run",
		         LOG_S("provisioner", t->due.provisioner), LOG_S("tenant", t->due.tenant),
		         LOG_I("workers", t->due.workers));
	share_due_fini(&t->due);
	return !t->rc;
}

static void work(void *arg)
{
	struct share_push *t = arg;
	bool due = false;
	t->rc = db_read(t->a->db, look_read, &due);
	for (int i = 0; !t->rc && due && i < CALLS && push_one(t); i++)
		;
}

static void worked(void *arg)
{
	struct share_push *t = arg;
	t->busy = false;
	share_due_fini(&t->due);
}

static void tick(void *arg)
{
	struct share_push *t = arg;
	if (t->busy || db_outage_now(t->a))
		return;
	bool now = atomic_exchange(&t->soon, false);
	if (!now && ++t->ticks < TICKS_A_LOOK)
		return;
	t->ticks = 0;
	t->busy = !pool_submit(t->a->pool, work, worked, t);
}

void share_push_start(struct api *a)
{
	struct share_push *t = loom_calloc(1, sizeof(*t));
	t->a = a;
	t->timer = loop_timer_create(a->loop, "share push", tick, t);
	loop_timer_every(t->timer, TICK_MS);
	a->share_push = t;
}

void share_push_soon(struct api *a)
{
	atomic_store(&a->share_push->soon, true);
}

void share_push_stop(struct api *a)
{
	struct share_push *t = a->share_push;
	if (!t)
		return;
	loop_timer_destroy(t->timer);
	share_due_fini(&t->due);
	json_free(t->resources);
	loom_free(t);
	a->share_push = NULL;
}
