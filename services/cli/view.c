/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a watched cluster: a pure reducer over its events. */
#include "services/cli/view.h"

#include "common/base/clock.h"
#include "common/operation/operation.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void set(char **at, const char *s)
{
	if (!s)
		return;
	loom_free(*at);
	*at = loom_strdup(s);
}

static void set_lower(char **at, const char *s)
{
	set(at, s);
	for (char *p = s ? *at : NULL; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static void task_free(void *p)
{
	struct view_task *s = p;
	loom_free(s->id);
	loom_free(s->name);
	loom_free(s->service);
	loom_free(s);
}

static void node_free(void *p)
{
	struct view_node *n = p;
	loom_free(n->id);
	loom_free(n->hostname);
	loom_free(n->address);
	loom_free(n);
}

static void failure_fini(struct view_failure *f)
{
	loom_free(f->task);
	loom_free(f->what);
	loom_free(f->host);
	loom_free(f->message);
	memset(f, 0, sizeof(*f));
}

static void forget_failures(struct view *v)
{
	for (size_t i = 0; i < v->n_failures; i++)
		failure_fini(&v->failures[i]);
	v->n_failures = 0;
}

void view_init(struct view *v)
{
	memset(v, 0, sizeof(*v));
	v->node_by_id = map_create(node_free);
	v->task_by_id = map_create(task_free);
	char **const texts[] = { &v->status, &v->message, &v->job, &v->action, &v->job_status };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		*texts[i] = loom_strdup("");
}

void view_fini(struct view *v)
{
	char *const texts[] = { v->status, v->message, v->job, v->action, v->job_status };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		loom_free(texts[i]);
	forget_failures(v);
	map_destroy(v->task_by_id);
	map_destroy(v->node_by_id);
	loom_free(v->nodes);
	memset(v, 0, sizeof(*v));
}

void view_change_fini(struct view_change *c)
{
	loom_free(c->subject);
	loom_free(c->text);
	memset(c, 0, sizeof(*c));
}

/* ---- finding --------------------------------------------------------------------------------- */

static int by_num(const void *a, const void *b)
{
	const struct view_node *const *x = a, *const *y = b;
	if ((*x)->num != (*y)->num)
		return (*x)->num < (*y)->num ? -1 : 1;
	return strcmp((*x)->id, (*y)->id);
}

static void sort_nodes(struct view *v)
{
	qsort(v->nodes, v->n_nodes, sizeof(v->nodes[0]), by_num);
}

/* The node that an event names, created if it is new; NULL when it names none. */
static struct view_node *node_of(struct view *v, const struct json *data)
{
	const char *id = json_get_str(data, "nodeId");
	if (!id)
		return NULL;
	struct view_node *n = map_get(v->node_by_id, id);
	bool fresh = !n;
	if (fresh) {
		n = loom_calloc(1, sizeof(*n));
		n->id = loom_strdup(id);
		n->hostname = loom_strdup("");
		n->address = loom_strdup("");
		map_set(v->node_by_id, id, n);
		v->nodes = loom_realloc(v->nodes, (v->n_nodes + 1) * sizeof(v->nodes[0]));
		v->nodes[v->n_nodes++] = n;
	}
	set(&n->hostname, json_get_str(data, "hostname"));
	n->num = json_get_int(data, "nodenum", n->num);
	if (fresh)
		sort_nodes(v);
	return n;
}

static struct view_task *task_of(struct view *v, const struct json *data)
{
	const char *id = json_get_str(data, "taskId");
	if (!id)
		return NULL;
	struct view_task *s = map_get(v->task_by_id, id);
	if (!s) {
		s = loom_calloc(1, sizeof(*s));
		s->id = loom_strdup(id);
		s->name = loom_strdup("");
		s->service = loom_strdup("");
		map_set(v->task_by_id, id, s);
	}
	set_lower(&s->name, json_get_str(data, "taskName"));
	set(&s->service, json_get_str(data, "service"));
	struct view_node *n = node_of(v, data);
	if (n && !s->node)
		n->total++;
	s->node = s->node ? s->node : n;
	return s;
}

/* ---- what events do -------------------------------------------------------------------------- */

static void say(struct view_change *c, const char *subject, char *text)
{
	if (c) {
		c->subject = loom_strdup(subject);
		c->text = text;
	} else {
		loom_free(text);
	}
}

static bool is_pending(const struct view *v)
{
	return str_eq(v->status, "pending");
}

static void on_cluster(struct view *v, const struct json *data, struct view_change *c)
{
	const char *status = json_get_str(data, "status");
	const char *message = json_get_str(data, "message");
	bool news = status && !str_eq(status, v->status);
	bool begins = news && str_eq(status, "pending");
	set(&v->status, status);
	set(&v->message, message ? message : "");
	if (begins) {
		v->started = v->time;
		forget_failures(v);
	}
	v->ended = is_pending(v) ? 0 : news || !v->ended ? v->time : v->ended;
	if (news || message)
		say(c, "cluster",
		    message ? loom_asprintf("%s: %s", v->status, message) : loom_strdup(v->status));
}

static void start_job(struct view *v, const char *id)
{
	if (!id || str_eq(id, v->job))
		return;
	set(&v->job, id);
	set(&v->job_status, "");
	v->tasks = v->tasks_done = 0;
	map_destroy(v->task_by_id);
	v->task_by_id = map_create(task_free);
	for (size_t i = 0; i < v->n_nodes; i++) {
		v->nodes[i]->now = NULL;
		v->nodes[i]->total = v->nodes[i]->done = v->nodes[i]->dropped = 0;
	}
}

static void on_job(struct view *v, const struct json *data, struct view_change *c)
{
	const char *status = json_get_str(data, "status");
	const char *message = json_get_str(data, "message");
	start_job(v, json_get_str(data, "jobId"));
	bool news = status && !str_eq(status, v->job_status);
	set(&v->job_status, status);
	set_lower(&v->action, json_get_str(data, "action"));
	v->tasks = json_get_int(data, "stepstotal", v->tasks);
	v->tasks_done = json_get_int(data, "stepscompleted", v->tasks_done);
	if (message)
		set(&v->message, message);
	if (news && !str_eq(status, "not_submitted"))
		say(c, v->action,
		    message ? loom_asprintf("%s: %s", status, message) : loom_strdup(status));
}

static void say_planned(struct view *v, struct view_change *c, int64_t tasks, int64_t nodes)
{
	say(c, v->action,
	    loom_asprintf("planned: %lld task%s on %lld node%s", (long long)tasks,
	                  tasks == 1 ? "" : "s", (long long)nodes, nodes == 1 ? "" : "s"));
}

static void on_plan(struct view *v, const struct json *data, struct view_change *c)
{
	const struct json *nodes = json_get(data, "nodes"), *tasks = json_get(data, "tasks");
	start_job(v, json_get_str(data, "jobId"));
	set_lower(&v->action, json_get_str(data, "action"));
	for (size_t i = 0; i < json_len(nodes); i++)
		node_of(v, json_at(nodes, i));
	for (size_t i = 0; i < json_len(tasks); i++)
		task_of(v, json_at(tasks, i));
	sort_nodes(v);
	if (json_get_int(data, "part", 1) > 1)
		return;
	if (json_len(tasks) && json_len(nodes))
		say_planned(v, c, json_get_int(data, "taskstotal", (int64_t)json_len(tasks)),
		            json_get_int(data, "nodestotal", (int64_t)json_len(nodes)));
	else if (json_len(tasks))
		say(c, v->action, loom_asprintf("%zu tasks more", json_len(tasks)));
}

static void on_node(struct view *v, const struct json *data, struct view_change *c)
{
	struct view_node *n = node_of(v, data);
	const struct json *addresses = json_get(data, "ipaddresses");
	const char *address = json_get_str(addresses, "access_v4");
	if (!address)
		address = json_str(json_value_at(addresses, 0));
	if (!n || !address || str_eq(address, n->address))
		return;
	set(&n->address, address);
	say(c, n->hostname, loom_asprintf("address %s", address));
}

/* Another node replaces one that could not be created, and takes over its tasks. */
static void on_replace(struct view *v, const struct json *data, struct view_change *c)
{
	struct view_node *old = node_of(v, data), *new = node_of(v, json_get(data, "by"));
	const struct json *moved = json_get(data, "moved");
	for (size_t i = 0; new &&i < json_len(moved); i++) {
		struct view_task *s = map_get(v->task_by_id, json_str(json_at(moved, i)));
		if (!s || s->node == new)
			continue;
		if (s->node && s->node->now == s)
			s->node->now = NULL;
		if (s->node)
			s->node->total--;
		s->node = new;
		new->total++;
	}
	const char *why = json_get_str(data, "message");
	if (old && new)
		say(c, old->hostname,
		    loom_asprintf("replaced by %s: %s", new->hostname, why ? why : ""));
}

static void on_lease(struct view *v LOOM_UNUSED, const struct json *data, struct view_change *c)
{
	char end[32];
	clock_format(json_get_int(data, "expireTime", 0), end);
	const char *what = json_get_bool(data, "expired", false)   ? "lease over since"
	                   : json_get_bool(data, "warning", false) ? "lease nearly over, it ends at"
	                                                           : "lease ends at";
	say(c, "cluster", loom_asprintf("%s %.19sZ", what, end));
}

static void on_template(struct view *v LOOM_UNUSED, const struct json *data, struct view_change *c)
{
	const char *name = json_get_str(data, "template");
	say(c, "cluster",
	    loom_asprintf("follows version %lld of template %s",
	                  (long long)json_get_int(data, "version", 0), name ? name : "?"));
}

static void on_labels(struct view *v LOOM_UNUSED, const struct json *data, struct view_change *c)
{
	const struct json *labels = json_get(data, "labels");
	LOOM_CLEANUP(strs_fini) struct strs all = { 0 };
	for (size_t i = 0; i < json_len(labels); i++)
		strs_addf(&all, "%s=%s", json_key_at(labels, i),
		          json_str(json_value_at(labels, i)));
	LOOM_CLEANUP_STR char *text = strs_join(&all, ", ");
	say(c, "cluster", loom_asprintf("labels: %s", all.n ? text : "none"));
}

static enum view_state state_named(const char *name)
{
	static const char *const names[] = {
		[VIEW_WAITING] = "waiting", [VIEW_READY] = "ready",   [VIEW_RUNNING] = "running",
		[VIEW_RETRY] = "retry",     [VIEW_DONE] = "complete", [VIEW_FAILED] = "failed",
		[VIEW_DROPPED] = "dropped",
	};
	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		if (str_eq(name, names[i]))
			return (enum view_state)i;
	}
	return VIEW_WAITING;
}

static void remember_failure(struct view *v, const struct view_task *s, const struct json *data)
{
	if (v->n_failures == VIEW_FAILURES) {
		failure_fini(&v->failures[0]);
		memmove(&v->failures[0], &v->failures[1],
		        (VIEW_FAILURES - 1) * sizeof(v->failures[0]));
		v->n_failures--;
	}
	const char *message = json_get_str(data, "message");
	v->failures[v->n_failures++] = (struct view_failure){
		.task = loom_strdup(s->id),
		.what = view_task_name(s),
		.host = loom_strdup(s->node ? s->node->hostname : ""),
		.message = loom_strdup(message ? message : ""),
		.time = v->time,
		.attempt = s->attempt,
		.last = s->state == VIEW_FAILED,
	};
}

static void count(struct view_node *n, enum view_state s, int by)
{
	if (s == VIEW_DONE)
		n->done += (size_t)by;
	else if (s == VIEW_DROPPED)
		n->dropped += (size_t)by;
}

static void move_task(struct view *v, struct view_task *s, enum view_state to)
{
	bool ran = s->state == VIEW_RUNNING;
	if (s->node) {
		count(s->node, s->state, -1);
		count(s->node, to, 1);
		if (to != VIEW_DROPPED && to != VIEW_WAITING)
			s->node->now = s;
	}
	if (ran && to != VIEW_RUNNING)
		s->took = v->time - s->since;
	s->state = to;
	s->since = v->time;
}

static char *task_text(const struct view_task *s, const struct json *data)
{
	LOOM_CLEANUP_STR char *name = view_task_name(s);
	const char *message = json_get_str(data, "message");
	switch (s->state) {
	case VIEW_RUNNING:
		return s->attempt > 1 ? loom_asprintf("%s: running, attempt %lld", name,
		                                      (long long)s->attempt)
		                      : loom_asprintf("%s: running", name);
	case VIEW_DONE:
		return loom_asprintf("%s: done", name);
	case VIEW_RETRY:
	case VIEW_FAILED:
		return loom_asprintf("%s: %s%s%s", name,
		                     s->state == VIEW_RETRY ? "failed, to be tried again"
		                                            : "failed",
		                     message ? ": " : "", message ? message : "");
	case VIEW_DROPPED:
		return loom_asprintf("%s: not needed any more", name);
	case VIEW_READY:
	case VIEW_WAITING:
	default:
		return NULL;
	}
}

static void on_task(struct view *v, const struct json *data, struct view_change *c)
{
	struct view_task *s = task_of(v, data);
	if (!s)
		return;
	s->attempt = json_get_int(data, "attempt", s->attempt);
	s->retry_at = json_get_int(data, "retryAt", 0);
	move_task(v, s, state_named(json_get_str(data, "state")));
	if (s->state == VIEW_RETRY || s->state == VIEW_FAILED)
		remember_failure(v, s, data);
	char *text = task_text(s, data);
	if (text)
		say(c, s->node ? s->node->hostname : "", text);
	if (c && (s->state == VIEW_DONE || s->state == VIEW_RETRY || s->state == VIEW_FAILED))
		c->took = s->took;
}

void view_apply(struct view *v, int64_t id, const char *type, const struct json *data,
                struct view_change *change)
{
	static const struct {
		const char *type;
		void (*fn)(struct view *, const struct json *, struct view_change *);
	} handlers[] = {
		{ "cluster", on_cluster },   { "job", on_job },         { "plan", on_plan },
		{ "task", on_task },         { "node", on_node },       { "lease", on_lease },
		{ "template", on_template }, { "replace", on_replace }, { "labels", on_labels },
	};
	if (change)
		*change = (struct view_change){ .took = -1 };
	if (id >= 0 && id <= v->seq)
		return;
	v->seq = id >= 0 ? id : v->seq;
	v->time = json_get_int(data, "time", v->time);
	if (!v->started)
		v->started = v->time;
	for (size_t i = 0; i < LOOM_COUNT(handlers); i++) {
		if (str_eq(type, handlers[i].type))
			handlers[i].fn(v, data, change);
	}
	if (change)
		change->time = v->time;
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool job_over(const struct view *v)
{
	return str_eq(v->job_status, "complete") || str_eq(v->job_status, "failed");
}

bool view_at_rest(const struct view *v)
{
	return *v->status && !is_pending(v) && (job_over(v) || !*v->job);
}

bool view_succeeded(const struct view *v)
{
	if (str_eq(v->status, "terminated"))
		return str_eq(v->action, "cluster_delete");
	return str_eq(v->status, "active") && !str_eq(v->job_status, "failed");
}

size_t view_removed(const struct view *v)
{
	size_t n = 0;
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct view_task *s = v->nodes[i]->now;
		n += s && s->state == VIEW_DONE && str_eq(s->name, "delete");
	}
	return n;
}

size_t view_total(const struct view *v)
{
	size_t n = map_count(v->task_by_id);
	return v->tasks > (int64_t)n ? (size_t)v->tasks : n;
}

size_t view_done(const struct view *v)
{
	size_t n = 0;
	if (str_eq(v->job_status, "complete"))
		return view_total(v);
	for (size_t i = 0; i < v->n_nodes; i++)
		n += v->nodes[i]->done;
	n = v->tasks_done > (int64_t)n ? (size_t)v->tasks_done : n;
	return n > view_total(v) ? view_total(v) : n;
}

const char *view_doing(const struct view *v)
{
	const struct operation_kind *k = operation_kind_of_action(v->action);
	return k ? k->doing : v->action;
}

char *view_task_name(const struct view_task *s)
{
	return *s->service ? loom_asprintf("%s %s", s->name, s->service) : loom_strdup(s->name);
}

const struct view_failure *view_last_failure(const struct view *v)
{
	for (size_t i = v->n_failures; i; i--) {
		if (v->failures[i - 1].last)
			return &v->failures[i - 1];
	}
	return v->n_failures ? &v->failures[v->n_failures - 1] : NULL;
}
