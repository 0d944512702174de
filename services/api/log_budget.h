/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_budget - how much the tasks of one tenant may write to their logs in a while, so that a flood
 * is its writer's own trouble: a provisioner that is told to wait keeps the head and the tail of
 * what comes meanwhile and drops the middle. Any thread.
 */
#ifndef LOOM_API_LOG_BUDGET_H
#define LOOM_API_LOG_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_BUDGET_RATE  (2 << 20) /* bytes a second of each tenant */
#define LOG_BUDGET_BURST (8 << 20)

struct log_budget;

struct log_budget *log_budget_create(void);
void log_budget_destroy(struct log_budget *b); /* NULL ok */
/* Takes so many bytes; false: not now. */
bool log_budget_take(struct log_budget *b, const char *tenant, size_t bytes);

#endif
