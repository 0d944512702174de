/* SPDX-License-Identifier: Apache-2.0 */
/* limits_hold - counts the provider calls that may begin, with their limits locked. */
#include "services/scheduler/dispatch/limits_hold.h"

#include "common/base/str.h"

#include <stdio.h>

void limits_hold_fini(struct limits_hold *h)
{
	limits_free(h->locked);
	loom_free(h->begun);
	h->locked = NULL;
	h->begun = NULL;
}

static struct limit *known(const struct limits_hold *h, const char *tenant, const char *gate)
{
	return gate && *gate ? limits_of_gate(h->known, tenant, gate) : NULL;
}

static bool creates(const char *gate)
{
	return str_starts(gate, TASK_GATE_CREATE);
}

int limits_hold(struct db *db, struct limits_hold *h, const struct limits_need *needs, size_t n)
{
	struct limits wanted = { .v = loom_calloc(n + 1, sizeof(*wanted.v)) };
	for (size_t i = 0; h->known && i < n; i++) {
		const struct limit *l = known(h, needs[i].tenant, needs[i].gate);
		if (l && !limits_find(&wanted, l->tenant, l->provider))
			wanted.v[wanted.n++] = *l;
	}
	int rc = wanted.n ? h->lock(db, &wanted, &h->locked) : 0;
	if (!rc && h->locked)
		h->begun = loom_calloc(h->locked->n + 1, sizeof(*h->begun));
	loom_free(wanted.v);
	return rc;
}

enum hold limits_allow(struct limits_hold *h, const char *tenant, const char *gate)
{
	if (!known(h, tenant, gate))
		return HOLD_NOT;
	struct limit *l = h->locked ? limits_of_gate(h->locked, tenant, gate) : NULL;
	if (!l) {
		h->busy = true;
		return HOLD_CONTENDED;
	}
	int64_t at;
	if (limit_room(l, creates(gate), h->now, &at) < 1) {
		if (at && (!h->next_at || at < h->next_at))
			h->next_at = at;
		return at ? HOLD_PROVIDER_CALLS : HOLD_PROVIDER_CREATES;
	}
	limit_note(l, h->now, 1);
	l->running += creates(gate);
	h->begun[l - h->locked->v]++;
	return HOLD_NOT;
}

void limits_ended(struct limits_hold *h, const char *tenant, const char *gate)
{
	struct limit *l =
		h->locked && creates(gate) ? limits_of_gate(h->locked, tenant, gate) : NULL;
	if (l && l->running)
		l->running--;
}

int limits_save(struct db *db, const struct limits_hold *h)
{
	int rc = 0;
	for (size_t i = 0; !rc && h->locked && i < h->locked->n; i++) {
		if (h->begun[i])
			rc = limit_save(db, &h->locked->v[i]);
	}
	return rc;
}
