/* SPDX-License-Identifier: Apache-2.0 */
/* relayout_private - the operations behind relayout_find(), one file each.  Any thread. */
#ifndef LOOM_SCHEDULER_RELAYOUT_PRIVATE_H
#define LOOM_SCHEDULER_RELAYOUT_PRIVATE_H

#include "services/scheduler/placement/placement_state.h"

/* Each fills *t, which the caller frees in any case. 0, or err->status with err. */
LOOM_MUST_CHECK int relayout_add(const struct site *s, struct relayout *t, struct loom_err *err);
LOOM_MUST_CHECK int relayout_remove(const struct site *s, struct relayout *t, struct loom_err *err);
LOOM_MUST_CHECK int relayout_expand(const struct site *s, struct relayout *t, struct loom_err *err);
LOOM_MUST_CHECK int relayout_shrink(const struct site *s, struct relayout *t, struct loom_err *err);
LOOM_MUST_CHECK int relayout_sync(const struct site *s, struct relayout *t, struct loom_err *err);

/* The services on the cluster now: one flag each, owned. */
bool *relayout_present(const struct site *s);
/* Notes that a machine has these services from now on (flags). Nothing if it had just them. */
void relayout_change(const struct site *s, struct relayout *t, size_t node, const bool *before,
                     const bool *after);
/* 400 if a service that was asked for is not on the cluster. */
LOOM_MUST_CHECK int relayout_check_present(const struct site *s, const struct strs *names,
                                           struct loom_err *err);

struct fit;
/* Part of relayout_add(): 0 when all atoms can be placed, at least as often as they must be; else
 * 400 with the reason, or 422 when it could not be decided. demand, by atom, is left at what must
 * be.
 */
LOOM_MUST_CHECK int relayout_add_possible(struct fit *f, int64_t *demand, struct loom_err *err);

#endif
