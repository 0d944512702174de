/* SPDX-License-Identifier: Apache-2.0 */
/* admission - finds who may veto, asks each until it answers or the time is over, and says why not.
 */
#include "services/scheduler/webhook/admission.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/callback.h"
#include "services/scheduler/webhook/webhook_secret.h"
#include "services/scheduler/webhook/webhook_send.h"
#include "services/scheduler/webhook/webhooks_private.h"

#include <stdio.h>
#include <unistd.h>

static struct metric vetoes = { .name = "loom_callback_vetoes_total",
	                        .help = "Jobs that a start callback refused.",
	                        .kind = METRIC_COUNTER };

void admission_start(void)
{
	metrics_register(&vetoes, 1);
}

struct asking {
	struct scheduler *s;
	struct job claimed; /* ids and epoch only */
	char *tenant_id, *body, *delivery;
	struct json *targets;
	admission_cb then;
	void *arg;
	bool ours;
};

static int extend_tx(struct db *db, void *arg)
{
	struct asking *a = arg;
	int64_t ms = a->s->webhook_cfg.callback_veto_ms + a->s->cfg.job_lease_ms;
	return job_extend_claim(db, &a->claimed, ms, &a->ours);
}

/* The reason owned, NULL when it agrees. */
static char *verdict(const struct webhook_post *p)
{
	LOOM_CLEANUP(json_free) struct json *said = NULL;
	if (p->answer.len && json_parse(p->answer.data, p->answer.len, 0, &said, NULL))
		said = NULL;
	const char *veto = json_get_str(said, "veto");
	if (p->status == 409 || (p->status == 403 && veto))
		return loom_asprintf("the start callback refused it%s%.300s", veto ? ": " : "",
		                     veto ? veto : "");
	return loom_asprintf("the start callback did not agree: %s", p->reason);
}

/* Asks one target until it says something or the time is over. */
static char *ask_one(struct asking *a, const struct json *target, int64_t until)
{
	const struct webhook_config *cfg = &a->s->webhook_cfg;
	for (unsigned tries = 0;; tries++) {
		int64_t left = until - clock_mono_ms();
		struct webhook_post p = { .cfg = cfg,
			                  .tenant_id = a->tenant_id,
			                  .url = json_get_str(target, "url"),
			                  .secret = json_get_str(target, "secret"),
			                  .delivery = a->delivery,
			                  .body = a->body,
			                  .kind = CALLBACK_START,
			                  .timeout_ms = left > 1 ? left : 1 };
		if (p.timeout_ms > cfg->callback_timeout_ms)
			p.timeout_ms = cfg->callback_timeout_ms;
		char *own = NULL;
		/* Not asked without its signature, but again a little later. */
		int rc = webhook_secret_get(a->s->db, &a->s->webhooks->key, &p, &own);
		if (rc)
			snprintf(p.reason, sizeof(p.reason), "the database is away");
		bool ok = !rc && !p.never && webhook_post(&p);
		webhook_secret_wipe(own);
		bool again = !ok && !p.never && (!p.status || p.status >= 500);
		char *why = ok ? NULL : verdict(&p);
		webhook_post_fini(&p);
		int64_t wait = clock_backoff_ms(tries, 100, 1000);
		if (!again || clock_mono_ms() + wait >= until ||
		    atomic_load(&a->s->webhooks->stopping))
			return why;
		loom_free(why);
		usleep((useconds_t)wait * 1000);
	}
}

static void ask_end(struct asking *a, int rc, const char *why)
{
	a->then(a->arg, rc, why);
	loom_free(a->tenant_id);
	loom_free(a->body);
	loom_free(a->delivery);
	json_free(a->targets);
	loom_free(a);
}

static void ask_work(void *arg)
{
	struct asking *a = arg;
	LOOM_CLEANUP_STR char *why = NULL;
	int rc = atomic_load(&a->s->webhooks->stopping) ? DB_E_AWAY : db_tx(a->s->db, extend_tx, a);
	if (!rc && !a->ours)
		rc = DB_E_RETRY;
	int64_t until = clock_mono_ms() + a->s->webhook_cfg.callback_veto_ms;
	for (size_t i = 0; !rc && !why && i < json_len(a->targets); i++)
		why = ask_one(a, json_at(a->targets, i), until);
	/* What a scheduler about to stop did not hear to its end is asked again by another. */
	if (why && atomic_load(&a->s->webhooks->stopping))
		rc = DB_E_AWAY;
	if (!rc && why)
		metric_add(&vetoes, 1);
	ask_end(a, rc, why);
}

struct whom {
	const struct cluster *c;
	struct json *list;
};

static int whom_read(struct db *db, void *arg)
{
	struct whom *w = arg;
	json_free(w->list);
	w->list = NULL;
	return callback_of_cluster(db, w->c->id, w->c->tenant_id, &w->list);
}

static int may_veto(const struct scheduler *s, const struct admission_review *st, struct json **ret)
{
	struct whom w = { .c = st->c };
	int rc = db_read(s->db, whom_read, &w);
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
	if (pool_submit(s->webhooks->askers, ask_work, NULL, a))
		ask_end(a, DB_E_AWAY, NULL); /* too many already: its claim runs out, then again */
	return true;
}
