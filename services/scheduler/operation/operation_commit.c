/* SPDX-License-Identifier: Apache-2.0 */
/* operation_commit - what a job writes of its operation when it starts, when it completes, and when
 * nothing came of it. */
#include "services/scheduler/operation/operation.h"

#include "common/base/str.h"

static int check_quota(struct db *db, const struct cluster *c, size_t n_added, struct loom_err *err)
{
	struct quota q;
	int rc = n_added ? cluster_quota(db, c->tenant_id, 0, (int64_t)n_added, &q) : 0;
	if (rc != CLUSTER_E_QUOTA)
		return rc;
	LOOM_CLEANUP_STR char *why = quota_words(&q);
	return err_set(err, CLUSTER_E_QUOTA, "%s", why);
}

static int apply_services(struct db *db, struct cluster_tx *tx, const struct operation *op,
                          struct loom_err *err)
{
	const struct relayout *t = op->relayout;
	/* Nodes that leave make room for those that come. */
	size_t more = t->added.n_nodes > t->n_removed ? t->added.n_nodes - t->n_removed : 0;
	int rc = check_quota(db, tx->c, more, err);
	for (size_t i = 0; !rc && i < t->n_changed; i++) {
		if (t->changed[i].added.n)
			rc = node_save(db, &op->draft.nodes->v[t->changed[i].node]);
	}
	if (!rc && t->added.n_nodes) {
		struct nodes added = { &op->draft.nodes->v[op->before->n], t->added.n_nodes };
		rc = nodes_insert(db, tx->c->id, &added);
		tx->c->num_nodes += (int64_t)t->added.n_nodes;
		tx->c->last_node = added.v[added.n - 1].num;
	}
	return rc ? rc : cluster_save_service_docs(db, tx->c, op->draft.service_docs);
}

/* A retried job completes as the failed one would have; but if it leaves some of it for later. */
static int carry_on(struct db *db, struct job *j, const struct job_params *from,
                    const struct plan *p)
{
	job_params_merge(&j->params, from, "leaving services added placed to");
	j->params.later = (int64_t)p->n_later;
	return job_save_params(db, j);
}

/* What goes in the end, and what has come: that is taken back when nothing comes of the job. */
static void note_params(struct job *j, const struct operation *op)
{
	const struct relayout *t = op->relayout;
	struct json *gone = json_new_arr(), *added = json_new_arr();
	LOOM_CLEANUP(strs_fini) struct strs placed = { 0 };
	for (size_t i = 0; i < t->n_removed; i++)
		json_push(gone, json_new_str(op->draft.nodes->v[t->removed[i]].id));
	for (size_t i = 0; i < t->added.n_nodes; i++)
		json_push(added, json_new_str(op->draft.nodes->v[op->before->n + i].id));
	for (size_t i = 0; i < t->n_changed; i++) {
		for (size_t k = 0; k < t->changed[i].added.n; k++) {
			if (!strs_has(&placed, t->changed[i].added.v[k]))
				strs_add(&placed, t->changed[i].added.v[k]);
		}
	}
	struct job_params noted = { .leaving = gone,
		                    .added = added,
		                    .placed = json_new_strs(&placed) };
	job_params_merge(&j->params, &noted, NULL);
	job_params_fini(&noted);
}

/* The former configuration is the cluster's at once, as a new one would be. */
static int apply_rollback(struct db *db, struct cluster_tx *tx, struct job *j,
                          const struct operation *op)
{
	const struct json *config = op->back->config;
	job_params_merge(&j->params, op->back, NULL);
	int rc = config ? cluster_load_docs(db, tx->c) : 0;
	if (!rc && config) {
		const struct job_params now = { .before = tx->c->config };
		job_params_merge(&j->params, &now, NULL);
		rc = cluster_save_config(db, tx->c, config);
	}
	return rc ? rc : job_save_params(db, j);
}

int operation_apply(struct db *db, struct cluster_tx *tx, struct job *j, const struct operation *op,
                    struct loom_err *err)
{
	if (op->carried)
		return carry_on(db, j, op->carried, op->draft.plan);
	if (op->back)
		return apply_rollback(db, tx, j, op);
	if (!op->relayout)
		return 0;
	int rc = apply_services(db, tx, op, err);
	if (rc)
		return rc;
	note_params(j, op);
	/* Services that come are the cluster's from now on; those that go until they are gone. */
	struct strs after = { 0 };
	json_read_strs(tx->c->services, &after);
	for (size_t i = 0; i < op->relayout->services.n; i++) {
		if (!strs_has(&after, op->relayout->services.v[i]))
			strs_add(&after, op->relayout->services.v[i]);
	}
	strs_sort(&after);
	json_free(tx->c->services);
	tx->c->services = json_new_strs(&after);
	strs_fini(&after);
	return job_save_params(db, j);
}

static struct json *without(const struct json *names, const struct json *gone)
{
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(names); i++) {
		if (!json_arr_has_str(gone, json_str(json_at(names, i))))
			json_push(out, json_copy(json_at(names, i)));
	}
	return out;
}

static int services_gone(struct db *db, struct cluster_tx *tx, const struct json *gone)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = nodes_load(db, tx->c->id, &ns);
	for (size_t i = 0; !rc && i < ns->n; i++) {
		struct json *left = without(ns->v[i].services, gone);
		json_free(ns->v[i].services);
		ns->v[i].services = left;
		for (size_t k = 0; k < json_len(gone); k++)
			json_del(ns->v[i].states, json_str(json_at(gone, k)));
		rc = node_save(db, &ns->v[i]);
	}
	struct json *left = without(tx->c->services, gone);
	json_free(tx->c->services);
	tx->c->services = left;
	return rc;
}

static int machines_gone(struct db *db, struct cluster_tx *tx, const struct json *gone)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(gone); i++)
		rc = node_delete(db, json_str(json_at(gone, i)));
	return rc || !json_len(gone) ? rc : nodes_count(db, tx->c->id, &tx->c->num_nodes);
}

int operation_complete(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	int rc = machines_gone(db, tx, j->params.leaving);
	if (!rc && str_eq(j->action, plan_action_name(PLAN_REMOVE_SERVICES)))
		rc = services_gone(db, tx, j->params.services);
	return rc;
}

int operation_undo(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	const struct json *before = j->params.before, *placed = j->params.placed;
	/* What a retry carries on was not its own doing. */
	if (job_params_is(&j->params, "retry"))
		return 0;
	int rc = before ? cluster_save_config(db, tx->c, before) : 0;
	if (!rc)
		rc = machines_gone(db, tx, j->params.added);
	return rc || !json_len(placed) ? rc : services_gone(db, tx, placed);
}
