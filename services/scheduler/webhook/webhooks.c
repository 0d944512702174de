/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks - claims what is due, sends it, and notes how that went. */
#include "services/scheduler/webhook/webhooks.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/callback_target.h"
#include "services/scheduler/webhook/admission.h"
#include "services/scheduler/webhook/webhook_secret.h"
#include "services/scheduler/webhook/webhook_send.h"
#include "services/scheduler/webhook/webhooks_private.h"

/* A claim lasts for the post and the two transactions around it. One that takes longer is sent
 * twice, which targets tell by its delivery id. */
#define LEASE_MARGIN_MS 5000

enum { M_DELIVERED, M_FAILED, M_DEAD, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_DELIVERED] = { .name = "loom_callbacks_total{result=\"delivered\"}",
	                  .help = "Tries to tell a target, by result.",
	                  .kind = METRIC_COUNTER },
	[M_FAILED] = { .name = "loom_callbacks_total{result=\"failed\"}",
	               .help = "Tries to tell a target, by result.",
	               .kind = METRIC_COUNTER },
	[M_DEAD] = { .name = "loom_callbacks_total{result=\"dead\"}",
	             .help = "Tries to tell a target, by result.",
	             .kind = METRIC_COUNTER },
};

/* ---- telling ----------------------------------------------------------------------------------
 */

struct telling {
	struct scheduler *s;
	struct callback cb;
	struct cluster *c;
	struct nodes *nodes;
	int64_t status;
	const char *reason;
	int64_t retry_ms; /* < 0: dead */
	bool silent;
};

static int subject_read(struct db *db, void *arg)
{
	struct telling *t = arg;
	cluster_free(t->c);
	nodes_free(t->nodes);
	t->c = NULL;
	t->nodes = NULL;
	int rc = cluster_get(db, t->cb.cluster_id, &t->c);
	if (!rc)
		rc = cluster_load_docs(db, t->c);
	return rc ? rc : nodes_load(db, t->cb.cluster_id, &t->nodes);
}

static int delivered_tx(struct db *db, void *arg)
{
	struct telling *t = arg;
	return callback_delivered(db, &t->cb);
}

static int failed_tx(struct db *db, void *arg)
{
	struct telling *t = arg;
	int rc = callback_failed(db, &t->cb, t->status, t->reason, t->retry_ms);
	if (!rc && t->silent)
		rc = callback_put_off(db, &t->cb, t->s->webhook_cfg.callback_base_ms);
	return rc;
}

static void note(struct telling *t, const struct webhook_post *p)
{
	const struct webhook_config *cfg = &t->s->webhook_cfg;
	bool dead = p->never || t->cb.attempts >= cfg->callback_tries;
	char id[ID_MAX];
	id_cluster(id, t->cb.cluster_id);
	t->reason = p->reason;
	t->status = p->status;
	t->silent = !p->status && !p->never;
	t->retry_ms = dead ? -1
	                   : clock_backoff_ms((unsigned)t->cb.attempts - 1, cfg->callback_base_ms,
	                                      cfg->callback_cap_ms);
	metric_add(&metrics[dead ? M_DEAD : M_FAILED], 1);
	log_warn(dead ? "callback given up" : "callback failed", LOG_S("cluster", id),
	         LOG_S("event", callback_kind_name(t->cb.kind)), LOG_I("callback", t->cb.id),
	         LOG_I("attempt", t->cb.attempts), LOG_S("reason", p->reason));
}

