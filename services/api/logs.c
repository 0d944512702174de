/* SPDX-License-Identifier: Apache-2.0 */
/* logs - what a task's plug-in writes: posted in pieces by provisioners, read and followed by
 * users. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/task.h"
#include "common/model/tasklog.h"
#include "services/api/visible.h"
#include "services/api/watch.h"

#include <stdio.h>
#include <string.h>

#define PIECE (256 << 10)

struct post {
	struct api *a;
	struct task_ref ref;
	struct json *body;
	bool ok;
};

static int post_tx(struct db *db, void *arg)
{
	struct post *p = arg;
	const struct json *data = json_get(p->body, "data");
	struct tasklog_at at = { p->ref, json_get_int(p->body, "attempt", 0),
		                 json_get_int(p->body, "offset", 0) };
	struct tasklog_piece piece = { json_get_str(p->body, "provisionerId"), json_str(data),
		                       json_str_len(data) };
	return tasklog_add(db, &at, &piece, &p->ok);
}

void logs_post(struct http_req *req, void *ctx)
{
	struct post p = { .a = ctx };
	struct loom_err err;
	const char *task = http_param(req, "id");
	if (id_parse_task(task, &p.ref)) {
		http_reply_problem(req, 400, "'%.64s' is not the id of a task", task);
		return;
	}
	if (http_body_json(req, &p.body, &err))
		return;
	if (!json_get_str(p.body, "provisionerId") ||
	    !json_is(json_get(p.body, "data"), JSON_STRING) ||
	    json_get_int(p.body, "attempt", 0) < 1 || json_get_int(p.body, "offset", -1) < 0) {
		http_reply_problem(
			req, 400,
			"a log piece has provisionerId, attempt (from 1), offset and data");
		json_free(p.body);
		return;
	}
	int rc = db_tx(p.a->db, post_tx, &p);
	if (rc)
		api_reply_db(req, rc);
	else if (!p.ok)
		http_reply_text(req, 417, "the attempt is not held by this provisioner");
	else
		http_reply_empty(req, 200);
	if (!rc && p.ok)
		peers_log_grew(p.a, task);
	json_free(p.body);
}

struct log_watch {
	struct watch w;
	struct tasklog_at at;
	bool follow, over;
	struct buf piece;
};

/* Whether the attempt is over is read before the log, so that its end is not missed. */
static int log_read(struct db *db, void *arg)
{
	struct log_watch *lw = arg;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = task_get(db, &lw->at.ref, &ts);
	if (rc)
		return rc;
	const struct task *t = ts->n ? &ts->v[0] : NULL;
	bool over = !lw->follow || !t || t->attempt != lw->at.attempt || t->state != TASK_RUNNING;
	buf_fini(&lw->piece);
	lw->piece = BUF_INIT(PIECE + TASKLOG_MAX);
	int64_t end = lw->at.pos;
	rc = tasklog_read(db, &lw->at, PIECE, &lw->piece, &end);
	lw->over = over && end == lw->at.pos;
	return rc;
}

static int log_read_piece(struct watch *w, struct db_pool *p, bool *more)
{
	struct log_watch *lw = (struct log_watch *)w;
	int rc = db_read(p, log_read, lw);
	*more = !rc && (lw->piece.len || !lw->follow);
	return rc;
}

static long log_write_piece(struct watch *w)
{
	struct log_watch *lw = (struct log_watch *)w;
	long unsent = lw->piece.len ? http_stream_write(w->req, lw->piece.data, lw->piece.len) : 0;
	lw->at.pos += (int64_t)lw->piece.len;
	return lw->over ? -1 : unsent;
}

static void log_free_watch(struct watch *w)
{
	struct log_watch *lw = (struct log_watch *)w;
	buf_fini(&lw->piece);
	loom_free(lw);
}

static const struct watch_ops log_ops = { .read = log_read_piece,
	                                  .write = log_write_piece,
	                                  .free = log_free_watch };

struct find {
	struct log_watch *lw;
	int64_t tail;
};

static int find_read(struct db *db, void *arg)
{
	struct find *f = arg;
	struct log_watch *lw = f->lw;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = visible_get(db, &lw->w.who, lw->at.ref.cluster, &c);
	if (!rc)
		rc = task_get(db, &lw->at.ref, &ts);
	if (rc)
		return rc;
	if (!ts->n)
		return TASK_E_NONE;
	if (!lw->at.attempt)
		lw->at.attempt = ts->v[0].attempt;
	if (!lw->at.attempt || lw->at.attempt > ts->v[0].attempt)
		return TASK_E_UNSTARTED;
	int64_t size;
	rc = tasklog_size(db, &lw->at, &size);
	if (!rc && f->tail >= 0 && size > f->tail)
		lw->at.pos = size - f->tail;
	return rc;
}

static void start_on_loop(struct http_req *req LOOM_UNUSED, void *arg)
{
	watch_start(arg, "text/plain; charset=utf-8");
}

/* A whole number from min in a query parameter; def when absent; false after answering 400. */
static bool number(struct http_req *req, const char *name, int64_t min, int64_t def, int64_t *ret)
{
	const char *v = http_query(req, name);
	*ret = def;
	if (!v || (!str_to_int(v, ret) && *ret >= min))
		return true;
	http_reply_problem(req, 400, "%s '%.32s' must be a whole number from %lld", name, v,
	                   (long long)min);
	return false;
}

static bool begin(struct http_req *req, struct log_watch *lw, int64_t *tail)
{
	const char *task = http_param(req, "id");
	if (!auth(lw->w.a, req, ROLE_USER, &lw->w.who))
		return false;
	if (id_parse_task(task, &lw->at.ref)) {
		http_reply_problem(req, 400, "'%.64s' is not the id of a task", task);
		return false;
	}
	id_task(lw->w.task, lw->at.ref.cluster, lw->at.ref.job, lw->at.ref.task);
	const char *follow = http_query(req, "follow");
	lw->follow = follow && !str_eq(follow, "0") && !str_eq(follow, "false");
	lw->w.cluster = lw->at.ref.cluster;
	return number(req, "attempt", 1, 0, &lw->at.attempt) && number(req, "tail", 0, -1, tail);
}

void logs_get(struct http_req *req, void *ctx)
{
	struct log_watch *lw = loom_calloc(1, sizeof(*lw));
	lw->w = (struct watch){ .ops = &log_ops, .a = ctx, .req = req };
	struct find f = { .lw = lw };
	if (!begin(req, lw, &f.tail)) {
		loom_free(lw);
		return;
	}
	int rc = db_read(lw->w.a->db, find_read, &f);
	if (!rc) {
		http_defer(req, start_on_loop, lw);
		return;
	}
	if (rc == TASK_E_NONE)
		http_reply_problem(req, 404, "there is no task %s", lw->w.task);
	else if (rc == TASK_E_UNSTARTED)
		http_reply_problem(req, 404, "task %s has not run that attempt yet", lw->w.task);
	else
		visible_refuse(req, rc, lw->at.ref.cluster);
	loom_free(lw);
}
