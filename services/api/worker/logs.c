/* SPDX-License-Identifier: Apache-2.0 */
/* logs - the output of a task's plug-in: posted in pieces by provisioners, read and followed by
 * users. */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/cluster/task.h"
#include "common/model/worker/tasklog.h"
#include "services/api/request/budget.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/watch/watch.h"
#include "services/api/worker/worker_call.h"

#include <stdio.h>
#include <string.h>

#define PIECE     (256 << 10) /* written at once */
#define OLD_PIECE (2 << 20)   /* a piece and a line, of older provisioners' larger pieces */

struct post {
	struct api *a;
	struct tasklog_at at;
	struct tasklog_piece piece;
	enum tasklog_writer writer;
	bool spare, in_order; /* spare: within the tenant's rate; in_order: the expected piece */
	int64_t end;
};

static int post_tx(struct db *db, void *arg)
{
	struct post *p = arg;
	char tenant[65];
	p->spare = p->in_order = true;
	int rc = tasklog_writer(db, &p->at, &p->piece, tenant, &p->writer);
	if (rc || p->writer != TASKLOG_OPEN)
		return rc;
	p->spare = !budget_take(p->a->log_budget, tenant, (int64_t)p->piece.len, clock_mono_ms());
	return p->spare ? tasklog_add(db, &p->at, &p->piece, &p->in_order, &p->end) : 0;
}

/* Validates a piece; returns what is wrong with it, or NULL. */
static const char *parse_post(const struct json *body, struct post *p)
{
	const struct json *data = json_get(body, "data");
	p->at.attempt = json_get_int(body, "attempt", 0);
	p->at.pos = json_get_int(body, "offset", -1);
	p->piece = (struct tasklog_piece){ .provisioner = json_get_str(body, "provisionerId"),
		                           .claim = json_get_str(body, "claim"),
		                           .dropped = json_get_int(body, "dropped", 0),
		                           .data = json_str(data),
		                           .len = json_str_len(data) };
	if (!p->piece.provisioner || !json_is(data, JSON_STRING) || p->at.attempt < 1 ||
	    p->at.pos < 0)
		return "a log piece has provisionerId, attempt (from 1), offset and data";
	if (p->at.pos > TASKLOG_END_MAX || p->piece.dropped < 0 || p->piece.dropped > p->at.pos)
		return "offset and dropped are positions in a log, at most 2^50, and as many bytes "
		       "as are missing before it";
	return NULL;
}

static void answer_post(struct http_req *req, const struct post *p)
{
	if (p->writer == TASKLOG_NOT_HELD)
		http_reply_text(req, 417, "the attempt is not held by this provisioner");
	else if (p->writer == TASKLOG_CLOSED)
		http_reply_problem(req, 409,
		                   "the attempt is over since more than %d ms: its log "
		                   "is closed",
		                   TASKLOG_GRACE_MS);
	else if (!p->spare)
		http_reply_problem(req, 429,
		                   "the tenant's tasks write more to their logs than "
		                   "is taken; try again, or drop some of it");
	else if (!p->in_order)
		http_reply_problem(req, 409, "the log goes on at offset %lld, not at %lld",
		                   (long long)p->end, (long long)p->at.pos);
	else
		http_reply_empty(req, 200);
}

void logs_post(struct http_req *req, void *ctx)
{
	struct post p = { .a = ctx };
	LOOM_CLEANUP(json_free) struct json *body = NULL;
	struct loom_err err;
	const char *task = http_param(req, "id");
	if (id_parse_task(task, &p.at.ref)) {
		http_reply_problem(req, 400, "'%.64s' is not the id of a task", task);
		return;
	}
	if (http_body_json(req, &body, &err))
		return;
	const char *wrong = parse_post(body, &p);
	if (wrong || p.piece.len > TASKLOG_PIECE) {
		http_reply_problem(req, wrong ? 400 : 413, "%s",
		                   wrong ? wrong : "a log piece may have 131072 bytes");
		return;
	}
	if (!worker_allowed(req, p.a, body))
		return;
	int rc = db_tx(p.a->db, post_tx, &p);
	if (rc)
		api_reply_db(req, rc);
	else
		answer_post(req, &p);
	if (!rc && p.writer == TASKLOG_OPEN && p.spare && p.in_order)
		peers_log_grew(p.a, task);
}

