/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks - claims what is due for a target, sends it in order, and notes how that went. */
#include "services/scheduler/webhook/webhooks.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/callback_target.h"
#include "services/scheduler/webhook/admission.h"
#include "services/scheduler/webhook/webhook_secret.h"
#include "services/scheduler/webhook/webhook_send.h"
#include "services/scheduler/webhook/webhook_share.h"
#include "services/scheduler/webhook/webhooks_private.h"

#include <stdio.h>
#include <string.h>

/* Of a claim nothing more is begun after this time, so that what was told is noted soon; it lasts
 * for that, the last post and the two transactions around it. What takes longer is sent twice,
 * which targets tell by its delivery id. */
#define TELL_MS         1000
#define LEASE_MARGIN_MS 5000
#define MAX_QUEUE       8192 /* more than twice callback_at_once may be */
#define GRACE_MS        1000 /* for those under way when draining */
#define STOPPED         "the scheduler stopped before its answer"

#define TRIES "Tries to tell a target, by result."
enum { M_DELIVERED, M_FAILED, M_DEAD, M_UNDER_WAY, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_DELIVERED] = { "loom_callbacks_total{result=\"delivered\"}", TRIES, METRIC_COUNTER },
	[M_FAILED] = { "loom_callbacks_total{result=\"failed\"}", TRIES, METRIC_COUNTER },
	[M_DEAD] = { "loom_callbacks_total{result=\"dead\"}", TRIES, METRIC_COUNTER },
	[M_UNDER_WAY] = { "loom_callbacks_under_way",
	                  "Callbacks being told; large ones count as several.", METRIC_GAUGE },
};

/* ---- telling --------------------------------------------------------------------------------- */

/* One claim: on a thread it is made and the message of the first written, on the loop that is sent,
 * on a thread the next one written, and after the last the outcome of all noted. Between these it
 * belongs to the loop. */
struct telling {
	TAILQ_ENTRY(telling) place;
	struct scheduler *s;
	int64_t share, weight;
	struct callbacks claim;
	size_t at;     /* in it: those before were told */
	int64_t until; /* nothing more is begun then, clock_mono_ms() */
	bool send;     /* the one at `at` is to be sent */
	struct cluster *c;
	struct nodes *nodes;
	char *body;
	struct webhook_post post;
	/* The one at `at`. */
	bool failed, silent;
	int64_t retry_ms; /* < 0: dead */
};

static const struct callback *current(const struct telling *t)
{
	return &t->claim.v[t->at];
}

static void subject_fini(struct telling *t)
{
	cluster_free(t->c);
	nodes_free(t->nodes);
	t->c = NULL;
	t->nodes = NULL;
}

static int subject_read(struct db *db, void *arg)
{
	struct telling *t = arg;
	subject_fini(t);
	int64_t id = current(t)->cluster_id;
	int rc = cluster_get(db, id, &t->c);
	if (!rc)
		rc = cluster_load_docs(db, t->c);
	return rc ? rc : nodes_load(db, id, &t->nodes);
}

static int outcome_tx(struct db *db, void *arg)
{
	struct telling *t = arg;
	int rc = callback_delivered(db, &t->claim, t->at);
	if (!rc && t->failed)
		rc = callback_failed(db, &t->claim, t->at, t->post.status, t->post.reason,
		                     t->retry_ms);
	if (!rc && t->failed && t->silent)
		rc = callback_put_off(db, current(t), t->s->webhook_cfg.callback_base_ms);
	return rc || t->at || t->failed ? rc : callback_not_begun(db, &t->claim);
}

/* What a failure means. One that this process gave up to end is another's at once. */
static void judge(struct telling *t)
{
	const struct webhook_config *cfg = &t->s->webhook_cfg;
	const struct webhook_post *p = &t->post;
	const struct callback *c = current(t);
	bool stopped = str_eq(p->reason, STOPPED);
	bool dead = !stopped && (p->never || c->attempts + 1 >= cfg->callback_tries);
	char id[ID_MAX];
	id_cluster(id, c->cluster_id);
	t->silent = !p->status && !p->never && !stopped;
	t->retry_ms = dead      ? -1
	              : stopped ? 0
	                        : clock_backoff_ms((unsigned)c->attempts, cfg->callback_base_ms,
	                                           cfg->callback_cap_ms);
	metric_add(&metrics[dead ? M_DEAD : M_FAILED], 1);
	log_warn(dead ? "callback given up" : "callback failed", LOG_S("cluster", id),
	         LOG_S("event", callback_kind_name(c->kind)), LOG_I("callback", c->id),
	         LOG_I("attempt", c->attempts + 1), LOG_S("reason", p->reason));
}

