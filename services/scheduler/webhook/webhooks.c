/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks - claims the callbacks due for a target, sends them in order, and records the
 * outcomes. */
#include "services/scheduler/webhook/webhooks.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/callback/callback_target.h"
#include "services/scheduler/wake.h"
#include "services/scheduler/webhook/admission.h"
#include "services/scheduler/webhook/webhook_secret.h"
#include "services/scheduler/webhook/webhook_send.h"
#include "services/scheduler/webhook/webhook_share.h"
#include "services/scheduler/webhook/webhooks_private.h"

#include <stdio.h>
#include <string.h>

#define MAX_QUEUE 8192 /* more than twice the maximum of callback_at_once */
#define GRACE_MS  1000 /* for calls under way while draining */
#define STOPPED   "the scheduler stopped before its answer"

#define TRIES "Attempts to deliver a callback, by result."
enum { M_DELIVERED, M_FAILED, M_DEAD, M_UNDER_WAY, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_DELIVERED] = { "loom_callbacks_total{result=\"delivered\"}", TRIES, METRIC_COUNTER },
	[M_FAILED] = { "loom_callbacks_total{result=\"failed\"}", TRIES, METRIC_COUNTER },
	[M_DEAD] = { "loom_callbacks_total{result=\"dead\"}", TRIES, METRIC_COUNTER },
	[M_UNDER_WAY] = { "loom_callbacks_under_way",
	                  "Callbacks under way; large ones count as several.", METRIC_GAUGE },
};

/* ---- sending --------------------------------------------------------------------------------- */

/* One claim. A thread makes it and writes the first message, the loop sends that, a thread writes
 * the next one, and after the last a thread records the outcome of all. In between it belongs to
 * the loop. */
struct delivery {
	TAILQ_ENTRY(delivery) place;
	struct scheduler *s;
	int64_t share, weight;
	struct callbacks claim;
	size_t at;     /* index in claim; earlier ones were delivered */
	int64_t until; /* no further callback starts then, clock_mono_ms() */
	bool send;     /* the callback at `at` is ready to be sent */
	struct cluster *c;
	struct nodes *nodes;
	char *body;
	struct webhook_post post;
	/* About the callback at `at`: */
	bool failed;
	bool defect;      /* not sent, because its subject cannot be read */
	int64_t retry_ms; /* < 0: dead */
	int64_t alone_ms; /* so long nothing else is told to the target, either */
};

static const struct callback *current(const struct delivery *t)
{
	return &t->claim.v[t->at];
}

static void subject_fini(struct delivery *t)
{
	cluster_free(t->c);
	nodes_free(t->nodes);
	t->c = NULL;
	t->nodes = NULL;
}

static int subject_read(struct db *db, void *arg)
{
	struct delivery *t = arg;
	subject_fini(t);
	int64_t id = current(t)->cluster_id;
	int rc = cluster_get(db, id, &t->c);
	if (!rc)
		rc = cluster_load_docs(db, t->c);
	return rc ? rc : nodes_load(db, id, &t->nodes);
}

static int outcome_tx(struct db *db, void *arg)
{
	struct delivery *t = arg;
	int rc = callback_delivered(db, &t->claim, t->at);
	if (!rc && t->failed)
		rc = callback_failed(db, &t->claim, t->at, t->post.status, t->post.reason,
		                     t->retry_ms);
	if (!rc && t->failed && t->alone_ms)
		rc = callback_put_off(db, current(t), t->alone_ms);
	return rc || t->at || t->failed ? rc : callback_not_begun(db, &t->claim);
}

/* Who does not answer is left alone for a while, and who says for how long for that. */
static int64_t alone_ms(const struct delivery *t, bool stopped)
{
	const struct webhook_config *cfg = &t->s->webhook_cfg;
	const struct webhook_post *p = &t->post;
	if (p->later_ms)
		return p->later_ms < cfg->callback_cap_ms ? p->later_ms : cfg->callback_cap_ms;
	return !p->status && !p->never && !stopped && !t->defect ? cfg->callback_base_ms : 0;
}

