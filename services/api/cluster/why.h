/* SPDX-License-Identifier: Apache-2.0 */
/* why - explains why a cluster does not move, in words that a person can act on. The wording is
 * pure. */
#ifndef LOOM_API_WHY_H
#define LOOM_API_WHY_H

#include "common/model/cluster/expiry.h"
#include "common/model/cluster/job.h"
#include "common/model/cluster/task.h"
#include "common/model/worker/limit.h"
#include "common/model/worker/provisioner.h"

struct why_input {
	const struct cluster *c;
	const struct job *latest;
	const struct tasks *tasks;     /* of the latest job */
	const struct task_edge *edges; /* as stored, including groups */
	size_t n_edges;
	const char *tenant; /* its name */
	struct provisioner_supply supply;
	const struct limits *limits; /* of the tenant's providers; NULL: none */
	struct job_hold hold;        /* which scheduler plans the job, who has paused it */
	struct expiry_marks expiry;
	int64_t now;
	bool unheard;        /* this API hears no scheduler */
	const char *unequal; /* a warning about clocks; NULL: they agree */
};

/* {"status", "cause", "reason": one sentence, "tasks": [{"taskId", "state", "cause", "reason"}]}:
 * the tasks that are running, ready or next. "note": something misleading that delays nothing. */
struct json *why_answer(const struct why_input *in);

/* Only the sentence, for a cluster read in this transaction. *ret owned. */
struct api;
LOOM_MUST_CHECK int why_sentence(struct api *a, struct db *db, const struct cluster *c,
                                 const struct job *latest, char **ret);

#endif
