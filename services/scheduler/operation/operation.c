/* SPDX-License-Identifier: Apache-2.0 */
/* operation - makes the change that a user requests: its layout, its tasks, a retry, a roll
 * back. */
#include "services/scheduler/operation/operation.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/json/jsondiff.h"
#include "common/operation/operation.h"
#include "services/scheduler/operation/config_fits.h"
#include "services/scheduler/operation/operation_input.h"
#include "services/scheduler/placement/hostname.h"
#include "services/scheduler/plan/retry.h"
#include "services/scheduler/plan/rollback.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Finds the action of a named operation; false if there is none. */
static bool operation_action(const char *operation, bool restart, enum plan_action *ret)
{
	const struct operation_kind *k = operation_kind_find(operation);
	return k &&
	       plan_action_parse(k->plain_action && !restart ? k->plain_action : k->action, ret);
}

static void free_params(struct job_params *p)
{
	if (p)
		job_params_fini(p);
	loom_free(p);
}

void operation_fini(struct operation *op)
{
	relayout_free(op->relayout);
	nodes_free(op->before);
	job_draft_fini(&op->draft);
	json_free(op->restarted);
	free_params(op->carried);
	free_params(op->back);
	json_free(op->notes);
	*op = (struct operation){ 0 };
}

struct wanted {
	const struct cluster *c;
	const struct operation_input *input;
	const struct job_params *params;
	struct strs named, grow;
	int64_t *nodenums;
	size_t n_nodenums;
	struct relayout_node *nodes;
	size_t n_nodes;
};

static void wanted_init(struct wanted *w, const struct cluster *c, const struct operation_input *p,
                        const struct job_params *params)
{
	*w = (struct wanted){ .c = c, .input = p, .params = params, .n_nodes = p->nodes->n };
	json_read_strs(params->services, &w->named);
	json_read_strs(params->grow, &w->grow);
	const struct json *nums = params->nodes;
	w->nodenums = loom_calloc(json_len(nums) + 1, sizeof(*w->nodenums));
	for (size_t i = 0; i < json_len(nums); i++) {
		if (json_int(json_at(nums, i), &w->nodenums[w->n_nodenums]))
			w->n_nodenums++;
	}
	w->nodes = loom_calloc(w->n_nodes + 1, sizeof(*w->nodes));
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct node *n = &p->nodes->v[i];
		w->nodes[i] = (struct relayout_node){ .id = n->id,
			                              .nodenum = (int)n->num,
			                              .hardwaretype = n->hardwaretype,
			                              .imagetype = n->imagetype };
		json_read_strs(n->services, &w->nodes[i].services);
	}
}

static void wanted_fini(struct wanted *w)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		strs_fini(&w->nodes[i].services);
	loom_free(w->nodes);
	loom_free(w->nodenums);
	strs_fini(&w->named);
	strs_fini(&w->grow);
}

static int find_relayout(const struct wanted *w, enum relayout_operation op, struct relayout **ret,
                         struct loom_err *err)
{
	const struct cluster *c = w->c;
	const struct job_params *params = w->params;
	const struct json *newer = params->template;
	struct relayout_input in = { .operation = op,
		                     .nodes = w->nodes,
		                     .n_nodes = w->n_nodes,
		                     .last_nodenum = (int)c->last_node,
		                     .template = op == RELAYOUT_SYNC && newer ? newer : c->template,
		                     .provider = c->provider,
		                     .hardwaretypes = w->input->catalog.hardware,
		                     .imagetypes = w->input->catalog.images,
		                     .services = w->input->catalog.services,
		                     .service_docs = c->service_docs,
		                     .request = c->request,
		                     .cluster_id = c->id,
		                     .cluster_name = c->name,
		                     .named = &w->named,
		                     .count = params->count,
		                     .grow = w->grow.n ? &w->grow : NULL,
		                     .nodenums = w->nodenums,
		                     .n_nodenums = w->n_nodenums };
	return relayout_find(&in, ret, err);
}

/* ---- replacing ------------------------------------------------------------------------------- */

