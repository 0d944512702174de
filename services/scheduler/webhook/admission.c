/* SPDX-License-Identifier: Apache-2.0 */
/* admission - asks every target with a veto until it answers or the time is over. */
#include "services/scheduler/webhook/admission.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/model/callback/callback.h"
#include "services/scheduler/webhook/webhook_secret.h"
#include "services/scheduler/webhook/webhook_send.h"
#include "services/scheduler/webhook/webhook_share.h"
#include "services/scheduler/webhook/webhooks_private.h"

#include <stdio.h>
#include <string.h>

enum { VETOES };
static struct metric metrics[] = {
	[VETOES] = { "loom_callback_vetoes_total", "Jobs that a start callback refused.",
	             METRIC_COUNTER },
};

void admission_start(void)
{
	metrics_register(metrics, LOOM_COUNT(metrics));
}

/* One job under review. It asks one target after the other: a thread prepares the message, the loop
 * sends it, and a thread reports the outcome. In between it belongs to the loop. */
struct asking {
	TAILQ_ENTRY(asking) place;
	struct scheduler *s;
	struct job claimed; /* ids and epoch only */
	char *tenant_id, *body, *delivery;
	struct json *targets;
	size_t at; /* in targets */
	unsigned tries;
	int64_t until, weight;
	struct webhook_post post;
	bool send;               /* post is ready */
	struct loop_timer *wait; /* timer for the next try */
	bool waiting;
	admission_cb then;
	void *arg;
	bool ours;
	int rc;
	char *why;
};

static int extend_tx(struct db *db, void *arg)
{
	struct asking *a = arg;
	int64_t ms = a->s->webhook_cfg.callback_veto_ms + a->s->cfg.job_lease_ms;
	return job_extend_claim(db, &a->claimed, ms, &a->ours);
}

/* Returns the reason, owned; called for refusals only. */
static char *verdict(const struct webhook_post *p)
{
	LOOM_CLEANUP(json_free) struct json *said = NULL;
	if (p->answer.len && json_parse(p->answer.data, p->answer.len, 0, &said, NULL))
		said = NULL;
	const char *veto = json_get_str(said, "veto");
	if (p->status == 409 || (p->status == 403 && veto))
		return text_utf8(loom_asprintf("the start callback refused it%s%.300s",
		                               veto ? ": " : "", veto ? veto : ""));
	return loom_asprintf("the start callback did not agree: %s", p->reason);
}

static void ask_free(struct asking *a)
{
	webhook_post_fini(&a->post);
	loom_free(a->tenant_id);
	loom_free(a->body);
	loom_free(a->delivery);
	loom_free(a->why);
	json_free(a->targets);
	loom_free(a);
}

static void then_work(void *arg)
{
	struct asking *a = arg;
	a->then(a->arg, a->rc, a->why);
}

static void then_done(void *arg)
{
	struct asking *a = arg;
	struct webhooks *k = a->s->webhooks;
	TAILQ_REMOVE(&k->asked, a, place);
	k->asked_weight -= a->weight;
	loop_timer_destroy(a->wait);
	ask_free(a);
}

/* Reports the outcome on a thread of planning, which owns the job from here on. */
static void end(struct asking *a)
{
	struct scheduler *s = a->s;
	/* If we are stopping, another scheduler repeats the request. */
	if (a->why && atomic_load(&s->webhooks->stopping))
		a->rc = DB_E_AWAY;
	if (!a->rc && a->why)
		metric_add(&metrics[VETOES], 1);
	if (s->pool && !pool_submit(s->pool, then_work, then_done, a))
		return;
	a->rc = DB_E_AWAY; /* its claim runs out, and another try follows */
	then_work(a);
	then_done(a);
}

/* ---- one try --------------------------------------------------------------------------------- */

static void prepare(struct asking *a)
{
	const struct webhook_config *cfg = &a->s->webhook_cfg;
	const struct json *target = json_at(a->targets, a->at);
	int64_t left = a->until - clock_mono_ms();
	webhook_post_fini(&a->post);
	a->post = (struct webhook_post){ .cfg = cfg,
		                         .tenant_id = a->tenant_id,
		                         .url = json_get_str(target, "url"),
		                         .secret = json_get_str(target, "secret"),
		                         .delivery = a->delivery,
		                         .body = a->body,
		                         .kind = CALLBACK_START,
		                         .timeout_ms = left > 1 ? left : 1 };
	if (a->post.timeout_ms > cfg->callback_timeout_ms)
		a->post.timeout_ms = cfg->callback_timeout_ms;
	/* A message without its signature is not sent, but retried a little later. */
	if (webhook_secret_prepare(a->s->db, a->s->ring, &a->post, &a->send))
		snprintf(a->post.reason, sizeof(a->post.reason), "the database is away");
}

static void prepare_work(void *arg)
{
	prepare(arg);
}

static void first_work(void *arg)
{
	struct asking *a = arg;
	a->rc = db_tx(a->s->db, extend_tx, a);
	if (!a->rc && !a->ours)
		a->rc = DB_E_RETRY;
	a->until = clock_mono_ms() + a->s->webhook_cfg.callback_veto_ms;
	if (!a->rc)
		prepare(a);
}