/* Decides what follows a failure. A call that this process cut off is free for others at once. */
static void judge(struct delivery *t)
{
	const struct webhook_config *cfg = &t->s->webhook_cfg;
	const struct webhook_post *p = &t->post;
	const struct callback *c = current(t);
	bool stopped = str_eq(p->reason, STOPPED);
	bool dead = !stopped && (p->never || c->attempts + 1 >= cfg->callback_tries);
	char id[ID_MAX];
	id_cluster(id, c->cluster_id);
	t->alone_ms = alone_ms(t, stopped);
	t->retry_ms = dead      ? -1
	              : stopped ? 0
	                        : clock_backoff_ms((unsigned)c->attempts, cfg->callback_base_ms,
	                                           cfg->callback_cap_ms);
	if (t->retry_ms >= 0 && t->retry_ms < t->alone_ms)
		t->retry_ms = t->alone_ms;
	metric_add(&metrics[dead ? M_DEAD : M_FAILED], 1);
	log_warn(dead ? "callback given up" : "callback failed", LOG_S("cluster", id),
	         LOG_S("event", callback_kind_name(c->kind)), LOG_I("callback", c->id),
	         LOG_I("attempt", c->attempts + 1), LOG_S("reason", p->reason));
}

static int outcome(struct delivery *t)
{
	if (t->failed)
		judge(t);
	return db_tx(t->s->db, outcome_tx, t);
}

static void write_body(struct delivery *t)
{
	const struct callback *c = current(t);
	const struct webhook_message m = { .delivery = c->delivery,
		                           .kind = c->kind,
		                           .time = c->create_time,
		                           .c = t->c,
		                           .nodes = t->nodes,
		                           .snapshot = c->snapshot };
	t->body = webhook_body(&m);
	webhook_post_fini(&t->post);
	t->post = (struct webhook_post){ .cfg = &t->s->webhook_cfg,
		                         .tenant_id = c->tenant_id,
		                         .url = c->url,
		                         .secret = c->secret,
		                         .delivery = c->delivery,
		                         .body = t->body,
		                         .kind = c->kind,
		                         .timeout_ms = t->s->webhook_cfg.callback_timeout_ms };
}

static int prepare_one(struct delivery *t)
{
	struct scheduler *s = t->s;
	int rc = db_read(s->db, subject_read, t);
	if (!rc) {
		write_body(t);
		rc = webhook_secret_prepare(s->db, s->ring, &t->post, &t->send);
		t->failed = !rc && !t->send;
	}
	subject_fini(t);
	t->defect = rc == DB_E_FATAL;
	if (!t->defect)
		return rc;
	/* Retried later, as if the target had refused it: a defect of one callback must not delay
	 * the others. */
	webhook_post_fini(&t->post);
	t->post = (struct webhook_post){ 0 };
	snprintf(t->post.reason, sizeof(t->post.reason), "what it is about cannot be read");
	t->failed = true;
	return 0;
}

/* Prepares the next callback to be sent; if there is none, or it cannot be, records the outcome. */
static int prepare(struct delivery *t)
{
	int rc = CLUSTER_E_NONE;
	t->send = false;
	while (rc == CLUSTER_E_NONE && t->at < t->claim.n &&
	       (!t->at || clock_mono_ms() < t->until)) {
		rc = prepare_one(t);
		t->at += rc == CLUSTER_E_NONE; /* its cluster does not exist any more */
	}
	if (t->send)
		return 0;
	int noted = outcome(t);
	return rc && rc != CLUSTER_E_NONE ? rc : noted;
}

static void warn_unsent(int rc)
{
	if (rc)
		log_warn("callbacks not sent", LOG_S("reason", err_name(rc)));
}

static void kick(void *arg)
{
	webhooks_kick(arg);
}

static void claim_work(void *arg)
{
	struct delivery *t = arg;
	struct scheduler *s = t->s;
	t->until = clock_mono_ms() + WEBHOOK_SENDING_MS;
	int rc = callback_claim(s->db, webhook_lease_ms(&s->webhook_cfg), t->share,
	                        CALLBACK_MAX_CLAIM, &t->claim);
	if (!rc && t->claim.n) {
		loop_post(s->loop, kick, s); /* there may be more, for other threads */
		rc = prepare(t);
	}
	warn_unsent(rc);
}

static void next_work(void *arg)
{
	warn_unsent(prepare(arg));
}

static void outcome_work(void *arg)
{
	warn_unsent(outcome(arg));
}

static void weigh(struct delivery *t, int64_t weight)
{
	struct webhooks *k = t->s->webhooks;
	k->weight += weight - t->weight;
	t->weight = weight;
	metric_set(&metrics[M_UNDER_WAY], k->weight);
}

static void end(void *arg)
{
	struct delivery *t = arg;
	struct scheduler *s = t->s;
	struct webhooks *k = s->webhooks;
	bool more = t->claim.n || k->again;
	weigh(t, 0);
	if (t->claim.n)
		wake_callbacks(s, t->claim.v[0].tenant_id);
	TAILQ_REMOVE(&k->under_way, t, place);
	webhook_post_fini(&t->post);
	callbacks_fini(&t->claim);
	subject_fini(t);
	loom_free(t->body);
	loom_free(t);
	if (more)
		webhooks_kick(s);
}