/* A machine like n, with a new number and name. */
static struct layout_node successor_of(const struct cluster *c, const struct node *n, int num)
{
	const char *dns = hostname_suffix(c->request, c->template);
	struct layout_node new = { .nodenum = num,
		                   .hostname = hostname_make(c->name, c->id, num, dns),
		                   .hardwaretype = loom_strdup(n->hardwaretype),
		                   .imagetype = loom_strdup(n->imagetype),
		                   .flavor = loom_strdup(n->flavor),
		                   .image = loom_strdup(n->image),
		                   .sshuser = loom_strdup(n->sshuser) };
	json_read_strs(n->services, &new.services);
	json_read_strs(n->automators, &new.automators);
	return new;
}

/* The layout stays the same: every named node gets a successor. */
static int find_successors(const struct wanted *w, enum relayout_operation op LOOM_UNUSED,
                           struct relayout **ret, struct loom_err *err)
{
	const struct nodes *ns = w->input->nodes;
	LOOM_CLEANUP(relayout_free) struct relayout *t = loom_calloc(1, sizeof(*t));
	int num = (int)w->c->last_node;
	t->added.nodes = loom_calloc(ns->n + 1, sizeof(*t->added.nodes));
	t->removed = loom_calloc(ns->n + 1, sizeof(*t->removed));
	for (size_t i = 0; i < ns->n; i++) {
		bool named = false;
		num = ns->v[i].num > num ? (int)ns->v[i].num : num;
		for (size_t k = 0; k < w->n_nodenums; k++)
			named = named || w->nodenums[k] == ns->v[i].num;
		if (named)
			t->removed[t->n_removed++] = i;
	}
	for (size_t k = 0; k < w->n_nodenums; k++) {
		bool found = false;
		for (size_t i = 0; i < t->n_removed; i++)
			found = found || ns->v[t->removed[i]].num == w->nodenums[k];
		if (!found)
			return err_set(err, 400, "the cluster has no node %" PRId64,
			               w->nodenums[k]);
	}
	for (size_t i = 0; i < t->n_removed; i++)
		t->added.nodes[t->added.n_nodes++] =
			successor_of(w->c, &ns->v[t->removed[i]], ++num);
	json_read_strs(w->c->services, &t->services);
	*ret = loom_take(t);
	return 0;
}

/* The actions that change the layout, and the function that finds the new one. */
static const struct {
	int (*find)(const struct wanted *w, enum relayout_operation op, struct relayout **ret,
	            struct loom_err *err);
	enum plan_action action;
	enum relayout_operation relayout;
} layouts[] = {
	{ find_relayout, PLAN_ADD_SERVICES, RELAYOUT_ADD_SERVICES },
	{ find_relayout, PLAN_REMOVE_SERVICES, RELAYOUT_REMOVE_SERVICES },
	{ find_relayout, PLAN_EXPAND, RELAYOUT_EXPAND },
	{ find_relayout, PLAN_SHRINK, RELAYOUT_SHRINK },
	{ find_successors, PLAN_REPLACE, 0 },
	{ find_relayout, PLAN_SOLVE_LAYOUT, RELAYOUT_SYNC },
};

/* Shows the planner the machines with their added services, but still with the removed ones. */
static void place_services(struct operation *op)
{
	const struct relayout *t = op->relayout;
	for (size_t i = 0; t && i < t->n_changed; i++) {
		struct node *n = &op->draft.nodes->v[t->changed[i].node];
		if (!t->changed[i].added.n)
			continue;
		json_free(n->services);
		json_free(n->automators);
		n->services = json_new_strs(&t->changed[i].services);
		n->automators = json_new_strs(&t->changed[i].automators);
	}
}

/* Collects the services whose part of the configuration differs; false if a part belongs to no
 * service. */
static bool changed_services(const struct cluster *c, const struct job_params *params,
                             struct strs *ret)
{
	LOOM_CLEANUP(json_free)
	struct json *diff = json_diff(operation_old_config(c, params), params->config);
	for (size_t i = 0; i < json_len(diff); i++) {
		const char *path = json_get_str(json_at(diff, i), "path");
		size_t n = strcspn(path + 1, "/");
		LOOM_CLEANUP_STR char *top = loom_strndup(path + 1, n);
		if (!json_arr_has_str(c->services, top))
			return false;
		if (!strs_has(ret, top))
			strs_add(ret, top);
	}
	return true;
}

