/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail - handles requests that APIs post in the database because the bus cannot carry them, as if
 * they had come over the bus. Loop thread.
 */
#ifndef LOOM_SCHEDULER_MAIL_H
#define LOOM_SCHEDULER_MAIL_H

#include "services/scheduler/scheduler.h"

LOOM_MUST_CHECK int mail_start(struct scheduler *s, struct loom_err *err);
void mail_look(struct scheduler *s); /* called regularly */
void mail_stop(struct scheduler *s); /* call after the bus is gone */

#endif
