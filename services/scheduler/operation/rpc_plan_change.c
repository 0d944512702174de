/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_plan_change - tells an API what an operation on a cluster would change, with a hash of the
 * plan. */
#include "services/scheduler/operation/operation.h"
#include "services/scheduler/operation/rpc.h"

#include <stdio.h>

struct look {
	int64_t id;
	struct cluster *c;
};

static int look_read(struct db *db, void *arg)
{
	struct look *l = arg;
	cluster_free(l->c);
	l->c = NULL;
	int rc = cluster_get(db, l->id, &l->c);
	return rc ? rc : cluster_load_docs(db, l->c);
}

void rpc_plan_change(struct scheduler *s, const void *asked, struct rpc_answer *ret)
{
	const struct msg_change *m = asked;
	struct look l = { .id = m->cluster };
	LOOM_CLEANUP(job_params_fini) struct job_params params;
	job_params_decode(m->params, &params);
	struct operation op = { 0 };
	int rc = db_read(s->db, look_read, &l);
	if (!rc)
		rc = operation_make(s->db, l.c, &params, &op, &ret->err);
	if (!rc) {
		ret->action = plan_action_name(op.action);
		snprintf(ret->hash, sizeof(ret->hash), "%s", op.hash);
		/* Everything that changes a plan comes with a job; a warning about the lease does
		 * not. */
		ret->revision = l.c->latest_job;
		ret->plan = operation_preview(&op, l.c, &params);
	}
	rpc_settle(ret, rc);
	operation_fini(&op);
	cluster_free(l.c);
}