static void prepared(void *arg);

static void submit(struct asking *a, loop_fn work)
{
	struct webhooks *k = a->s->webhooks;
	if (k->pool && !pool_submit(k->pool, work, prepared, a))
		return;
	a->rc = DB_E_AWAY;
	end(a);
}

static void try_again(void *arg)
{
	struct asking *a = arg;
	a->waiting = false;
	submit(a, prepare_work);
}

static void tried(struct webhook_post *p, bool ok, void *arg)
{
	struct asking *a = arg;
	bool again = !ok && !p->never && (!p->status || p->status >= 500);
	int64_t wait = clock_backoff_ms(a->tries++, 100, 1000);
	if (again && clock_mono_ms() + wait < a->until && !atomic_load(&a->s->webhooks->stopping)) {
		a->waiting = true;
		loop_timer_arm(a->wait, wait);
		return;
	}
	if (!ok)
		a->why = verdict(p);
	a->tries = 0;
	if (!ok || ++a->at == json_len(a->targets))
		end(a);
	else
		submit(a, prepare_work);
}

static void prepared(void *arg)
{
	struct asking *a = arg;
	if (a->rc || atomic_load(&a->s->webhooks->stopping)) {
		a->rc = a->rc ? a->rc : DB_E_AWAY;
		end(a);
	} else if (a->send) {
		webhook_start(&a->post, a->s->webhooks->client, tried, a);
	} else {
		tried(&a->post, false, a);
	}
}

/* ---- begin and end --------------------------------------------------------------------------- */

static int64_t weight_of_tenant(const struct webhooks *k, const char *tenant)
{
	const struct asking *a;
	int64_t weight = 0;
	TAILQ_FOREACH(a, &k->asked, place)
	weight += str_eq(a->tenant_id, tenant) ? a->weight : 0;
	return weight;
}

static void begin(void *arg)
{
	struct asking *a = arg;
	struct webhooks *k = a->s->webhooks;
	int64_t share = webhook_share(a->s->webhook_cfg.callback_at_once, k->asked_weight);
	bool room = weight_of_tenant(k, a->tenant_id) < share;
	a->weight = webhook_weight(strlen(a->body));
	a->wait = loop_timer_create(a->s->loop, "admission", try_again, a);
	TAILQ_INSERT_TAIL(&k->asked, a, place);
	k->asked_weight += a->weight;
	if (room && !atomic_load(&k->stopping)) {
		submit(a, first_work);
		return;
	}
	a->rc = DB_E_AWAY;
	end(a);
}

void admission_give_up(struct webhooks *k)
{
	struct asking *a, *next;
	for (a = TAILQ_FIRST(&k->asked); a; a = next) {
		next = TAILQ_NEXT(a, place);
		if (!webhook_cancel(&a->post) && !a->waiting)
			continue; /* a thread works on it */
		a->waiting = false;
		a->rc = DB_E_AWAY;
		end(a);
	}
}

/* Reads the targets of a cluster. */
struct targets_read {
	const struct cluster *c;
	struct json *list;
};

static int read_targets(struct db *db, void *arg)
{
	struct targets_read *w = arg;
	json_free(w->list);
	w->list = NULL;
	return callback_of_cluster(db, w->c->id, w->c->tenant_id, &w->list);
}

static int may_veto(const struct scheduler *s, const struct admission_review *st, struct json **ret)
{
	struct targets_read w = { .c = st->c };
	int rc = db_read(s->db, read_targets, &w);
	if (rc)
		return rc;
	struct json *list =
		webhook_targets(&s->webhook_cfg, w.list, CALLBACK_START, st->job->action);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(list); i++) {
		if (json_get_bool(json_at(list, i), "veto", false))
			json_push(out, json_copy(json_at(list, i)));
	}
	json_free(list);
	json_free(w.list);
	*ret = out;
	return 0;
}

bool admission_ask(struct scheduler *s, const struct admission_review *st, admission_cb then,
                   void *arg)
{
	struct json *targets = NULL;
	int rc = may_veto(s, st, &targets);
	if (rc) {
		then(arg, rc, NULL);
		return true;
	}
	if (!json_len(targets)) {
		json_free(targets);
		return false;
	}
	char id[ID_MAX];
	id_job(id, st->job->cluster_id, st->job->num);
	struct asking *a = loom_calloc(1, sizeof(*a));
	*a = (struct asking){ .s = s,
		              .tenant_id = loom_strdup(st->c->tenant_id),
		              .delivery = loom_asprintf("start-%s", id),
		              .targets = targets,
		              .then = then,
		              .arg = arg };
	a->claimed.cluster_id = st->claimed->cluster_id;
	a->claimed.num = st->claimed->num;
	a->claimed.epoch = st->claimed->epoch;
	LOOM_CLEANUP(json_free)
	struct json *job = json_set(json_new_obj(), "job", webhook_job(st->job));
	const struct webhook_message m = { .delivery = a->delivery,
		                           .kind = CALLBACK_START,
		                           .time = clock_wall_ms(),
		                           .c = st->c,
		                           .nodes = st->nodes,
		                           .snapshot = job };
	a->body = webhook_body(&m);
	loop_post(s->loop, begin, a);
	return true;
}
