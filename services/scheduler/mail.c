/* SPDX-License-Identifier: Apache-2.0 */
/* mail - claims the requests posted by APIs, and writes the answers. Looks again soon while there
 * are any. */
#include "services/scheduler/mail.h"

#include "common/base/log.h"
#include "common/model/mail.h"

#include <stdio.h>

/* An eighth of the default poll_ms: while the bus is away a request waits up to this long, and a
 * look is one short SELECT. */
#define SOON_MS 250

struct postman {
	struct scheduler *s;
	struct seal_key key;
	struct loop_timer *soon;
	struct mails mails;
	bool looking, waits;
	int rc;
	size_t answering; /* calls not yet answered, answers not yet written */
};

struct reply {
	struct scheduler *s;
	char id[MAIL_ID_MAX];
	char *text;
};

static void reply_free(struct reply *r)
{
	r->s->postman->answering--;
	loom_free(r->text);
	loom_free(r);
}

static int write_tx(struct db *db, void *arg)
{
	const struct reply *r = arg;
	return mail_write_answer(db, &r->s->postman->key, r->id, r->text);
}

static void write_reply(void *arg)
{
	const struct reply *r = arg;
	if (db_tx(r->s->db, write_tx, arg))
		log_warn("an answer by way of the database is lost", LOG_S("mail", r->id));
}

static void written(void *arg)
{
	reply_free(arg);
}

static void answered(int error, const char *text, void *arg)
{
	struct reply *r = arg;
	r->text = error ? NULL : loom_strdup(text);
	if (!r->text || !r->s->pool || pool_submit(r->s->pool, write_reply, written, r))
		reply_free(r);
}

static int look_tx(struct db *db, void *arg)
{
	struct postman *p = arg;
	mails_fini(&p->mails);
	int rc = mail_waits(db, &p->waits);
	return rc || !p->waits ? rc : mail_claim(db, &p->key, service_id(p->s->service), &p->mails);
}

static void look(void *arg)
{
	struct postman *p = arg;
	p->rc = db_tx(p->s->db, look_tx, p);
}

static void deliver(struct postman *p, const struct mail *m)
{
	struct json *body = NULL;
	if (json_parse_str(m->body, &body, NULL))
		return;
	struct reply *r = loom_calloc(1, sizeof(*r));
	r->s = p->s;
	snprintf(r->id, sizeof(r->id), "%s", m->id);
	p->answering++;
	bus_deliver(p->s->bus, m->verb, body, answered, r);
}

static void looked(void *arg)
{
	struct postman *p = arg;
	p->looking = false;
	for (size_t i = 0; !p->rc && i < p->mails.n && !service_draining(p->s->service); i++)
		deliver(p, &p->mails.v[i]);
	if (!p->rc && p->mails.n)
		loop_timer_arm(p->soon, SOON_MS);
	mails_fini(&p->mails);
}

static void look_soon(void *arg)
{
	struct postman *p = arg;
	mail_look(p->s);
}

void mail_look(struct scheduler *s)
{
	struct postman *p = s->postman;
	if (p->looking || service_draining(s->service))
		return;
	p->looking = pool_submit(s->pool, look, looked, p) == 0;
}

int mail_start(struct scheduler *s, struct loom_err *err)
{
	struct postman *p = loom_calloc(1, sizeof(*p));
	p->s = s;
	s->postman = p;
	p->soon = loop_timer_create(s->loop, "mail", look_soon, p);
	return seal_key_init(s->cfg.bus.key_file, MAIL_USE, &p->key, err);
}

void mail_stop(struct scheduler *s)
{
	struct postman *p = s->postman;
	if (!p)
		return;
	loom_assert(!p->answering); /* bus_destroy() has ended all calls */
	loop_timer_destroy(p->soon);
	mails_fini(&p->mails);
	seal_key_fini(&p->key);
	loom_free(p);
	s->postman = NULL;
}
