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
static int carry_on(struct db *db, struct job *j, const struct json *from, const struct plan *p)
{
	static const char *const keys[] = { "leaving", "services", "added", "placed", "to" };
	if (!j->params)
		j->params = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(keys); i++) {
		if (json_get(from, keys[i]))
			json_set(j->params, keys[i], json_copy(json_get(from, keys[i])));
	}
	if (p->n_later)
		json_set_int(j->params, "later", (int64_t)p->n_later);
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
	if (!j->params)
		j->params = json_new_obj();
	json_set(j->params, "leaving", gone);
	json_set(j->params, "added", added);
	json_set(j->params, "placed", json_new_strs(&placed));
}

/* The former configuration is the cluster's at once, as a new one would be. */
static int apply_rollback(struct db *db, struct cluster_tx *tx, struct job *j,
                          const struct operation *op)
{
	const struct json *back = json_get(op->back, "config");
	if (!j->params)
		j->params = json_new_obj();
	for (size_t i = 0; i < json_len(op->back); i++)
		json_set(j->params, json_key_at(op->back, i),
		         json_copy(json_value_at(op->back, i)));
	int rc = back ? cluster_load_docs(db, tx->c) : 0;
	if (!rc && back) {
		json_set(j->params, "before", json_copy(tx->c->config));
		rc = cluster_save_config(db, tx->c, back);
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
	int rc = machines_gone(db, tx, json_get(j->params, "leaving"));
	if (!rc && str_eq(j->action, plan_action_name(PLAN_REMOVE_SERVICES)))
		rc = services_gone(db, tx, json_get(j->params, "services"));
	return rc;
}

int operation_undo(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	const struct json *before = json_get(j->params, "before"),
			  *placed = json_get(j->params, "placed");
	/* What a retry carries on was not its own doing. */
	if (str_eq(json_get_str(j->params, "operation"), "retry"))
		return 0;
	int rc = before ? cluster_save_config(db, tx->c, before) : 0;
	if (!rc)
		rc = machines_gone(db, tx, json_get(j->params, "added"));
	return rc || !json_len(placed) ? rc : services_gone(db, tx, placed);
}