static void prepared(void *arg);

/* If the outcome cannot be written, the claim runs out. */
static void answered(struct webhook_post *p LOOM_UNUSED, bool ok, void *arg)
{
	struct delivery *t = arg;
	const struct webhooks *k = t->s->webhooks;
	t->failed = !ok;
	t->at += ok;
	if (ok)
		metric_add(&metrics[M_DELIVERED], 1);
	bool more = ok && t->at < t->claim.n && !atomic_load(&k->stopping);
	if (!k->pool ||
	    pool_submit(k->pool, more ? next_work : outcome_work, more ? prepared : end, t))
		end(t);
}

static void give_up(struct delivery *t)
{
	snprintf(t->post.reason, sizeof(t->post.reason), "%s", STOPPED);
	answered(&t->post, false, t);
}

static void prepared(void *arg)
{
	struct delivery *t = arg;
	struct webhooks *k = t->s->webhooks;
	if (!t->send) {
		end(t);
		return;
	}
	if (atomic_load(&k->stopping)) {
		give_up(t);
		return;
	}
	weigh(t, webhook_weight(strlen(t->body)));
	webhook_start(&t->post, k->client, answered, t);
	loom_free(t->body); /* the fetch has a copy */
	t->body = NULL;
}

static void claimed(void *arg)
{
	struct delivery *t = arg;
	struct scheduler *s = t->s;
	s->webhooks->preparing--;
	if (s->webhooks->again)
		webhooks_kick(s);
	prepared(t);
}

void webhooks_kick(struct scheduler *s)
{
	struct webhooks *k = s->webhooks;
	if (!k || atomic_load(&k->stopping) || service_draining(s->service))
		return;
	int64_t share = webhook_share(s->webhook_cfg.callback_at_once, k->weight);
	k->again = !share || k->preparing >= s->webhook_cfg.callback_threads;
	if (k->again)
		return;
	struct delivery *t = loom_calloc(1, sizeof(*t));
	t->s = s;
	t->share = share;
	if (pool_submit(k->pool, claim_work, claimed, t)) {
		loom_free(t);
		return;
	}
	k->preparing++;
	TAILQ_INSERT_TAIL(&k->under_way, t, place);
	weigh(t, 1);
}

/* The elected scheduler does this, or every one while no election is possible. */
void webhooks_poll(struct scheduler *s)
{
	if (service_draining(s->service))
		return;
	if (!coord_connected(s->coord) || coord_is_leader(s->coord, "janitor"))
		webhooks_kick(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void give_up_all(void *arg)
{
	struct scheduler *s = arg;
	struct delivery *t, *next;
	admission_give_up(s->webhooks);
	for (t = TAILQ_FIRST(&s->webhooks->under_way); t; t = next) {
		next = TAILQ_NEXT(t, place);
		if (webhook_cancel(&t->post))
			give_up(t);
	}
}

int webhooks_start(struct scheduler *s, struct loom_err *err)
{
	int rc = webhook_config_check(&s->webhook_cfg, err);
	if (rc)
		return rc;
	struct webhooks *k = loom_calloc(1, sizeof(*k));
	k->s = s;
	TAILQ_INIT(&k->under_way);
	TAILQ_INIT(&k->asked);
	k->pool = pool_create(s->loop, (unsigned)s->webhook_cfg.callback_threads, MAX_QUEUE);
	k->client = http_client_create(s->loop);
	k->grace = loop_timer_create(s->loop, "callbacks' end", give_up_all, s);
	s->webhooks = k;
	metrics_register(metrics, M_COUNT);
	admission_start();
	return 0;
}

void webhooks_drain(struct scheduler *s)
{
	atomic_store(&s->webhooks->stopping, true);
	loop_timer_arm(s->webhooks->grace, GRACE_MS);
}

bool webhooks_idle(const struct scheduler *s)
{
	return TAILQ_EMPTY(&s->webhooks->under_way) && TAILQ_EMPTY(&s->webhooks->asked);
}

void webhooks_stop(struct scheduler *s)
{
	struct webhooks *k = s->webhooks;
	if (!k)
		return;
	atomic_store(&k->stopping, true);
	pool_destroy(k->pool);
	k->pool = NULL;
	loop_flush(s->loop);
	give_up_all(s);
	http_client_destroy(k->client);
	loop_timer_destroy(k->grace);
	s->webhooks = NULL;
	loom_free(k);
}