static int plan_tasks(struct operation *op, const struct cluster *c,
                      const struct job_params *params, struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs services = { 0 }, nodes = { 0 }, changed = { 0 };
	LOOM_CLEANUP(strs_fini) struct strs leaving = { 0 };
	const struct relayout *t = op->relayout;
	json_read_strs(params->services, &services);
	for (size_t i = 0; t && i < t->n_removed; i++) {
		strs_add(&nodes, op->draft.nodes->v[t->removed[i]].id);
		strs_add(&leaving, op->draft.nodes->v[t->removed[i]].id);
	}
	for (size_t i = 0; t && i < t->added.n_nodes; i++)
		strs_add(&nodes, op->draft.nodes->v[op->before->n + i].id);
	if (op->action == PLAN_ADD_SERVICES) {
		for (size_t i = 0; t && i < t->n_changed; i++)
			strs_add(&nodes, op->draft.nodes->v[t->changed[i].node].id);
	}
	bool configuring =
		op->action == PLAN_CONFIGURE || op->action == PLAN_CONFIGURE_WITH_RESTART;
	bool some = configuring && changed_services(c, params, &changed);
	struct plan_scope scope = { .services = services.n ? &services : NULL,
		                    .nodes = nodes.n ? &nodes : NULL,
		                    .leaving = leaving.n ? &leaving : NULL,
		                    .changed = some ? &changed : NULL };
	return plan_nodes(op->draft.nodes, op->action, op->draft.service_docs, &scope,
	                  &op->draft.plan, err);
}

static void collect_started(struct operation *op)
{
	op->restarted = json_new_arr();
	for (size_t i = 0; op->draft.plan && i < op->draft.plan->n; i++) {
		const struct plan_task *t = &op->draft.plan->tasks[i];
		if (t->step == STEP_START && !json_arr_has_str(op->restarted, t->service))
			json_push(op->restarted, json_new_str(t->service));
	}
}

static void hash_it(struct operation *op, const struct cluster *c, const struct job_params *params)
{
	LOOM_CLEANUP(json_free) struct json *shown = operation_preview(op, c, params);
	LOOM_CLEANUP_STR char *text = json_text(shown);
	unsigned char sum[16];
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)text, strlen(text), NULL, 0);
	sodium_bin2hex(op->hash, sizeof(op->hash), sum, sizeof(sum));
}

/* Plans the failed job's tasks again, without the complete and the skipped ones. */
static int make_retry(const struct operation_input *p, const struct job_params *params,
                      struct operation *op, struct loom_err *err)
{
	if (!p->failed.num || p->failed.status != JOB_FAILED ||
	    !plan_action_parse(p->failed.action, &op->action))
		return err_set(err, 409, "the last job has not failed: there is nothing to retry");
	op->carried = loom_calloc(1, sizeof(*op->carried));
	job_params_copy(op->carried, &p->failed.params);
	struct retry_input in = { .tasks = p->tasks,
		                  .edges = p->edges,
		                  .n_edges = p->n_edges,
		                  .nodes = op->draft.nodes,
		                  .skip = params->skip,
		                  .only = params->tasks };
	return retry_plan(&in, &op->draft.plan, err);
}

/* Restores the former configuration and plans its consequences. */
static int back_to_config(struct operation *op, const struct cluster *c, const struct json *was,
                          struct loom_err *err)
{
	if (!was)
		return err_set(err, 409, "the configuration of before is not known any more");
	op->back->config = json_copy(was);
	op->notes = json_new_arr();
	return plan_tasks(op, c, op->back, err);
}