static int tell(struct telling *t)
{
	struct scheduler *s = t->s;
	int rc = db_read(s->db, subject_read, t);
	if (rc == CLUSTER_E_NONE)
		return db_tx(s->db, delivered_tx, t); /* nothing is left to tell about */
	if (rc)
		return rc;
	const struct webhook_message m = { .delivery = t->cb.delivery,
		                           .kind = t->cb.kind,
		                           .time = t->cb.create_time,
		                           .c = t->c,
		                           .nodes = t->nodes,
		                           .snapshot = t->cb.snapshot };
	LOOM_CLEANUP_STR char *body = webhook_body(&m);
	struct webhook_post p = { .cfg = &s->webhook_cfg,
		                  .tenant_id = t->cb.tenant_id,
		                  .url = t->cb.url,
		                  .secret = t->cb.secret,
		                  .delivery = t->cb.delivery,
		                  .body = body,
		                  .kind = t->cb.kind,
		                  .timeout_ms = s->webhook_cfg.callback_timeout_ms };
	char *own = NULL;
	rc = webhook_secret_get(s->db, &s->webhooks->key, &p, &own);
	bool ok = !rc && !p.never && webhook_post(&p);
	webhook_secret_wipe(own);
	if (rc)
		return rc;
	if (ok)
		metric_add(&metrics[M_DELIVERED], 1);
	else
		note(t, &p);
	rc = db_tx(s->db, ok ? delivered_tx : failed_tx, t);
	webhook_post_fini(&p);
	return rc;
}

static void kick(void *arg)
{
	webhooks_kick(arg);
}

static void tell_work(void *arg)
{
	struct scheduler *s = arg;
	int64_t lease = s->webhook_cfg.callback_timeout_ms + LEASE_MARGIN_MS;
	int64_t share = s->webhook_cfg.callback_threads / 2; /* of one tenant, at most */
	bool found = true;
	int rc = 0;
	while (!rc && found && !atomic_load(&s->webhooks->stopping)) {
		struct telling t = { .s = s };
		rc = callback_claim(s->db, lease, share, &t.cb, &found);
		if (!rc && found) {
			loop_post(s->loop, kick, s); /* there may be more, for other threads */
			rc = tell(&t);
		}
		callback_fini(&t.cb);
		cluster_free(t.c);
		nodes_free(t.nodes);
	}
	if (rc)
		log_warn("callbacks not told", LOG_S("reason", err_name(rc)));
}

static void tell_done(void *arg)
{
	struct scheduler *s = arg;
	struct webhooks *k = s->webhooks;
	if (!k)
		return;
	k->running--;
	if (k->again) {
		k->again = false;
		webhooks_kick(s);
	}
}

void webhooks_kick(struct scheduler *s)
{
	struct webhooks *k = s->webhooks;
	if (!k || atomic_load(&k->stopping) || service_draining(s->service))
		return;
	if (k->running >= s->webhook_cfg.callback_threads - 1)
		k->again = true;
	else if (!pool_submit(k->pool, tell_work, tell_done, s))
		k->running++;
}

/* Enough when one does it, or everybody while none can be elected. */
void webhooks_poll(struct scheduler *s)
{
	if (service_draining(s->service))
		return;
	if (!coord_connected(s->coord) || coord_is_leader(s->coord, "janitor"))
		webhooks_kick(s);
}

/* ---- life -------------------------------------------------------------------------------------
 */

int webhooks_start(struct scheduler *s, struct loom_err *err)
{
	int rc = webhook_config_check(&s->webhook_cfg, err);
	if (rc)
		return rc;
	struct webhooks *k = loom_calloc(1, sizeof(*k));
	rc = seal_key_init(s->cfg.bus.key_file, CALLBACK_TARGET_USE, &k->key, err);
	if (rc) {
		loom_free(k);
		return rc;
	}
	k->s = s;
	k->pool = pool_create(s->loop, (unsigned)s->webhook_cfg.callback_threads, 1024);
	s->webhooks = k;
	metrics_register(metrics, M_COUNT);
	admission_start();
	return 0;
}

void webhooks_drain(struct scheduler *s)
{
	atomic_store(&s->webhooks->stopping, true);
}

void webhooks_stop(struct scheduler *s)
{
	struct webhooks *k = s->webhooks;
	if (!k)
		return;
	atomic_store(&k->stopping, true);
	pool_destroy(k->pool);
	loop_flush(s->loop);
	s->webhooks = NULL;
	seal_key_fini(&k->key);
	loom_free(k);
}
