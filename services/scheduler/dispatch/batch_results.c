/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_results - applies the results of workers. The attempt is the fence: a stale result is
 * refused (417), a repeated one is answered 200 without any effect, so that a worker may resend a
 * result until it is answered.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/str.h"
#include "services/scheduler/job/results.h"

static struct task *task_of(const struct unit *u, const struct batch_result *r,
                            struct task_ref *ref)
{
	return id_parse_task(r->finish->task, ref) ? NULL : unit_task(u, ref);
}

/* Loads the nodes that results report about, of all clusters at once. */
static int load_nodes(struct batch *b)
{
	int64_t *clusters = loom_calloc(b->n_results + 1, sizeof(*clusters));
	struct task_ref ref;
	size_t n = 0;
	for (size_t i = 0; i < b->n_results; i++) {
		const struct task *t = task_of(&b->unit, &b->results[i], &ref);
		if (t && result_about_node(b->results[i].finish, t))
			clusters[n++] = t->cluster_id;
	}
	int rc = unit_load_nodes(&b->unit, clusters, n);
	loom_free(clusters);
	return rc;
}

static int apply_one(struct batch *b, struct batch_result *r)
{
	struct unit *u = &b->unit;
	struct task_ref ref;
	if (id_parse_task(r->finish->task, &ref))
		return 0; /* already refused */
	struct task *t = unit_task(u, &ref);
	if (t)
		return result_apply(u, t, r->finish, b->unstorable, &r->status);
	bool held = !b->wait && !unit_cluster(u, ref.cluster);
	r->status = held ? 0 : 417;
	return 0;
}

int batch_apply_results(struct batch *b)
{
	int rc = b->n_results ? load_nodes(b) : 0;
	for (size_t i = 0; !rc && i < b->n_results; i++)
		rc = apply_one(b, &b->results[i]);
	return rc;
}
