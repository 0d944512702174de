/* SPDX-License-Identifier: Apache-2.0 */
/* Seals the secrets of documents when they are written, and finds those stored unsealed. */
#include "services/api/catalog/secrets.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/model/keys/data_key.h"
#include "common/model/keys/sealing.h"
#include "common/service/peer_list.h"
#include "services/api/request/db_outage.h"

#include <stdatomic.h>

enum {
	TICK_MS = 2000,
	TICKS_TO_BE_SURE = 2, /* a member joins its two roles one after the other */
	TICKS_A_LOOK = 5,
	ROUNDS = 100, /* batches of a few rows per look */
	/* Tenants get their key when they are created, except one created concurrently with the
	 * very first. */
	KEYS_MS = 600000,
};

struct secrets {
	struct api *a;
	struct loop_timer *timer;
	struct peer_list schedulers, apis, openers, keepers; /* keepers: those that know data
	                                                      * keys */
	int cannot_open,
		ticks; /* cannot_open: ticks during which some scheduler could not open secrets */
	int know_keys,
		no_keys;  /* ticks during which all knew data keys; during which one knew none */
	atomic_bool old;  /* a scheduler cannot open secrets */
	atomic_bool keys; /* tenants may have data keys */
	atomic_bool soon;
	bool looking;
	int64_t keys_next; /* monotonic ms, used by looks: when to search for tenants without a
	                    * key */
	int rc;            /* of the last look */
	int64_t done;
	struct sealing_seen seen, next; /* next: once it is committed */
};

struct secret_of secrets_of(struct api *a, struct db *db, const char *tenant, enum entity_kind kind)
{
	return (struct secret_of){ a->ring, db, tenant, kind, atomic_load(&a->secrets->old) };
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

static bool all_in(const struct strs *some, const struct strs *all)
{
	for (size_t i = 0; i < some->n; i++) {
		if (!strs_has(all, some->v[i]))
			return false;
	}
	return true;
}

static int keys_tx(struct db *db, void *arg)
{
	struct secrets *s = arg;
	return data_keys_add(db, s->a->ring, &s->done);
}

static int seal_tx(struct db *db, void *arg)
{
	struct secrets *s = arg;
	s->next = s->seen;
	return sealing_some(db, s->a->ring, &s->next, &s->done);
}

static void look(void *arg)
{
	struct secrets *s = arg;
	int rounds = 0;
	s->rc = 0;
	s->done = atomic_load(&s->keys) && clock_mono_ms() >= s->keys_next;
	while (!s->rc && s->done) {
		s->rc = db_tx(s->a->db, keys_tx, s);
		s->keys_next = clock_mono_ms() + KEYS_MS;
	}
	if (s->rc) {
		s->keys_next = 0;
		return;
	}
	do {
		s->rc = db_tx(s->a->db, seal_tx, s);
		if (!s->rc)
			s->seen = s->next;
	} while (!s->rc && s->done && ++rounds < ROUNDS);
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

/* Without any scheduler in sight decide nothing: one that starts unseen must not be locked out. */
static void look_for_keepers(struct secrets *s)
{
	bool any = s->schedulers.ids.n && s->apis.ids.n && keyring_known(s->a->ring);
	bool all = any && all_in(&s->schedulers.ids, &s->keepers.ids) &&
	           all_in(&s->apis.ids, &s->keepers.ids);
	s->know_keys = all ? s->know_keys + 1 : 0;
	s->no_keys = any && !all ? s->no_keys + 1 : 0;
	if (s->no_keys == TICKS_TO_BE_SURE)
		log_info("tenants get no keys while a service runs that knows none");
	bool now = s->know_keys > TICKS_TO_BE_SURE;
	if (atomic_exchange(&s->keys, now) != now && now)
		secrets_soon(s->a);
}

static void tick(void *arg)
{
	struct secrets *s = arg;
	bool was = atomic_load(&s->old);
	s->cannot_open = all_in(&s->schedulers.ids, &s->openers.ids) ? 0 : s->cannot_open + 1;
	bool old = s->cannot_open >= TICKS_TO_BE_SURE;
	atomic_store(&s->old, old);
	if (old != was)
		log_info(old ? "secrets are not sealed while a scheduler cannot open them"
		             : "secrets are sealed again");
	look_for_keepers(s);
	if (s->cannot_open || s->looking || !coord_connected(s->a->coord) || db_outage_now(s->a))
		return;
	bool now = atomic_exchange(&s->soon, false);
	if (!now && ++s->ticks < TICKS_A_LOOK)
		return;
	s->ticks = 0;
	s->looking = !pool_submit(s->a->pool, look, looked, s);
}

void secrets_start(struct api *a)
{
	struct secrets *s = loom_calloc(1, sizeof(*s));
	s->a = a;
	a->secrets = s;
	if (!fault_enabled("no_data_keys"))
		coord_join(a->coord, DATA_KEY_ROLE, service_id(a->service), bus_address(a->bus));
	coord_watch(a->coord, "scheduler", peer_list_changed, &s->schedulers);
	coord_watch(a->coord, "api", peer_list_changed, &s->apis);
	coord_watch(a->coord, SECRET_ROLE, peer_list_changed, &s->openers);
	coord_watch(a->coord, DATA_KEY_ROLE, peer_list_changed, &s->keepers);
	s->timer = loop_timer_create(a->loop, "secrets", tick, s);
	loop_timer_every(s->timer, TICK_MS);
	secrets_soon(a);
}

void secrets_stop(struct api *a)
{
	struct secrets *s = a->secrets;
	if (!s)
		return;
	loop_timer_destroy(s->timer);
	peer_list_fini(&s->schedulers);
	peer_list_fini(&s->apis);
	peer_list_fini(&s->openers);
	peer_list_fini(&s->keepers);
	loom_free(s);
	a->secrets = NULL;
}
