/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation_input - the facts from which an operation is made: the cluster's machines, the catalog,
 * and for a retry or roll back the earlier jobs. Worker threads.
 */
#ifndef LOOM_SCHEDULER_OPERATION_INPUT_H
#define LOOM_SCHEDULER_OPERATION_INPUT_H

#include "common/base/str.h"
#include "common/model/cluster/cluster.h"
#include "common/model/cluster/job.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"

/* The tenant's present definitions. */
struct catalog {
	const char *tenant; /* borrowed */
	struct json *hardware, *images, *services;
};
LOOM_MUST_CHECK int catalog_read(struct db *db, void *arg); /* a db_tx_fn; arg: struct catalog */
void catalog_fini(struct catalog *c);

struct operation_input {
	const struct cluster *c;
	const struct job_params *params;
	struct nodes *nodes;
	struct job failed; /* for a retry or roll back: the job, its tasks and edges */
	struct job first;  /* for a roll back: the start of a chain of retries; else num 0 */
	struct tasks *tasks;
	struct task_edge *edges;
	size_t n_edges;
	struct catalog catalog;
	struct strs untouched; /* ids of machines on which no task was ever begun */
};

/* A db_tx_fn for db_read(); arg: struct operation_input with c and params, which it borrows. */
LOOM_MUST_CHECK int operation_input_read(struct db *db, void *arg);
void operation_input_fini(struct operation_input *p);

#endif