static int make_rollback(const struct cluster *c, const struct operation_input *p,
                         struct operation *op, struct loom_err *err)
{
	const struct job *first = p->first.num ? &p->first : &p->failed;
	if (!p->failed.num || p->failed.status != JOB_FAILED ||
	    !plan_action_parse(p->failed.action, &op->action))
		return err_set(err, 409, "the last job has not failed: there is nothing to undo");
	if (job_params_is(&first->params, "rollback"))
		return err_set(err, 409, "the last job was itself a roll back: retry it");
	struct rollback_input in = { .failed = op->action,
		                     .tasks = p->tasks,
		                     .params = &p->failed.params,
		                     .nodes = op->draft.nodes,
		                     .untouched = &p->untouched,
		                     .service_docs = op->draft.service_docs };
	struct rollback r = { .action = op->action };
	op->back = loom_calloc(1, sizeof(*op->back));
	int rc = op->action == PLAN_CONFIGURE || op->action == PLAN_CONFIGURE_WITH_RESTART
	                 ? back_to_config(op, c, first->params.before, err)
	                 : rollback_plan(&in, &r, err);
	if (rc)
		return rc;
	op->action = r.action;
	if (r.plan) {
		op->draft.plan = loom_take(r.plan);
		*op->back = r.back;
		op->notes = loom_take(r.notes);
	}
	op->back->to = loom_strdup(first->params.was);
	return 0;
}

static int make_change(const struct cluster *c, const struct operation_input *p,
                       const struct job_params *params, struct operation *op, struct loom_err *err)
{
	if (!operation_action(params->operation, !params->no_restart, &op->action))
		return err_set(err, 400, "operation '%s' is not known",
		               params->operation ? params->operation : "");
	struct wanted w;
	wanted_init(&w, c, p, params);
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(layouts); i++) {
		if (layouts[i].action == op->action)
			rc = layouts[i].find(&w, layouts[i].relayout, &op->relayout, err);
	}
	wanted_fini(&w);
	if (rc)
		return rc;
	if (op->relayout)
		job_draft_add_nodes(op->draft.nodes, op->relayout->added.nodes,
		                    op->relayout->added.n_nodes);
	place_services(op);
	job_draft_add_docs(op->draft.service_docs, p->catalog.services,
	                   op->relayout ? &op->relayout->services : NULL);
	if (op->action == PLAN_SOLVE_LAYOUT)
		return 0;
	rc = config_fits(params->config ? params->config : c->config, op->draft.nodes, op->relayout,
	                 err);
	return rc ? rc : plan_tasks(op, c, params, err);
}

static int make(const struct cluster *c, const struct operation_input *p,
                const struct job_params *params, struct operation *op, struct loom_err *err)
{
	op->before = nodes_copy(p->nodes);
	op->draft.nodes = nodes_copy(p->nodes);
	op->draft.service_docs = c->service_docs ? json_copy(c->service_docs) : json_new_obj();
	int rc = job_params_is(params, "retry")      ? make_retry(p, params, op, err)
	         : job_params_is(params, "rollback") ? make_rollback(c, p, op, err)
	                                             : make_change(c, p, params, op, err);
	if (rc)
		return rc;
	collect_started(op);
	hash_it(op, c, params);
	return 0;
}

int operation_make(struct db_pool *p, const struct cluster *c, const struct job_params *params,
                   struct operation *op, struct loom_err *err)
{
	struct operation_input now = { .c = c, .params = params };
	int rc = db_read(p, operation_input_read, &now);
	if (!rc)
		rc = make(c, &now, params, op, err);
	operation_input_fini(&now);
	return rc;
}

/* Deletes only the nodes on which a task was begun; the others need no provisioner. */
static int delete_begun(struct job_draft *b, const struct strs *untouched, const struct json *docs,
                        struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs begun = { 0 };
	LOOM_CLEANUP(map_destroy) struct map *not = map_create(NULL);
	for (size_t i = 0; i < untouched->n; i++)
		map_set(not, untouched->v[i], b);
	for (size_t i = 0; i < b->nodes->n; i++) {
		if (!map_get(not, b->nodes->v[i].id))
			strs_add(&begun, b->nodes->v[i].id);
	}
	struct plan_scope scope = { .nodes = &begun };
	return plan_nodes(b->nodes, PLAN_DELETE, docs, &scope, &b->plan, err);
}

int operation_delete(struct db_pool *p, const struct cluster *c, struct operation *op,
                     struct loom_err *err)
{
	struct operation_input now = { .c = c };
	int rc = db_read(p, operation_input_read, &now);
	if (!rc) {
		op->action = PLAN_DELETE;
		op->draft.nodes = loom_take(now.nodes);
		rc = delete_begun(&op->draft, &now.untouched, c->service_docs, err);
	}
	operation_input_fini(&now);
	return rc;
}
