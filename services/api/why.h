/* SPDX-License-Identifier: Apache-2.0 */
/* why - says of a cluster that is not moving what it waits for, in words a person can act on. The
 * words are pure. */
#ifndef LOOM_API_WHY_H
#define LOOM_API_WHY_H

#include "common/model/expiry.h"
#include "common/model/job.h"
#include "common/model/limit.h"
#include "common/model/provisioner.h"
#include "common/model/task.h"

struct why_input {
	const struct cluster *c;
	const struct job *latest;
	const struct tasks *tasks;     /* of the latest job */
	const struct task_edge *edges; /* as stored, with groups */
	size_t n_edges;
	const char *tenant; /* its name */
	struct provisioner_supply supply;
	const struct limits *limits; /* of the tenant's providers; NULL: none */
	struct job_hold hold;        /* who plans the job, who has paused it */
	struct expiry_marks expiry;
	int64_t now;
	bool unheard;        /* no scheduler is heard by this API */
	const char *unequal; /* what there is to say of clocks; NULL: they agree */
};

/* {"status", "cause", "reason": one sentence, "tasks": [{"taskId", "state", "cause", "reason"}]}:
 * the tasks that run, are ready, or come next. "note": what holds nothing, but misleads. */
struct json *why_answer(const struct why_input *in);

/* The same of a cluster read in this transaction; only the sentence. *ret owned. */
struct api;
LOOM_MUST_CHECK int why_sentence(struct api *a, struct db *db, const struct cluster *c,
                                 const struct job *latest, char **ret);

#endif
