/* SPDX-License-Identifier: Apache-2.0 */
/* The log as it is read: pages of rows, and whether the chain is whole. */
#include "common/model/identity/audit_private.h"

#include "common/base/str.h"
#include "common/model/row.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- pages ----------------------------------------------------------------------------------- */

static const char *outcome_of(int64_t status)
{
	return status == AUDIT_ASKED ? "asked" : status < 400 ? "done" : "refused";
}

static struct json *shown(const struct db_result *r, size_t i)
{
	static const char *const texts[] = { "id",   "tenant", "home",    "user",   "token",
		                             "role", "from",   "request", "action", "object" };
	struct json *o = json_set_int(json_new_obj(), "seq", db_int(r, i, 0));
	json_set_int(o, "time", db_int(r, i, 1));
	for (unsigned k = 0; k < LOOM_COUNT(texts); k++) {
		const char *v = db_str(r, i, 2 + k);
		if (*v)
			json_set_str(o, texts[k], v);
	}
	json_set_str(o, "outcome", outcome_of(db_int(r, i, 12)));
	json_set_int(o, "status", db_int(r, i, 12));
	json_set_int(o, "count", db_int(r, i, 13));
	if (!db_is_null(r, i, 14))
		json_set(o, "before", row_json_at(r, i, 14));
	if (!db_is_null(r, i, 15))
		json_set(o, "after", row_json_at(r, i, 15));
	return json_set_str(o, "hash", db_str(r, i, 16));
}

bool audit_place_parse(const char *text, int64_t *ret_time, int64_t *ret_seq)
{
	const char *dot = strchr(text, '.');
	LOOM_CLEANUP_STR char *time = dot ? loom_strndup(text, (size_t)(dot - text)) : NULL;
	return dot && !str_to_int(time, ret_time) && !str_to_int(dot + 1, ret_seq) && *ret_seq > 0;
}

int audit_list(struct db *db, const struct audit_filter *f, const struct list_part *part,
               struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t time = 0, seq = 0;
	if (part->after && !audit_place_parse(part->after, &time, &seq))
		return DB_E_FATAL;
	int rc = db_select(
		db, &r,
		"SELECT a.seq, a.time, a.id, COALESCE(t.name, a.tenant_id), a.home, a.user, a.token,"
		" a.role, a.peer, a.request, a.action, a.object, a.status, a.count, a.before_doc,"
		" a.after_doc, a.hash FROM audit a LEFT JOIN tenant t ON t.id=a.tenant_id"
		" WHERE (? IS NULL OR a.tenant_id=?) AND (? IS NULL OR a.user=?)"
		" AND (? IS NULL OR a.object=?) AND (? IS NULL OR a.request=?)"
		" AND (? IS NULL OR LEFT(a.action, CHAR_LENGTH(?))=?)"
		" AND (?=0 OR a.time>=?) AND (?=0 OR a.time<?)"
		" AND (?=0 OR (a.status>=400)=(?>0))"
		" AND (?=0 OR (a.time<=? AND (a.time<? OR a.seq<?)))"
		" ORDER BY a.time DESC, a.seq DESC LIMIT ?",
		"sssssssssssiiiiiiiiiii", f->tenant, f->tenant, f->user, f->user, f->object,
		f->object, f->request, f->request, f->action, f->action, f->action, f->since,
		f->since, f->until, f->until, f->refused, f->refused, seq, time, time, seq,
		part->limit);
	if (rc)
		return rc;
	*ret = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++)
		json_push(*ret, shown(r, i));
	return 0;
}

/* A row is sealed moments after its time, behind few others. */
#define NEWEST "(SELECT seq FROM audit WHERE tenant_id=? ORDER BY time DESC, seq DESC LIMIT 1000) n"

int audit_tally(struct db *db, const char *tenant, int64_t *ret)
{
	if (!tenant)
		return db_select_int(db, ret, NULL,
		                     "SELECT value+1 FROM counter WHERE name='audit'", "");
	return db_select_int(db, ret, NULL, "SELECT COALESCE(MAX(seq), 0)+1 FROM " NEWEST, "s",
	                     tenant);
}