struct log_watch {
	struct watch w;
	struct tasklog_at at;
	bool follow, over;
	bool mid_line; /* the last write did not end with a line feed */
	struct tasklog_part part;
};

/* Reads first whether the attempt is over, and then the log, so that its end is not missed. */
static int log_read(struct db *db, void *arg)
{
	struct log_watch *lw = arg;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = task_get(db, &lw->at.ref, &ts);
	if (rc)
		return rc;
	const struct task *t = ts->n ? &ts->v[0] : NULL;
	bool over = !lw->follow || !t || t->attempt != lw->at.attempt || t->state != TASK_RUNNING;
	buf_fini(&lw->part.text);
	lw->part.text = BUF_INIT(PIECE + OLD_PIECE);
	rc = tasklog_read(db, &lw->at, lw->mid_line, PIECE, &lw->part);
	lw->over = over && lw->part.end == lw->at.pos;
	return rc;
}

static int log_read_piece(struct watch *w, struct db_pool *p, bool *more)
{
	struct log_watch *lw = (struct log_watch *)w;
	int rc = db_read(p, log_read, lw);
	*more = !rc && (lw->part.text.len || !lw->follow);
	return rc;
}

static long log_write_piece(struct watch *w)
{
	struct log_watch *lw = (struct log_watch *)w;
	const struct buf *text = &lw->part.text;
	long unsent = text->len ? http_stream_write(w->req, text->data, text->len) : 0;
	lw->at.pos = lw->part.end;
	lw->mid_line = lw->part.mid_line;
	return lw->over ? -1 : unsent;
}

static void log_free_watch(struct watch *w)
{
	struct log_watch *lw = (struct log_watch *)w;
	buf_fini(&lw->part.text);
	loom_free(lw);
}

static const struct watch_ops log_ops = { .read = log_read_piece,
	                                  .write = log_write_piece,
	                                  .free = log_free_watch };

struct find {
	struct log_watch *lw;
	int64_t tail;
	int64_t attempts; /* how many attempts there were */
};

static int find_read(struct db *db, void *arg)
{
	struct find *f = arg;
	struct log_watch *lw = f->lw;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = task_get(db, &lw->at.ref, &ts);
	if (rc)
		return rc;
	if (!ts->n)
		return TASK_E_NONE;
	f->attempts = ts->v[0].attempt;
	if (!lw->at.attempt)
		lw->at.attempt = ts->v[0].attempt;
	if (!lw->at.attempt || lw->at.attempt > ts->v[0].attempt)
		return TASK_E_UNSTARTED;
	return f->tail < 0 ? 0 : tasklog_tail(db, &lw->at, f->tail, &lw->at.pos);
}

static void start_on_loop(struct http_req *req LOOM_UNUSED, void *arg)
{
	watch_start(arg, "text/plain; charset=utf-8");
}

/* Reads a whole number of at least min from a query parameter; def when absent; false after
 * answering 400. */
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
	lw->w.who = *request_who(req);
	lw->at.ref = *request_task(req);
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
	else if (rc == TASK_E_UNSTARTED && !f.attempts)
		http_reply_problem(req, 404, "task %s has not begun yet: it has no log",
		                   lw->w.task);
	else if (rc == TASK_E_UNSTARTED)
		http_reply_problem(req, 404, "task %s has no attempt %lld: there %s %lld so far",
		                   lw->w.task, (long long)lw->at.attempt,
		                   f.attempts == 1 ? "was" : "were", (long long)f.attempts);
	else
		visible_refuse(req, rc, lw->at.ref.cluster);
	loom_free(lw);
}
