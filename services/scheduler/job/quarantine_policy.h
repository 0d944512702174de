/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine_policy - a provisioner whose tasks keep failing where others succeed gets no work for
 * a while. The evidence is a comparison: another provisioner completed the very task that failed at
 * this one. A provisioner is bad if most of its tasks fail that way, and more often than those of
 * the others. A service that fails everywhere, or now here and now there, is not its provisioner's
 * fault. Without another provisioner to compare with, none is judged.
 *
 * After a time it gets one task as a probe; two successful probes end the quarantine. A failed
 * probe doubles the next wait. An operator can release it at any time.
 */
#ifndef LOOM_SCHEDULER_QUARANTINE_POLICY_H
#define LOOM_SCHEDULER_QUARANTINE_POLICY_H

#include "common/base/config.h"
#include "common/model/worker/quarantine.h"

struct cluster_tx;

struct quarantine_config {
	int64_t quarantine_strikes; /* 0: provisioners are never judged */
	int64_t quarantine_window_ms, quarantine_probe_ms, quarantine_cap_ms, quarantine_avoid_ms;
};
extern const struct config_key quarantine_config_keys[];

void quarantine_start(void);      /* once: its metric */
void quarantine_count(int64_t n); /* number of quarantined provisioners, for the metric */

/* Pure. */
bool quarantine_is_bad(const struct strike_record *r, int64_t strikes);
/* The wait for the next probe after this many failed ones. Pure. */
int64_t quarantine_wait_ms(const struct quarantine_config *cfg, int64_t failed_probes);

/* A task is complete after more than one attempt: judges the provisioners that failed at it. In
 * db_tx(). */
LOOM_MUST_CHECK int quarantine_judge(struct db *db, struct cluster_tx *tx,
                                     const struct quarantine_config *cfg, const struct task *t);

/* What a quarantined provisioner may receive now. */
enum quarantine_say { QUARANTINE_NOTHING, QUARANTINE_PROBE, QUARANTINE_OVER };
/* Checks how its last probe went, in its own transaction. *ret_at: when to ask again; 0:
 * unknown. */
LOOM_MUST_CHECK int quarantine_ask(struct db_pool *p, const struct quarantine_config *cfg,
                                   const char *provisioner, enum quarantine_say *ret,
                                   int64_t *ret_at);

#endif
