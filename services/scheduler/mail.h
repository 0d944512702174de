/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail - requests that APIs post in the database because the bus does not carry them: treated as if
 * they had come over it. Loop thread.
 */
#ifndef LOOM_SCHEDULER_MAIL_H
#define LOOM_SCHEDULER_MAIL_H

#include "services/scheduler/scheduler.h"

LOOM_MUST_CHECK int mail_start(struct scheduler *s, struct loom_err *err);
void mail_look(struct scheduler *s); /* regularly */
void mail_stop(struct scheduler *s); /* after the bus is gone */

#endif
