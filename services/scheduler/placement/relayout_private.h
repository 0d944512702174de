/* SPDX-License-Identifier: Apache-2.0 */
/* relayout_private - the operations behind relayout_find(), one file each. Any thread. */
#ifndef LOOM_SCHEDULER_RELAYOUT_PRIVATE_H
#define LOOM_SCHEDULER_RELAYOUT_PRIVATE_H

#include "services/scheduler/placement/placement_state.h"

/* Each fills *t, which the caller frees in any case. 0, or err->status with err filled. */
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

/* Records that a node has these services from now on (flags). No-op if nothing changed. */
void relayout_note_change(const struct placement_state *s, struct relayout *t, size_t node,
                          const bool *before, const bool *after);
/* Records which services the cluster has afterwards (flags; NULL: all). */
void relayout_note_services(const struct placement_state *s, struct relayout *t, const bool *on);
/* 400 if a requested service is not on the cluster. */
LOOM_MUST_CHECK int relayout_check_present(const struct placement_state *s,
                                           const struct strs *names, struct loom_err *err);

struct feasible;
/* Part of relayout_add(): 0 if all groups can be placed with at least their minimum; 400 with the
 * reason if not; 422 if undecided within the work limit. Sets demand (by group) to the minima. */
LOOM_MUST_CHECK int relayout_add_possible(struct feasible *f, int64_t *demand,
                                          struct loom_err *err);

#endif
