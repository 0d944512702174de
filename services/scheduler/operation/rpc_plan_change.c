/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_plan_change - answers an API what an operation on a cluster would change, with a hash of the
 * plan.
 */
#include "services/scheduler/scheduler.h"

#include "services/scheduler/operation/operation.h"

struct operation_plan {
	struct scheduler *s;
	struct bus_call *call;
	struct json *ask, *answer;
	struct cluster *c;
};

static int load_read(struct db *db, void *arg)
{
	struct operation_plan *k = arg;
	cluster_free(k->c);
	k->c = NULL;
	int rc = cluster_get(db, json_get_int(k->ask, "cluster", 0), &k->c);
	return rc ? rc : cluster_load_docs(db, k->c);
}

static void operation_plan_work(void *arg)
{
	struct operation_plan *k = arg;
	const struct json *params = json_get(k->ask, "params");
	struct operation op = { 0 };
	struct loom_err err = { 0 };
	int rc = db_read(k->s->db, load_read, k);
	if (!rc)
		rc = operation_make(k->s->db, k->c, params, &op, &err);
	json_set_int(k->answer, "status",
	             !rc              ? 200
	             : rc >= DB_E_DUP ? 503
	             : err.status     ? err.status
	                              : 404);
	if (!rc) {
		json_set_str(k->answer, "action", plan_action_name(op.action));
		json_set_str(k->answer, "hash", op.hash);
		/* Whatever changes a plan comes with a job; a warning about the lease does not. */
		json_set_int(k->answer, "revision", k->c->latest_job);
		json_set(k->answer, "plan", operation_preview(&op, k->c, params));
	} else {
		json_set_str(k->answer, "message",
		             rc >= DB_E_DUP ? "the database is away" : err.msg);
	}
	operation_fini(&op);
}

static void operation_plan_done(void *arg)
{
	struct operation_plan *k = arg;
	bus_answer(k->call, k->answer);
	cluster_free(k->c);
	json_free(k->ask);
	json_free(k->answer);
	loom_free(k);
}

static void on_change(struct bus_call *call, const struct json *body, void *arg)
{
	struct operation_plan *k = loom_calloc(1, sizeof(*k));
	*k = (struct operation_plan){
		.s = arg, .call = call, .ask = json_copy(body), .answer = json_new_obj()
	};
	if (pool_submit(k->s->pool, operation_plan_work, operation_plan_done, k)) {
		json_set_int(k->answer, "status", 503);
		json_set_str(k->answer, "message", "the scheduler is busy");
		operation_plan_done(k);
	}
}

void operation_plan_start(struct scheduler *s)
{
	bus_on_request(s->bus, "change", on_change, s);
}
