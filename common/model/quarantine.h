/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - provisioners that get no work, and the evidence for it: tasks that failed at one and
 * were done by another. A row in quarantine outlives the provisioner's registration. Inside db_tx()
 * or db_read().
 */
#ifndef LOOM_MODEL_QUARANTINE_H
#define LOOM_MODEL_QUARANTINE_H

#include "common/model/task.h"

struct quarantine {
	char *provisioner, *reason; /* owned */
	int64_t since, next_probe, failed_probes, good_probes;
	struct task_ref probe; /* the task that shows whether it is well again */
	int64_t probe_attempt; /* 0: none was given since the last one ended */
};

struct quarantines {
	struct quarantine *v;
	size_t n;
};
void quarantines_free(struct quarantines *q);
const struct quarantine *quarantines_find(const struct quarantines *q, const char *provisioner);

/* All, or one provisioner's. */
LOOM_MUST_CHECK int quarantines_load(struct db *db, const char *provisioner,
                                     struct quarantines **ret);
/* The same of one, locked. */
LOOM_MUST_CHECK int quarantine_lock(struct db *db, const char *provisioner,
                                    struct quarantines **ret);
LOOM_MUST_CHECK int quarantine_begin(struct db *db, const char *provisioner, const char *reason,
                                     int64_t now, int64_t next_probe);
/* Trusted from now on, as if nothing had been. *ret: it was not. */
LOOM_MUST_CHECK int quarantine_release(struct db *db, const char *provisioner, bool *ret);
/* Writes probes and when the next one is due. */
LOOM_MUST_CHECK int quarantine_save(struct db *db, const struct quarantine *q);
/* This attempt is the probe, unless there is another, or none is due: *ret. */
LOOM_MUST_CHECK int quarantine_probe(struct db *db, const char *provisioner,
                                     const struct task_ref *ref, int64_t attempt, int64_t now,
                                     bool *ret);

/* The task is complete: those where it failed before, not only ended with its worker, have a strike
 * each. Strikes before `since` are forgotten. *ret: their names, owned. */
LOOM_MUST_CHECK int strikes_add(struct db *db, const struct task *t, int64_t now, int64_t since,
                                struct strs *ret);

/* What is known of a provisioner since that time. */
struct strike_record {
	int64_t strikes, first_failed;
	/* since that first failure: */
	int64_t failures; /* of its attempts */
	int64_t done;     /* by itself, as far as a sample shows */
	int64_t fresh;    /* done by others at their first attempt, in that sample */
	int64_t others;   /* provisioners that are well and serve this tenant */
	int64_t theirs;   /* failures of all others that are not in quarantine */
	char *last;       /* what it last failed with; owned */
};
LOOM_MUST_CHECK int strikes_look(struct db *db, const char *provisioner, const char *tenant,
                                 int64_t since, struct strike_record *ret);
/* How many other provisioners are there for a tenant's tasks, alive and not in quarantine? */
LOOM_MUST_CHECK int provisioners_beside(struct db *db, const char *provisioner, const char *tenant,
                                        int64_t *ret);

LOOM_DEFINE_CLEANUP(struct quarantines *, quarantines_free)

#endif
