/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers as rows of one table, kept while somebody waits. */
#include "common/model/mail.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void mails_fini(struct mails *m)
{
	for (size_t i = 0; i < m->n; i++)
		loom_free(m->v[i].body);
	m->n = 0;
}

int mail_post(struct db *db, const struct seal_key *key, const struct mail *m)
{
	int64_t now;
	int rc = db_now(db, &now);
	if (rc)
		return rc;
	LOOM_CLEANUP_STR char *sealed = seal_text(key, m->id, m->body);
	rc = db_exec(db,
	             "INSERT INTO mail (id, verb, body, owner, wait_until) VALUES (?, ?, ?, '', ?)",
	             "sssi", m->id, m->verb, sealed, now + m->wait_ms);
	return rc == DB_E_DUP ? 0 : rc; /* inserted by an earlier run */
}

int mail_answer(struct db *db, const struct seal_key *key, const char *id, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT answer FROM mail WHERE id=?", "s", id);
	*ret = NULL;
	if (!rc && db_rows(r) && !db_is_null(r, 0, 0))
		*ret = seal_open(key, id, db_str(r, 0, 0));
	return rc;
}

int mail_drop(struct db *db, const char *id)
{
	return db_exec(db, "DELETE FROM mail WHERE id=?", "s", id);
}

int mail_waits(struct db *db, bool *ret)
{
	int64_t one;
	return db_select_int(db, &one, ret, "SELECT 1 FROM mail WHERE owner='' LIMIT 1", "");
}

static void read_mail(const struct db_result *r, size_t i, const struct seal_key *key, int64_t now,
                      struct mails *ret)
{
	struct mail *m = &ret->v[ret->n];
	snprintf(m->id, sizeof(m->id), "%s", db_str(r, i, 0));
	snprintf(m->verb, sizeof(m->verb), "%s", db_str(r, i, 1));
	m->wait_ms = db_int(r, i, 3) - now;
	m->body = seal_open(key, m->id, db_str(r, i, 2));
	if (m->body && m->wait_ms > 0)
		ret->n++;
	else
		loom_free(m->body);
}

int mail_claim(struct db *db, const struct seal_key *key, const char *owner, struct mails *ret)
{
	int64_t now;
	mails_fini(ret);
	int rc = db_now(db, &now);
	if (!rc)
		rc = db_exec(db, "DELETE FROM mail WHERE wait_until<? LIMIT 1000", "i", now);
	if (rc)
		return rc;
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	rc = db_select(db, &r,
	               "SELECT id, verb, body, wait_until FROM mail WHERE owner=''"
	               " ORDER BY id LIMIT 64 FOR UPDATE SKIP LOCKED",
	               "");
	for (size_t i = 0; !rc && i < db_rows(r) && i < MAIL_AT_ONCE; i++) {
		rc = db_exec(db, "UPDATE mail SET owner=? WHERE id=?", "ss", owner,
		             db_str(r, i, 0));
		if (!rc)
			read_mail(r, i, key, now, ret);
	}
	return rc;
}

int mail_write_answer(struct db *db, const struct seal_key *key, const char *id, const char *answer)
{
	LOOM_CLEANUP_STR char *sealed = seal_text(key, id, answer);
	return db_exec(db, "UPDATE mail SET answer=? WHERE id=?", "ss", sealed, id);
}
