/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks - claims what is due, sends it, notes how that went; and asks for admission. */
#include "services/scheduler/webhook/webhooks.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/model/callback_target.h"
#include "services/scheduler/webhook/webhook_send.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEASE_MARGIN_MS 5000

enum { M_DELIVERED, M_FAILED, M_DEAD, M_VETOED, M_COUNT };
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
	[M_VETOED] = { .name = "loom_callback_vetoes_total",
	               .help = "Jobs that a start callback refused.",
	               .kind = METRIC_COUNTER },
};

struct webhooks {
	struct scheduler *s;
	struct pool *pool;
	int64_t running; /* of its threads, telling; one is left for asking */
	bool again;
	atomic_bool stopping;
	struct seal_key key; /* of the secrets of tenants' targets */
};

/* ---- what tenants sign with ------------------------------------------------------------------ */

struct own {
	const char *tenant, *name;
	char *sealed;
};

static int own_read(struct db *db, void *arg)
{
	struct own *o = arg;
	loom_free(o->sealed);
	o->sealed = NULL;
	return callback_target_secret(db, o->tenant, o->name, &o->sealed);
}

/* What p is signed with, if by a tenant's target; *ret owned. A DB_E_ code, or p refused for good.
 */
static int own_secret(struct scheduler *s, struct webhook_post *p, char **ret)
{
	struct own o = { .tenant = p->tenant_id, .name = p->secret + strlen("tenant:") };
	if (!str_starts(p->secret, "tenant:"))
		return 0;
	int rc = db_read(s->db, own_read, &o);
	if (!rc && *o.sealed) {
		LOOM_CLEANUP_STR char *owner = callback_target_owner(o.tenant, o.name);
		p->own = *ret = seal_open(&s->webhooks->key, owner, o.sealed);
	}
	const char *why = rc == CALLBACK_TARGET_E_NONE ? "its target does not exist any more"
	                  : !rc && *o.sealed && !*ret
	                          ? "its secret cannot be opened with this cluster's key"
	                          : NULL;
	if (why) {
		p->never = true;
		snprintf(p->reason, sizeof(p->reason), "%s", why);
	}
	loom_free(o.sealed);
	return why ? 0 : rc;
}

static void wipe(char *secret)
{
	if (secret)
		sodium_memzero(secret, strlen(secret));
	loom_free(secret);
}

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
	rc = own_secret(s, &p, &own);
	bool ok = !rc && !p.never && webhook_post(&p);
	wipe(own);
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

/* ---- asking -----------------------------------------------------------------------------------
 */

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
		int rc = own_secret(a->s, &p, &own);
		if (rc)
			snprintf(p.reason, sizeof(p.reason), "the database is away");
		bool ok = !rc && !p.never && webhook_post(&p);
		wipe(own);
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
		metric_add(&metrics[M_VETOED], 1);
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
	if (pool_submit(s->webhooks->pool, ask_work, NULL, a))
		ask_end(a, DB_E_AWAY, NULL); /* too many already: its claim runs out, then again */
	return true;
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
