/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry - when clusters are deleted by themselves (solver spec 3.9). expire_time 0 is never. Times
 * are the database's.
 */
#ifndef LOOM_MODEL_EXPIRY_H
#define LOOM_MODEL_EXPIRY_H

#include "common/model/cluster/cluster.h"

/* May the expiry of this cluster (with documents) be moved to `to`? 0, or 400 with err. Pure. */
LOOM_MUST_CHECK int expiry_check(const struct cluster *c, int64_t to, struct loom_err *err);

/* Sets the time of a locked cluster and appends the event `lease` (the original's name); the caller
 * saves the cluster. */
LOOM_MUST_CHECK int expiry_set(struct db *db, struct cluster *c, int64_t to, int64_t now);

struct expiry_due {
	int64_t cluster, expire_time, warned; /* warned: the expire_time that was warned about, 0
	                                       * none */
};
struct expiry_window {
	int64_t ahead_ms, warning_ms, limit;
};
/* Clusters at rest or paused that have expired or expire within ahead_ms, and those due for a
 * warning as they expire within warning_ms; by time, at most limit. *ret returned owned. */
LOOM_MUST_CHECK int expiry_due(struct db *db, const struct expiry_window *w,
                               struct expiry_due **ret, size_t *ret_n, int64_t *ret_now);

/* For a locked cluster: has its present expiry been warned about; how often its deletion was
 * tried. */
struct expiry_marks {
	int64_t warned, tries, retry_at;
};
LOOM_MUST_CHECK int expiry_marks(struct db *db, int64_t cluster, struct expiry_marks *ret);
LOOM_MUST_CHECK int expiry_mark(struct db *db, int64_t cluster, const struct expiry_marks *m);

#endif
