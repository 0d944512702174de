/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - provisioners that get no work, and the evidence: tasks that failed at one and
 * succeeded at another. A row in quarantine outlives the provisioner's registration. Inside db_tx()
 * or db_read().
 */
#ifndef LOOM_MODEL_QUARANTINE_H
#define LOOM_MODEL_QUARANTINE_H

#include "common/model/cluster/task.h"

struct quarantine {
	char *provisioner, *reason; /* owned */
	int64_t since, next_probe, failed_probes, good_probes;
	struct task_ref probe; /* the task that tests whether it works again */
	int64_t probe_attempt; /* 0: none since the last one ended */
};

struct quarantines {
	struct quarantine *v;
	size_t n;
};
void quarantines_free(struct quarantines *q);
const struct quarantine *quarantines_find(const struct quarantines *q, const char *provisioner);

/* Loads all, or one provisioner's. */
LOOM_MUST_CHECK int quarantines_load(struct db *db, const char *provisioner,
                                     struct quarantines **ret);
/* Loads and locks one. */
LOOM_MUST_CHECK int quarantine_lock(struct db *db, const char *provisioner,
                                    struct quarantines **ret);
LOOM_MUST_CHECK int quarantine_begin(struct db *db, const char *provisioner, const char *reason,
                                     int64_t now, int64_t next_probe);
/* Trusts it again and forgets its strikes. *ret: it was not trusted. */
LOOM_MUST_CHECK int quarantine_release(struct db *db, const char *provisioner, bool *ret);
/* Writes its probes and the time of the next one. */
LOOM_MUST_CHECK int quarantine_save(struct db *db, const struct quarantine *q);
/* Makes this attempt the probe, if one is due and there is no other: *ret. */
LOOM_MUST_CHECK int quarantine_probe(struct db *db, const char *provisioner,
                                     const struct task_ref *ref, int64_t attempt, int64_t now,
                                     bool *ret);

/* The task is complete: each provisioner where it failed before, not merely ended with its worker,
 * gets a strike. Strikes before `since` are deleted. *ret: the provisioners' names, owned. */
LOOM_MUST_CHECK int strikes_add(struct db *db, const struct task *t, int64_t now, int64_t since,
                                struct strs *ret);

/* A provisioner's record since that time. */
struct strike_record {
	int64_t strikes, first_failed;
	/* since that first failure: */
	int64_t failures; /* of its attempts */
	int64_t done;     /* by itself, as far as a sample shows */
	int64_t fresh;    /* done by others at the first attempt, in that sample */
	int64_t others;   /* provisioners outside quarantine that serve this tenant */
	int64_t theirs;   /* failures of all others outside quarantine */
	char *last;       /* message of its last failure; owned */
};
LOOM_MUST_CHECK int strikes_look(struct db *db, const char *provisioner, const char *tenant,
                                 int64_t since, struct strike_record *ret);
/* How many other provisioners serve this tenant, alive and not in quarantine? */
LOOM_MUST_CHECK int provisioners_beside(struct db *db, const char *provisioner, const char *tenant,
                                        int64_t *ret);

LOOM_DEFINE_CLEANUP(struct quarantines *, quarantines_free)

#endif
