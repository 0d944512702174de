/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshots - everything that a page shows of a cluster at one moment, with the number of the last
 * event included: a reader that goes on with the events after it misses nothing, and need not read
 * all old ones.
 */
#include "services/api/resources.h"

#include "common/base/map.h"
#include "common/json/json_emit.h"
#include "common/model/cluster/task.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"

#include <string.h>

#define RECENT       400 /* newest events, all sent; of older ones only what matters */
#define SNAPSHOT_MAX ((size_t)64 << 20)

struct snapshot {
	int64_t id, last; /* last: the newest event included */
	struct buf out;
	bool brief;        /* tasks of plans without node ids and dependencies */
	struct map *nodes; /* number of a node -> its id, from the plans so far */
	char *job; /* start of the last job event's data, up to its figures: job, action, state */
};

static void fini(struct snapshot *s)
{
	buf_fini(&s->out);
	loom_free(s->job);
	s->job = NULL;
	map_destroy(s->nodes);
	s->nodes = NULL;
}

static const char *number_of(const struct json *node_or_task)
{
	return json_get_str(node_or_task, "nodenum");
}

/* Node ids make up most of a large plan, repeated in each task, and random ids do not compress. A
 * reader can derive them from the node numbers in the plan. Returns owned, NULL when the plan is to
 * be sent unchanged. */
static char *brief_plan(struct snapshot *s, const char *data)
{
	LOOM_CLEANUP(json_free) struct json *plan = NULL;
	if (json_parse_str(data, &plan, NULL) != 0)
		return NULL;
	const struct json *nodes = json_get(plan, "nodes"), *tasks = json_get(plan, "tasks");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const char *num = number_of(json_at(nodes, i));
		const char *id = json_get_str(json_at(nodes, i), "nodeId");
		if (num && id)
			map_set(s->nodes, num, loom_strdup(id));
	}
	for (size_t i = 0; i < json_len(tasks); i++) {
		struct json *t = json_at(tasks, i);
		const char *num = number_of(t);
		const char *known = num ? map_get(s->nodes, num) : NULL;
		if (known && str_eq(known, json_get_str(t, "nodeId")))
			json_del(t, "nodeId");
		json_del(t, "after");
	}
	return json_text(plan);
}

static int add_event(const struct event *e, void *arg)
{
	struct snapshot *s = arg;
	if (e->seq > s->last) /* newer than the snapshot: the reader gets it with the events */
		return 1;
	bool plan = s->brief && str_eq(e->type, "plan");
	LOOM_CLEANUP_STR char *brief = plan ? brief_plan(s, e->data) : NULL;
	if (s->out.data[s->out.len - 1] != '[')
		buf_addc(&s->out, ',');
	buf_addc(&s->out, '{');
	json_emit_int(&s->out, "seq", e->seq);
	json_emit_str(&s->out, "type", e->type);
	json_emit_text(&s->out, "data", brief ? brief : e->data);
	buf_addc(&s->out, '}');
	return s->out.full;
}

/* The tasks show a job's progress, so of old job events only changes of state are included. */
static int add_old_event(const struct event *e, void *arg)
{
	struct snapshot *s = arg;
	const char *figures =
		strcmp(e->type, "job") == 0 ? strstr(e->data, "\"stepstotal\"") : NULL;
	if (figures) {
		size_t n = (size_t)(figures - e->data);
		if (s->job && strlen(s->job) == n && strncmp(s->job, e->data, n) == 0)
			return 0;
		loom_free(s->job);
		s->job = loom_strndup(e->data, n);
	}
	return add_event(e, s);
}

/* Adds each task's state as its newest event has it, with its start and worker, but without what
 * the plan says already. Waiting tasks are left out: they are as planned. */
static void add_tasks(struct snapshot *s, const struct tasks *ts)
{
	struct buf *out = &s->out;
	char id[ID_MAX];
	for (size_t i = 0; i < ts->n; i++) {
		const struct task *t = &ts->v[i];
		if (t->state == TASK_BLOCKED && t->failures + t->losses == 0)
			continue;
		if (out->data[out->len - 1] != '[')
			buf_addc(out, ',');
		buf_addc(out, '{');
		id_task(id, t->cluster_id, t->job_num, t->num);
		json_emit_str(out, "taskId", id);
		task_emit_state(out, t, t->state == TASK_RUNNING ? t->submit_time : t->status_time);
		json_emit_int(out, "started", t->submit_time);
		json_emit_str(out, "worker", t->provisioner_id);
		buf_addc(out, '}');
	}
}

static void add_cluster(struct snapshot *s, const struct cluster *c)
{
	LOOM_CLEANUP(json_free) struct json *o = cluster_shown(c);
	json_set(o, "provider", json_copy(json_get(c->brief, "provider")));
	json_set(o, "clusterTemplate", json_copy(json_get(c->brief, "clusterTemplate")));
	json_set_str(o, "message", c->message);
	json_set_int(o, "lastEvent", c->event_seq);
	json_emit_value(&s->out, "cluster", o);
}

static int snapshot_read(struct db *db, void *arg)
{
	struct snapshot *s = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	fini(s);
	s->out = BUF_INIT(SNAPSHOT_MAX);
	s->nodes = map_create(loom_free);
	int rc = cluster_get(db, s->id, &c);
	if (rc)
		return rc;
	s->last = c->event_seq;
	int64_t recent = c->event_seq > RECENT ? c->event_seq - RECENT : 0;
	buf_addc(&s->out, '{');
	add_cluster(s, c);
	buf_adds(&s->out, ",\"before\":[");
	rc = cluster_events_but_tasks(db, s->id, recent, add_old_event, s);
	buf_adds(&s->out, "],\"recent\":[");
	if (!rc)
		rc = cluster_events(db, s->id, recent, RECENT, add_event, s);
	buf_adds(&s->out, "],\"tasks\":[");
	if (!rc)
		rc = tasks_load(db, s->id, 0, &ts);
	if (!rc)
		add_tasks(s, ts);
	buf_adds(&s->out, "]}");
	return rc;
}

void snapshots_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct snapshot s = { .id = request_cluster(req),
		              .brief = str_eq(http_query(req, "plans"), "brief") };
	int rc = db_read(a->db, snapshot_read, &s);
	if (rc)
		visible_refuse(req, rc, s.id);
	else if (s.out.full)
		http_reply_problem(req, 500,
		                   "the history of cluster %08lld is too long to be shown",
		                   (long long)s.id);
	else
		http_reply(req, 200, "application/json", s.out.data, s.out.len);
	fini(&s);
}
