/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view - the state of a cluster's work, rebuilt from its events alone. Pure.
 *
 * It shows the running job: a plan of another job resets it. An event number seen before is
 * ignored, so that a resumed stream may overlap.
 */
#ifndef LOOM_CLI_VIEW_H
#define LOOM_CLI_VIEW_H

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/json/json.h"

#define VIEW_FAILURES 8 /* kept */

enum view_state {
	VIEW_WAITING,
	VIEW_READY,
	VIEW_RUNNING,
	VIEW_RETRY,
	VIEW_DONE,
	VIEW_FAILED,
	VIEW_DROPPED
};

struct view_task {
	char *id, *name /* "install" */, *service /* "" for the node's own */;
	struct view_node *node; /* borrowed; NULL: unknown */
	enum view_state state;
	int64_t attempt, since /* in this state */, took /* of the last attempt, ms */, retry_at;
};

struct view_node {
	char *id, *hostname, *address;
	int64_t num;
	struct view_task *now; /* the task of the last event; borrowed */
	size_t total, done, dropped;
};

struct view_failure {
	char *task, *what, *host, *message;
	int64_t time, attempt;
	bool last; /* it will not be retried */
};

struct view {
	int64_t seq;     /* of the last event */
	int64_t started; /* when the job started, server's clock; 0: not yet */
	int64_t ended;   /* when the cluster came to rest; 0: not yet */
	int64_t time;    /* of the last event */
	char *status;    /* "" before the first event */
	char *message;   /* why it failed, or "" */
	char *job, *action, *job_status;
	int64_t tasks, tasks_done; /* as the job reports */
	struct map *node_by_id, *task_by_id;
	struct view_node **nodes; /* sorted by number */
	size_t n_nodes;
	struct view_failure failures[VIEW_FAILURES]; /* oldest first */
	size_t n_failures;
};

void view_init(struct view *v);
void view_fini(struct view *v);

/* The effect of an event, for printing events one by one; borrows from the view and the event. */
struct view_change {
	int64_t time;
	char *subject; /* owned: "web1-1000" or "cluster"; NULL: not worth a line */
	char *text;    /* owned: "install web: done", "active" */
	int64_t took;  /* ms, -1: none */
};
void view_change_fini(struct view_change *c);

/* Applies one event; id < 0: it has no number. change may be NULL. */
void view_apply(struct view *v, int64_t id, const char *type, const struct json *data,
                struct view_change *change);

bool view_at_rest(const struct view *v);   /* neither the cluster nor its job has work in
                                            * progress */
bool view_succeeded(const struct view *v); /* at rest with the result that its last job intended */
size_t view_removed(const struct view *v); /* nodes that the job deleted */
size_t view_total(const struct view *v);
size_t view_done(const struct view *v);
const char *view_doing(const struct view *v);    /* "creating", "deleting", "" */
char *view_task_name(const struct view_task *s); /* "install web". Returns owned. */
const struct view_failure *view_last_failure(const struct view *v);

#endif
