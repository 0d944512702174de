/* SPDX-License-Identifier: Apache-2.0 */
/* reason - why a model has no solution, in words.  Any thread. */
#ifndef LOOM_SCHEDULER_REASON_H
#define LOOM_SCHEDULER_REASON_H

#include "common/base/err.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/set_cover.h"

/* 0 when each atom by itself fits on some machine and its numbers agree with each other and with
 * the number of machines; else 400 with err filled. */
LOOM_MUST_CHECK int reason_check_atoms(const struct model *m, struct loom_err *err);

/* These return 400 with err filled. */

/* The maxima do not let every machine have a service. */
int reason_too_many_machines(const struct model *m, struct loom_err *err);
/* The minima need more machines than there are; c answers for m's largest sets. */
int reason_too_few_machines(const struct model *m, struct set_cover *c, struct loom_err *err);

#endif
