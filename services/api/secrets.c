/* SPDX-License-Identifier: Apache-2.0 */
/* Seals the secrets of documents: of what is written, and of what was written unsealed. */
#include "services/api/secrets.h"

#include "common/base/log.h"
#include "common/model/sealing.h"
#include "common/service/peer_list.h"
#include "services/api/db_outage.h"

#include <stdatomic.h>

enum {
	TICK_MS = 2000,
	TICKS_TO_BE_SURE = 2, /* a member joins its two roles one after the other */
	TICKS_A_LOOK = 5,
	ROUNDS = 100, /* of a few rows each, at one look */
};

struct secrets {
	struct api *a;
	struct seal_key key;
	struct loop_timer *timer;
	struct peer_list schedulers, openers;
	int strange, ticks; /* ticks for which one was seen that cannot open */
	atomic_bool old;    /* there is such a one */
	atomic_bool soon;
	bool looking;
	int rc; /* of the last look */
	int64_t done;
};

struct secret_of secrets_of(struct api *a, const char *tenant, enum entity_kind kind)
{
	return (struct secret_of){ &a->secrets->key, tenant, kind, atomic_load(&a->secrets->old) };
}

void secrets_soon(struct api *a)
{
	atomic_store(&a->secrets->soon, true);
}

int secrets_of_document(struct api *a, struct db *db, const struct secret_of *of,
                        const struct json *doc, struct sealed_document *ret, struct loom_err *err)
{
	*ret = (struct sealed_document){ NULL, 0 };
	if (of->kind != ENTITY_PROVIDER && of->kind != ENTITY_SERVICE) {
		ret->doc = json_copy(doc);
		return 0;
	}
	int rc = of->later ? 0 : sealing_generation(db, &ret->generation);
	if (of->later)
		secrets_soon(a);
	return rc ? rc : sealing_of_document(db, of, doc, &ret->doc, err);
}

/* ---- what is not sealed yet ------------------------------------------------------------------ */

static bool all_open(const struct secrets *s)
{
	for (size_t i = 0; i < s->schedulers.ids.n; i++) {
		if (!strs_has(&s->openers.ids, s->schedulers.ids.v[i]))
			return false;
	}
	return true;
}

static int seal_tx(struct db *db, void *arg)
{
	struct secrets *s = arg;
	return sealing_some(db, &s->key, &s->done);
}

static void look(void *arg)
{
	struct secrets *s = arg;
	int rounds = 0;
	do
		s->rc = db_tx(s->a->db, seal_tx, s);
	while (!s->rc && s->done && ++rounds < ROUNDS);
}

static void looked(void *arg)
{
	struct secrets *s = arg;
	s->looking = false;
	if (s->rc)
		log_debug("secrets not looked at", LOG_S("reason", err_name(s->rc)));
	if (s->rc || s->done)
		secrets_soon(s->a);
}

static void tick(void *arg)
{
	struct secrets *s = arg;
	bool was = atomic_load(&s->old);
	s->strange = all_open(s) ? 0 : s->strange + 1;
	bool old = s->strange >= TICKS_TO_BE_SURE;
	atomic_store(&s->old, old);
	if (old != was)
		log_info(old ? "secrets are not sealed while a scheduler cannot open them"
		             : "secrets are sealed again");
	if (s->strange || s->looking || !coord_connected(s->a->coord) || db_outage_now(s->a))
		return;
	bool now = atomic_exchange(&s->soon, false);
	if (!now && ++s->ticks < TICKS_A_LOOK)
		return;
	s->ticks = 0;
	s->looking = !pool_submit(s->a->pool, look, looked, s);
}

int secrets_start(struct api *a, struct loom_err *err)
{
	struct secrets *s = loom_calloc(1, sizeof(*s));
	s->a = a;
	a->secrets = s;
	int rc = seal_key_init(a->cfg.bus.key_file, SECRET_USE, &s->key, err);
	if (rc)
		return rc;
	coord_watch(a->coord, "scheduler", peer_list_changed, &s->schedulers);
	coord_watch(a->coord, SECRET_ROLE, peer_list_changed, &s->openers);
	s->timer = loop_timer_create(a->loop, "secrets", tick, s);
	loop_timer_every(s->timer, TICK_MS);
	secrets_soon(a);
	return 0;
}

void secrets_stop(struct api *a)
{
	struct secrets *s = a->secrets;
	if (!s)
		return;
	loop_timer_destroy(s->timer);
	peer_list_fini(&s->schedulers);
	peer_list_fini(&s->openers);
	seal_key_fini(&s->key);
	loom_free(s);
	a->secrets = NULL;
}
