/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry - when clusters end by themselves (solver spec 3.9). expire_time 0 is never. Times are the
 * database's.
 */
#ifndef LOOM_MODEL_EXPIRY_H
#define LOOM_MODEL_EXPIRY_H

#include "common/model/cluster.h"

/* Why expireTime of this cluster (with documents) may not become `to`: 0, or 400 with err. Pure. */
LOOM_MUST_CHECK int expiry_check(const struct cluster *c, int64_t to, struct loom_err *err);

/* Sets the time of a locked cluster and appends the event `lease` (the original's word); the caller
 * saves the cluster. */
LOOM_MUST_CHECK int expiry_set(struct db *db, struct cluster *c, int64_t to, int64_t now);

struct expiry_due {
	int64_t cluster, expire_time, warned; /* warned: about which time, 0 none */
};
struct expiry_window {
	int64_t ahead_ms, warning_ms, limit;
};
/* Clusters at rest, or paused, whose time has come or comes within ahead_ms, and those to be warned
 * because it comes within warning_ms; by time, at most limit. *ret returned owned. */
LOOM_MUST_CHECK int expiry_due(struct db *db, const struct expiry_window *w,
                               struct expiry_due **ret, size_t *ret_n, int64_t *ret_now);

/* For a locked cluster: is its present time already warned about; how often its end was tried. */
struct expiry_marks {
	int64_t warned, tries, retry_at;
};
LOOM_MUST_CHECK int expiry_marks(struct db *db, int64_t cluster, struct expiry_marks *ret);
LOOM_MUST_CHECK int expiry_mark(struct db *db, int64_t cluster, const struct expiry_marks *m);

#endif
