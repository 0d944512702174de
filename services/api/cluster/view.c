/* SPDX-License-Identifier: Apache-2.0 */
/* Formats clusters for users, as JSON. */
#include "services/api/cluster/view.h"

#include "common/base/str.h"
#include "common/model/cluster/expander.h"
#include "common/model/keys/secret.h"
#include "services/api/cluster/operations.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ACTIONS 200 /* shown per node (REST spec 5.5) */

static struct json *progress(const struct job *j)
{
	struct json *p = json_set_str(json_new_obj(), "action", j->action);
	json_set_str(p, "actionstatus", job_status_name(j->status));
	json_set_int(p, "stepstotal", j->tasks_total);
	return json_set_int(p, "stepscompleted", j->tasks_done);
}

struct json *view_status(const struct cluster *c, const struct job *latest)
{
	char id[ID_MAX];
	id_cluster(id, c->id);
	struct json *s = progress(latest);
	json_set_str(s, "clusterid", id);
	return json_set_str(s, "status", cluster_status_name(c->status));
}

struct action {
	const struct task *t;
	const struct failure *f; /* NULL: the present attempt, running or complete */
	const char *node;
	int64_t time;
};

/* Of all nodes, so that tasks and failures of a large cluster are looked at once. */
struct actions {
	struct action *v; /* those of a node together, by time */
	size_t n;
};

static int by_node(const void *a, const void *b)
{
	return strcmp(((const struct action *)a)->node, ((const struct action *)b)->node);
}

static int by_node_and_time(const void *a, const void *b)
{
	const struct action *x = a, *y = b;
	int c = by_node(a, b);
	return c ? c : (x->time > y->time) - (x->time < y->time);
}

static struct json *action_json(const struct action *a)
{
	char id[ID_MAX];
	id_task(id, a->t->cluster_id, a->t->job_num, a->t->num);
	struct json *o = json_set_str(json_new_obj(), "taskId", id);
	json_set_str(o, "service", a->t->service);
	json_set_str(o, "action", a->t->name);
	json_set_int(o, "submitTime", a->time);
	bool running = !a->f && a->t->state == TASK_RUNNING;
	json_set_int(o, "statusTime", a->f ? a->f->status_time : running ? 0 : a->t->status_time);
	json_set_str(o, "status", a->f ? "failed" : running ? "in_progress" : "complete");
	if (a->f) {
		json_set_str(o, "stdout", a->f->stdout_);
		json_set_str(o, "stderr", a->f->stderr_);
	}
	return o;
}

static int by_number(const void *a, const void *b)
{
	const struct task *x = a, *y = b;
	if (x->job_num != y->job_num)
		return x->job_num < y->job_num ? -1 : 1;
	return (x->num > y->num) - (x->num < y->num);
}

static const struct task *task_of(const struct tasks *ts, const struct failure *f)
{
	const struct task key = { .job_num = f->job, .num = f->task };
	return ts->n ? bsearch(&key, ts->v, ts->n, sizeof(key), by_number) : NULL;
}

static struct actions all_actions(const struct view *v)
{
	struct actions all = { loom_calloc(v->tasks->n + v->n_failures + 1, sizeof(*all.v)), 0 };
	for (size_t i = 0; i < v->tasks->n; i++) {
		const struct task *t = &v->tasks->v[i];
		if (t->state == TASK_RUNNING || t->state == TASK_COMPLETE)
			all.v[all.n++] = (struct action){ t, NULL, t->node_id, t->submit_time };
	}
	for (size_t i = 0; i < v->n_failures; i++) {
		const struct failure *f = &v->failures[i];
		const struct task *t = task_of(v->tasks, f);
		if (t)
			all.v[all.n++] = (struct action){ t, f, f->node ? f->node : t->node_id,
				                          f->submit_time };
	}
	qsort(all.v, all.n, sizeof(*all.v), by_node_and_time);
	return all;
}

static struct json *actions_of(const struct actions *all, const struct node *n)
{
	const struct action key = { .node = n->id };
	const struct action *first =
		all->n ? bsearch(&key, all->v, all->n, sizeof(key), by_node) : NULL;
	const struct action *last = first, *end = all->v + all->n;
	if (!first)
		return json_new_arr();
	while (first > all->v && !by_node(first - 1, &key))
		first--;
	while (last < end && !by_node(last, &key))
		last++;
	if (last - first > MAX_ACTIONS)
		first = last - MAX_ACTIONS;
	struct json *out = json_new_arr();
	for (; first < last; first++)
		json_push(out, action_json(first));
	return out;
}

