/* SPDX-License-Identifier: Apache-2.0 */
/* batch_rules - the limits of providers and the quarantines that bind a batch with takes. Read
 * before its transaction, without a lock. */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/worker/queue.h"

/* A changed limit or quarantine applies after this time at the latest. */
#define RULES_MS 200

/* Replaces the old rules only after all are read, because a missing limit would not bind. */
static int read_rules(struct db *db, void *arg)
{
	LOOM_CLEANUP(limits_free) struct limits *limits = NULL;
	LOOM_CLEANUP(quarantines_free) struct quarantines *quarantined = NULL;
	struct candidate_cache *o = ((struct batch *)arg)->candidate_cache;
	struct queue_state st;
	int rc = queue_state(db, &st);
	if (!rc && st.limits)
		rc = limits_load(db, NULL, &limits);
	if (!rc && st.quarantined)
		rc = quarantines_load(db, NULL, &quarantined);
	if (rc)
		return rc;
	limits_free(o->limits);
	o->limits = loom_take(limits);
	quarantines_free(o->quarantined);
	o->quarantined = loom_take(quarantined);
	o->now = st.now;
	o->rules_at = clock_mono_ms();
	atomic_store(&o->limited, o->limits != NULL);
	return 0;
}

/* Bars the takes of provisioners known to be quarantined. */
static void bar_quarantined(struct batch *t)
{
	for (size_t i = 0; i < t->n_takes; i++) {
		const char *who = t->takes[i].take->provisioner;
		t->takes[i].barred = quarantines_find(t->candidate_cache->quarantined, who) != NULL;
		t->takes[i].probe = false;
	}
}

static bool asked_before(const struct batch *t, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (str_eq(t->takes[k].take->provisioner, t->takes[i].take->provisioner))
			return true;
	}
	return false;
}

/* One take per provisioner may get a probe, if one is due. */
static int ask_for_probes(struct batch *t)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < t->n_takes; i++) {
		struct batch_take *to = &t->takes[i];
		enum quarantine_say say;
		int64_t at;
		if (!to->barred || asked_before(t, i))
			continue;
		rc = quarantine_ask(t->db, t->policy.quarantine, to->take->provisioner, &say, &at);
		to->barred = !rc && say == QUARANTINE_NOTHING;
		to->probe = !rc && say == QUARANTINE_PROBE;
		batch_look_at(t, at, t->candidate_cache->now);
	}
	return rc;
}

int batch_find_rules(struct batch *t)
{
	int rc = db_read(t->db, read_rules, t);
	if (rc)
		return rc;
	bar_quarantined(t);
	return t->candidate_cache->quarantined ? ask_for_probes(t) : 0;
}

int batch_refresh_rules(struct batch *t)
{
	int rc = 0;
	if (!t->candidate_cache->rules_at ||
	    clock_mono_ms() >= t->candidate_cache->rules_at + RULES_MS)
		rc = db_read(t->db, read_rules, t);
	bar_quarantined(t);
	return rc;
}