static int outcome(struct telling *t)
{
	if (t->failed)
		judge(t);
	return db_tx(t->s->db, outcome_tx, t);
}

static void write_body(struct telling *t)
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

static int prepare_one(struct telling *t)
{
	struct scheduler *s = t->s;
	int rc = db_read(s->db, subject_read, t);
	if (!rc) {
		write_body(t);
		rc = webhook_secret_prepare(s->db, &s->webhooks->key, &t->post, &t->send);
		t->failed = !rc && !t->send;
	}
	subject_fini(t);
	return rc;
}

/* The next one, ready to be sent; when there is none, or it cannot be, how it went is noted. */
static int prepare(struct telling *t)
{
	int rc = CLUSTER_E_NONE;
	t->send = false;
	while (rc == CLUSTER_E_NONE && t->at < t->claim.n &&
	       (!t->at || clock_mono_ms() < t->until)) {
		rc = prepare_one(t);
		t->at += rc == CLUSTER_E_NONE; /* nothing is left to tell about */
	}
	if (t->send)
		return 0;
	int noted = outcome(t);
	return rc && rc != CLUSTER_E_NONE ? rc : noted;
}

static void warn_untold(int rc)
{
	if (rc)
		log_warn("callbacks not told", LOG_S("reason", err_name(rc)));
}

static void kick(void *arg)
{
	webhooks_kick(arg);
}

static void claim_work(void *arg)
{
	struct telling *t = arg;
	struct scheduler *s = t->s;
	int64_t lease = TELL_MS + s->webhook_cfg.callback_timeout_ms + LEASE_MARGIN_MS;
	t->until = clock_mono_ms() + TELL_MS;
	int rc = callback_claim(s->db, lease, t->share, CALLBACK_MAX_CLAIM, &t->claim);
	if (!rc && t->claim.n) {
		loop_post(s->loop, kick, s); /* there may be more, for other threads */
		rc = prepare(t);
	}
	warn_untold(rc);
}

static void next_work(void *arg)
{
	warn_untold(prepare(arg));
}

static void outcome_work(void *arg)
{
	warn_untold(outcome(arg));
}

static void weigh(struct telling *t, int64_t weight)
{
	struct webhooks *k = t->s->webhooks;
	k->weight += weight - t->weight;
	t->weight = weight;
	metric_set(&metrics[M_UNDER_WAY], k->weight);
}

static void end(void *arg)
{
	struct telling *t = arg;
	struct scheduler *s = t->s;
	struct webhooks *k = s->webhooks;
	bool more = t->claim.n || k->again;
	weigh(t, 0);
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

/* When the outcome cannot be written, the claim runs out. */
static void answered(struct webhook_post *p LOOM_UNUSED, bool ok, void *arg)
{
	struct telling *t = arg;
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

static void give_up(struct telling *t)
{
	snprintf(t->post.reason, sizeof(t->post.reason), "%s", STOPPED);
	answered(&t->post, false, t);
}

static void prepared(void *arg)
{
	struct telling *t = arg;
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
	loom_free(t->body); /* the fetch has its own */
	t->body = NULL;
}

static void claimed(void *arg)
{
	struct telling *t = arg;
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
	struct telling *t = loom_calloc(1, sizeof(*t));
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

/* Enough when one does it, or everybody while none can be elected. */
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
	struct telling *t, *next;
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
	rc = seal_key_init(s->cfg.bus.key_file, CALLBACK_TARGET_USE, &k->key, err);
	if (rc) {
		loom_free(k);
		return rc;
	}
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
	seal_key_fini(&k->key);
	loom_free(k);
}
