/* SPDX-License-Identifier: Apache-2.0 */
/* The slow way to a scheduler: posts a row, polls it for an answer, and deletes it. */
#include "services/api/mail.h"

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/model/mail.h"

#include <stdio.h>

#define LOOK_MS 300

struct letter {
	struct api *a;
	struct mail mail;
	struct seal_key *key;
	const struct message_type *type;
	bus_reply_cb cb; /* NULL: nobody waits for the answer any more */
	void *arg;
	struct loop_timer *look;
	bool posted, working, dropped;
	int rc;
	char *answer;
};

static void letter_free(struct letter *l)
{
	loop_timer_destroy(l->look);
	loom_free(l->mail.body);
	loom_free(l->answer);
	loom_free(l);
}

static int work_tx(struct db *db, void *arg)
{
	struct letter *l = arg;
	loom_free(l->answer);
	l->answer = NULL;
	if (l->dropped)
		return mail_drop(db, l->mail.id);
	return l->posted ? mail_answer(db, l->key, l->mail.id, &l->answer)
	                 : mail_post(db, l->key, &l->mail);
}

static void work(void *arg)
{
	struct letter *l = arg;
	l->rc = db_tx(l->a->db, work_tx, l);
}

static void next(struct letter *l);

static void *read_answer(const struct letter *l)
{
	struct json *body = NULL;
	struct loom_err err = { 0 };
	int rc = json_parse_str(l->answer, &body, &err);
	void *m = rc ? NULL : message_read_answer(l->type, body, &err);
	if (!m)
		log_warn("answer by mail refused", LOG_S("verb", l->type->verb),
		         LOG_S("reason", err.msg));
	return m;
}

static void worked(void *arg)
{
	struct letter *l = arg;
	l->working = false;
	if (l->dropped) {
		letter_free(l);
		return;
	}
	l->posted = l->posted || !l->rc;
	LOOM_CLEANUP(message_free) void *m = l->cb && l->answer ? read_answer(l) : NULL;
	if (m) {
		bus_reply_cb cb = l->cb;
		l->cb = NULL;
		l->working = true; /* the callback cancels the letter, which must survive that */
		cb(0, m, l->arg);
		l->working = false;
	}
	if (l->cb)
		loop_timer_arm(l->look, LOOK_MS);
	else
		next(l);
}

static void next(struct letter *l)
{
	if (l->working)
		return;
	l->dropped = !l->cb;
	if (l->dropped && (!l->posted || !l->a->pool)) { /* the row, if there is one, expires by
		                                          * itself */
		letter_free(l);
		return;
	}
	l->working = l->a->pool && pool_submit(l->a->pool, work, worked, l) == 0;
	if (!l->working)
		loop_timer_arm(l->look, LOOK_MS);
}

static void look(void *arg)
{
	next(arg);
}

struct letter *mail_send(struct api *a, const struct message_type *t, const char *text,
                         int64_t wait_ms, bus_reply_cb cb, void *arg)
{
	struct letter *l = loom_calloc(1, sizeof(*l));
	*l = (struct letter){ .a = a, .key = &a->mail_key, .type = t, .cb = cb, .arg = arg };
	id_random_hex(l->mail.id, (MAIL_ID_MAX - 1) / 2);
	snprintf(l->mail.verb, sizeof(l->mail.verb), "%s", t->verb);
	l->mail.wait_ms = wait_ms;
	l->mail.body = loom_strdup(text);
	l->look = loop_timer_create(a->loop, "mail", look, l);
	next(l);
	return l;
}

void mail_cancel(struct letter *l)
{
	l->cb = NULL;
	next(l);
}
