/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids - the written forms of identifiers (solver spec 2.6):
 * cluster "%08d", job "<cluster>-%03d", task "<job>-%03d", node a random UUID.
 */
#ifndef LOOM_BASE_IDS_H
#define LOOM_BASE_IDS_H

#include "common/base/mem.h"

#include <stdint.h>

#define ID_MAX 64 /* any written id with its NUL */

struct task_ref {
	int64_t cluster, job, task; /* job and task 0 if not meant */
};

void id_cluster(char out[ID_MAX], int64_t cluster);
void id_job(char out[ID_MAX], int64_t cluster, int64_t job);
void id_task(char out[ID_MAX], int64_t cluster, int64_t job, int64_t task);

/* Digits only, positive; "12" and "00000012" are the same cluster. 0 or -EINVAL. */
LOOM_MUST_CHECK int id_parse_cluster(const char *s, int64_t *ret);
LOOM_MUST_CHECK int id_parse_job(const char *s, struct task_ref *ret);
LOOM_MUST_CHECK int id_parse_task(const char *s, struct task_ref *ret);

void id_uuid(char out[37]);                  /* random, version 4 */
void id_random_hex(char *out, size_t bytes); /* writes 2*bytes characters and NUL */

#endif