/* ---- is it whole? ---------------------------------------------------------------------------- */

enum { LOOKED_AT_ONCE = 200, CONTENT_AT = 4 };

static void broken(struct audit_check *c, int64_t seq, const char *fmt, ...) LOOM_PRINTF(3, 4);
static void broken(struct audit_check *c, int64_t seq, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	c->broken = seq;
}

/* Finds the hash before the first remaining row: empty, or in the newest drop record. */
static int begin(struct db *db, struct audit_check *c, int64_t first)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	c->first = first;
	c->last = first - 1;
	snprintf(c->hash, sizeof(c->hash), "%s", AUDIT_NOTHING);
	if (first == 1)
		return 0;
	int rc = db_select(db, &r,
	                   "SELECT after_doc FROM audit WHERE object=? AND action=?"
	                   " AND tenant_id='superadmin' ORDER BY time DESC, seq DESC LIMIT 1",
	                   "ss", AUDIT_DROP_OBJECT, AUDIT_DROP);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *mark = db_rows(r) ? row_json_at(r, 0, 0) : NULL;
	const char *hash = json_get_str(mark, "hash");
	if (hash && json_get_int(mark, "seq", 0) == first - 1)
		snprintf(c->hash, sizeof(c->hash), "%s", hash);
	else
		broken(c, first,
		       "the rows before it are gone, and no row says that they were dropped");
	return 0;
}

static void look(struct audit_check *c, const struct seal_key *key, const struct db_result *r,
                 size_t i)
{
	char hash[AUDIT_HASH], sealed[AUDIT_HASH], name[SEAL_KEY_NAME] = "";
	int64_t seq = db_int(r, i, 0);
	if (key->known)
		seal_key_name(key, name);
	bool ours = str_eq(db_str(r, i, 3), name);
	audit_hash_row(seq, c->hash, r, i, CONTENT_AT, hash);
	audit_seal_of(key, db_str(r, i, 1), sealed);
	if (seq != c->last + 1)
		broken(c, c->last + 1, "it is missing");
	else if (!str_eq(hash, db_str(r, i, 1)))
		broken(c, seq, "it, or the row before, is not what it was");
	else if (ours && !str_eq(sealed, db_str(r, i, 2)))
		broken(c, seq, "its seal was not made with the cluster's key");
	if (c->broken)
		return;
	c->other_keys += !ours;
	c->rows++;
	c->last = seq;
	memcpy(c->hash, hash, sizeof(hash));
}

static int check_end(struct db *db, struct audit_check *c)
{
	int64_t end = 0;
	int rc = db_select_int(db, &end, NULL, "SELECT value FROM counter WHERE name='audit'", "");
	/* Rows may have been added meanwhile, so a higher number is fine. */
	int64_t top = 0;
	if (!rc)
		rc = db_select_int(db, &top, NULL, "SELECT COALESCE(MAX(seq),0) FROM audit", "");
	if (!rc && top < end)
		broken(c, top + 1, "it is missing, at the end of the log");
	return rc;
}

int audit_verify(struct db *db, const struct seal_key *key, struct audit_check *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT seq, hash, seal, seal_key, " AUDIT_CONTENT
	                   " FROM audit WHERE seq>? ORDER BY seq LIMIT ?",
	                   "ii", c->last, (int64_t)LOOKED_AT_ONCE);
	if (rc)
		return rc;
	size_t n = db_rows(r);
	if (n && !c->first)
		rc = begin(db, c, db_int(r, 0, 0));
	for (size_t i = 0; !rc && i < n && !c->broken; i++)
		look(c, key, r, i);
	c->more = n == LOOKED_AT_ONCE && !c->broken;
	return rc || c->more || c->broken ? rc : check_end(db, c);
}

int audit_holds(struct db *db, int64_t seq, const char *hash, bool *ret)
{
	char found[AUDIT_HASH];
	int rc = audit_hash_at(db, seq, found);
	*ret = !rc && str_eq(found, hash);
	return rc;
}