static struct json *node(const struct view *v, const struct expander *e, const struct actions *all,
                         const struct node *n)
{
	char id[ID_MAX];
	id_cluster(id, v->c->id);
	struct json *o = json_set_str(json_new_obj(), "id", n->id);
	json_set_str(o, "clusterId", id);
	struct json *services = json_new_arr(), *links = json_new_arr();
	for (size_t i = 0; i < json_len(n->services); i++) {
		const char *name = json_str(json_at(n->services, i));
		const struct json *doc = json_get(v->c->service_docs, name);
		struct json *shown =
			doc ? json_copy(doc) : json_set_str(json_new_obj(), "name", name);
		secrets_mask(shown);
		json_push(services, shown);
		LOOM_CLEANUP(json_free)
		struct json *l = expander_links(e, n->id, json_get(doc, "links"));
		for (size_t k = 0; k < json_len(l); k++)
			json_push(links, json_copy(json_at(l, k)));
	}
	json_set(o, "services", services);
	json_set(o, "properties", node_properties(n));
	json_set(o, "actions", actions_of(all, n));
	struct json *results = json_copy(n->results);
	secrets_mask(results);
	json_set(o, "provisionerResults", results);
	return json_set(o, "links", links);
}

static struct json *nodes(const struct view *v, const struct expander *e)
{
	struct json *list = json_new_arr();
	struct actions all = all_actions(v);
	for (size_t i = 0; i < v->nodes->n; i++)
		json_push(list, node(v, e, &all, &v->nodes->v[i]));
	loom_free(all.v);
	return list;
}

struct json *view_nodes(const struct view *v)
{
	LOOM_CLEANUP(expander_destroy)
	struct expander *e = expander_create(v->nodes, v->c->owner_id);
	return nodes(v, e);
}

struct json *view_details(const struct view *v)
{
	const struct cluster *c = v->c;
	struct json *o = cluster_shown(c);
	struct json *account = json_set_str(json_new_obj(), "userId", c->owner_id);
	json_set(o, "account", json_set_str(account, "tenantId", c->tenant_id));
	struct json *provider = json_copy(c->provider);
	secrets_mask(provider);
	json_set(o, "provider", provider);
	json_set(o, "clusterTemplate", json_copy(c->template));
	LOOM_CLEANUP(expander_destroy) struct expander *e = expander_create(v->nodes, c->owner_id);
	json_set(o, "nodes", nodes(v, e));
	char id[ID_MAX];
	id_job(id, c->id, v->latest->num);
	json_set_str(o, "latestJobId", id);
	json_set(o, "operations", operations_possible(cluster_status_name(c->status)));
	json_set(o, "config", json_copy(c->config));
	json_set(o, "links", expander_links(e, NULL, json_get(c->template, "links")));
	json_set(o, "progress", progress(v->latest));
	json_set_str(o, "message", c->message ? c->message : v->latest->message);
	return json_set_int(o, "lastEvent", c->event_seq);
}

struct json *view_plan(const struct job *j, const struct tasks *ts)
{
	char id[ID_MAX];
	id_job(id, j->cluster_id, j->num);
	struct json *o = json_set_str(json_new_obj(), "id", id);
	id_cluster(id, j->cluster_id);
	json_set_str(o, "clusterId", id);
	char action[sizeof(j->action)];
	size_t n = 0;
	for (; j->action[n]; n++)
		action[n] = (char)toupper((unsigned char)j->action[n]);
	action[n] = '\0';
	json_set_str(o, "action", action);
	struct json *stages = json_new_arr();
	int64_t current = -1, last = -1;
	for (int64_t stage = 0, seen = 0; seen < (int64_t)ts->n; stage++) {
		struct json *s = json_new_arr();
		for (size_t i = 0; i < ts->n; i++) {
			const struct task *t = &ts->v[i];
			if (t->stage != stage)
				continue;
			seen++;
			last = stage;
			if (current < 0 && t->state < TASK_COMPLETE)
				current = stage;
			id_task(id, t->cluster_id, t->job_num, t->num);
			struct json *e = json_set_str(json_new_obj(), "id", id);
			json_set_str(e, "taskName", t->name);
			json_set_str(e, "nodeId", t->node_id);
			json_push(s, json_set_str(e, "service", t->service));
		}
		json_push(stages, s);
	}
	json_set_int(o, "currentStage", current >= 0 ? current : last > 0 ? last : 0);
	return json_set(o, "stages", stages);
}
