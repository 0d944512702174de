/* SPDX-License-Identifier: Apache-2.0 */
/* operation_commit - writes an operation's effect when its job starts, when it completes, and when
 * it ends without having done anything. */
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
	/* Leaving nodes make room for new ones. */
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

/* A retry completes like the job it retries, unless it deferred some tasks. */
static int carry_on(struct db *db, struct job *j, const struct job_params *from,
                    const struct plan *p)
{
	job_params_merge(&j->params, from, "leaving services added placed to");
	j->params.later = (int64_t)p->n_later;
	return job_save_params(db, j);
}

/* Notes what the job must remove at its end, and what it added, which is undone if the job does
 * nothing. */
static void note_params(struct job *j, const struct operation *op)
{
	const struct relayout *t = op->relayout;
	struct json *removed = json_new_arr(), *added = json_new_arr();
	LOOM_CLEANUP(strs_fini) struct strs placed = { 0 };
	for (size_t i = 0; i < t->n_removed; i++)
		json_push(removed, json_new_str(op->draft.nodes->v[t->removed[i]].id));
	for (size_t i = 0; i < t->added.n_nodes; i++)
		json_push(added, json_new_str(op->draft.nodes->v[op->before->n + i].id));
	for (size_t i = 0; i < t->n_changed; i++) {
		for (size_t k = 0; k < t->changed[i].added.n; k++) {
			if (!strs_has(&placed, t->changed[i].added.v[k]))
				strs_add(&placed, t->changed[i].added.v[k]);
		}
	}
	struct job_params noted = { .leaving = removed,
		                    .added = added,
		                    .placed = json_new_strs(&placed) };
	job_params_merge(&j->params, &noted, NULL);
	job_params_fini(&noted);
}

/* The former configuration becomes the cluster's at once, like a new one. */
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
	/* Added services belong to the cluster from now on; removed ones until they are gone. */
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

static struct json *without(const struct json *names, const struct json *removed)
{
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(names); i++) {
		if (!json_arr_has_str(removed, json_str(json_at(names, i))))
			json_push(out, json_copy(json_at(names, i)));
	}
	return out;
}

static int remove_services(struct db *db, struct cluster_tx *tx, const struct json *removed)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = nodes_load(db, tx->c->id, &ns);
	for (size_t i = 0; !rc && i < ns->n; i++) {
		struct json *left = without(ns->v[i].services, removed);
		json_free(ns->v[i].services);
		ns->v[i].services = left;
		for (size_t k = 0; k < json_len(removed); k++)
			json_del(ns->v[i].states, json_str(json_at(removed, k)));
		rc = node_save(db, &ns->v[i]);
	}
	struct json *left = without(tx->c->services, removed);
	json_free(tx->c->services);
	tx->c->services = left;
	return rc;
}

static int remove_nodes(struct db *db, struct cluster_tx *tx, const struct json *removed)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(removed); i++)
		rc = node_delete(db, json_str(json_at(removed, i)));
	return rc || !json_len(removed) ? rc : nodes_count(db, tx->c->id, &tx->c->num_nodes);
}

int operation_complete(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	int rc = remove_nodes(db, tx, j->params.leaving);
	if (!rc && str_eq(j->action, plan_action_name(PLAN_REMOVE_SERVICES)))
		rc = remove_services(db, tx, j->params.services);
	return rc;
}

int operation_undo(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	const struct json *before = j->params.before, *placed = j->params.placed;
	/* A retry did not itself add what it carries on. */
	if (job_params_is(&j->params, "retry"))
		return 0;
	int rc = before ? cluster_save_config(db, tx->c, before) : 0;
	if (!rc)
		rc = remove_nodes(db, tx, j->params.added);
	return rc || !json_len(placed) ? rc : remove_services(db, tx, placed);
}
