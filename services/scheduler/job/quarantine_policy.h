/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine_policy - a provisioner whose tasks keep failing where others' succeed gets no work for
 * a while. The evidence is a comparison: the very task that failed at one was done by another. Who
 * mostly fails that way, and more often than the others do, is bad; a service that fails wherever
 * it is run, or now here now there, is not its provisioner's fault. Where there is no other to
 * compare with nobody is judged.
 *
 * After a time it gets one task as a probe, and when two have gone well it is trusted again; a
 * probe that fails makes the next wait twice as long. An operator can release it at any time.
 */
#ifndef LOOM_SCHEDULER_QUARANTINE_POLICY_H
#define LOOM_SCHEDULER_QUARANTINE_POLICY_H

#include "common/base/config.h"
#include "common/model/quarantine.h"

struct cluster_tx;

struct quarantine_config {
	int64_t quarantine_strikes; /* so many; 0: nobody is ever judged */
	int64_t quarantine_window_ms, quarantine_probe_ms, quarantine_cap_ms, quarantine_avoid_ms;
};
extern const struct config_key quarantine_config_keys[];

void quarantine_start(void);      /* once: its metric */
void quarantine_count(int64_t n); /* how many there are, for the metric */

/* Pure. */
bool quarantine_is_bad(const struct strike_record *r, int64_t strikes);
/* The wait for the next probe after so many failed ones. Pure. */
int64_t quarantine_wait_ms(const struct quarantine_config *cfg, int64_t failed_probes);

/* A task is complete that took more than one attempt: who failed at it? In db_tx(). */
LOOM_MUST_CHECK int quarantine_judge(struct db *db, struct cluster_tx *tx,
                                     const struct quarantine_config *cfg, const struct task *t);

/* What a quarantined provisioner may have now. */
enum quarantine_say { QUARANTINE_NOTHING, QUARANTINE_PROBE, QUARANTINE_OVER };
/* Looks how its last probe went. Its own transaction. *ret_at: when to look again; 0 not known. */
LOOM_MUST_CHECK int quarantine_ask(struct db_pool *p, const struct quarantine_config *cfg,
                                   const char *provisioner, enum quarantine_say *ret,
                                   int64_t *ret_at);

#endif
