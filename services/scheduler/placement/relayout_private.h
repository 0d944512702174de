/* SPDX-License-Identifier: Apache-2.0 */
/* relayout_private - the operations behind relayout_find(), one file each. Any thread. */
#ifndef LOOM_SCHEDULER_RELAYOUT_PRIVATE_H
#define LOOM_SCHEDULER_RELAYOUT_PRIVATE_H

#include "services/scheduler/placement/placement_state.h"

/* Each fills *t, which the caller frees in any case. 0, or err->status with err. */
LOOM_MUST_CHECK int relayout_add(const struct placement_state *s, struct relayout *t,
                                 struct loom_err *err);
LOOM_MUST_CHECK int relayout_remove(const struct placement_state *s, struct relayout *t,
                                    struct loom_err *err);
LOOM_MUST_CHECK int relayout_expand(const struct placement_state *s, struct relayout *t,
                                    struct loom_err *err);
LOOM_MUST_CHECK int relayout_shrink(const struct placement_state *s, struct relayout *t,
                                    struct loom_err *err);
LOOM_MUST_CHECK int relayout_sync(const struct placement_state *s, struct relayout *t,
                                  struct loom_err *err);

/* Notes that a node has these services from now on (flags). Nothing if it had just them. */
void relayout_note_change(const struct placement_state *s, struct relayout *t, size_t node,
                          const bool *before, const bool *after);
/* Notes which services the cluster has afterwards (flags; NULL: all). */
void relayout_note_services(const struct placement_state *s, struct relayout *t, const bool *on);
/* 400 if a service that was asked for is not on the cluster. */
LOOM_MUST_CHECK int relayout_check_present(const struct placement_state *s,
                                           const struct strs *names, struct loom_err *err);

struct feasible;
/* Part of relayout_add(): 0 when all groups can be placed, at least as often as they must be; else
 * 400 with the reason, or 422 when it could not be decided. demand, by group, is left at what must
 * be. */
LOOM_MUST_CHECK int relayout_add_possible(struct feasible *f, int64_t *demand,
                                          struct loom_err *err);

#endif
