/* SPDX-License-Identifier: Apache-2.0 */
/* Answers a list in pieces: read on workers, sent by the loop. */
#include "services/api/request/pieces.h"

#include "services/api/api.h"

void pieces_init(struct pieces *p, size_t max)
{
	p->text = BUF_INIT(max);
}

void pieces_fini(struct pieces *p)
{
	buf_fini(&p->text);
}

/* ---- a worker -------------------------------------------------------------------------------- */

void pieces_again(struct pieces *p)
{
	buf_cut(&p->text, p->written);
}

void pieces_add(struct pieces *p, const char *text, size_t len)
{
	buf_addc(&p->text, p->streaming || p->text.len ? ',' : p->object ? '{' : '[');
	buf_add(&p->text, text, len);
}

static void reply(struct http_req *req, struct pieces *p)
{
	if (!p->text.len && p->empty && p->empty(req, p))
		return;
	if (!p->text.len)
		buf_addc(&p->text, p->object ? '{' : '[');
	buf_addc(&p->text, p->object ? '}' : ']');
	if (p->head)
		p->head(req, p);
	http_reply(req, 200, "application/json", p->text.data, p->text.len);
}

static int read_piece(struct pieces *p)
{
	int rc = p->next(p);
	if (rc)
		return rc;
	p->written = p->text.len;
	return p->text.full ? DB_E_FATAL : 0;
}

static void go_on(struct http_req *req, void *arg);

static void add_piece(struct http_req *req, void *arg)
{
	struct pieces *p = arg;
	int rc = read_piece(p);
	p->failed = rc != 0;
	if (rc && !p->streaming && p->refuse)
		p->refuse(req, p, rc);
	else if (rc && !p->streaming)
		api_reply_db(req, rc);
	else if (p->over && !p->streaming)
		reply(req, p);
	else
		http_defer(req, go_on, p);
}

void pieces_answer(struct http_req *req, struct pieces *p)
{
	p->at_work = true;
	add_piece(req, p);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void more(struct http_req *req, void *arg)
{
	struct pieces *p = arg;
	p->at_work = true;
	http_to_pool(req, add_piece, p);
}

static void closed(struct http_req *req, void *arg)
{
	const struct pieces *p = arg;
	if (!p->at_work)
		http_stream_end(req);
}

static void send_piece(struct http_req *req, struct pieces *p)
{
	bool over = p->over;
	if (!p->streaming) {
		p->streaming = true;
		if (p->head)
			p->head(req, p);
		http_on_close(req, closed, p);
		http_stream_on_drained(req, more, p);
		p->at_work = true; /* closed() must not end the request within this call */
		http_stream_start(req, 200, "application/json");
		p->at_work = false;
	}
	if (over)
		buf_addc(&p->text, p->object ? '}' : ']');
	long rc = http_stream_write(req, p->text.data, p->text.len);
	buf_cut(&p->text, 0);
	p->written = 0;
	if (over || rc < 0)
		http_stream_end(req);
}

static void go_on(struct http_req *req, void *arg)
{
	struct pieces *p = arg;
	p->at_work = false;
	if (p->streaming && p->failed)
		http_stream_abort(req);
	else if (p->streaming && http_gone(req))
		http_stream_end(req);
	else if (http_gone(req))
		http_reply_empty(req, 503);
	else if (p->streaming ? p->text.len || p->over : p->text.len >= PIECES_AT_ONCE && !p->blind)
		send_piece(req, p);
	else
		more(req, p);
}
