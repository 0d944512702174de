/* SPDX-License-Identifier: Apache-2.0 */
/* audit_log - the log as those read it who may: in pages, and whether it is what it was. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/entity.h"
#include "common/model/tenant.h"
#include "services/api/audit.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT = 100, VERIFIED_AT_ONCE = 100000 };

/* Those of the tenant superadmin read of all. */
static bool sees_all(const struct identity *who)
{
	return str_eq(who->tenant_id, TENANT_SUPERADMIN);
}

/* ---- what has come just now is in it, too ---------------------------------------------------- */

struct sealing {
	const struct seal_key *key;
	int64_t done;
};

static int seal_tx(struct db *db, void *arg)
{
	struct sealing *s = arg;
	return audit_seal(db, s->key, &s->done);
}

static int seal_all(struct api *a)
{
	struct sealing s = { .key = audit_key(a) };
	int rc = 0;
	for (int i = 0; !rc && (!i || s.done) && i < 10; i++)
		rc = db_tx(a->db, seal_tx, &s);
	return rc;
}

/* ---- pages ----------------------------------------------------------------------------------- */

struct page {
	struct audit_filter f;
	const char *tenant; /* asked for by name */
	char *tenant_id;
	struct json *rows;
};

static void page_fini(struct page *p)
{
	loom_free(p->tenant_id);
	json_free(p->rows);
}

static int page_read(struct db *db, void *arg)
{
	struct page *p = arg;
	json_free(p->rows);
	p->rows = NULL;
	int rc = 0;
	if (p->tenant) {
		loom_free(p->tenant_id);
		p->tenant_id = NULL;
		rc = tenant_id_by_name(db, p->tenant, &p->tenant_id);
		/* One that is gone is in the log by its id. */
		p->f.tenant = p->tenant_id ? p->tenant_id : p->tenant;
	}
	return rc ? rc : audit_list(db, &p->f, &p->rows);
}

static bool refuse(struct http_req *req, const char *name, const char *must)
{
	http_reply_text(req, 400, "%s must be %s", name, must);
	return false;
}

static bool read_number(struct http_req *req, const char *name, int64_t max, int64_t *ret)
{
	const char *text = http_query(req, name);
	if (text && (str_to_int(text, ret) || *ret < 1 || *ret > max)) {
		LOOM_CLEANUP_STR char *must =
			loom_asprintf("a whole number from 1 to %lld", (long long)max);
		return refuse(req, name, must);
	}
	return true;
}

/* "1700000000000.17": time and number of the row that a page ended with. */
static bool read_after(struct http_req *req, struct audit_filter *f)
{
	const char *text = http_query(req, "after");
	const char *dot = text ? strchr(text, '.') : NULL;
	if (!text)
		return true;
	LOOM_CLEANUP_STR char *time = dot ? loom_strndup(text, (size_t)(dot - text)) : NULL;
	if (!dot || str_to_int(time, &f->after_time) || str_to_int(dot + 1, &f->after_seq) ||
	    f->after_seq < 1)
		return refuse(req, "after", "what the header Link of a page says");
	return true;
}

static bool read_filter(struct http_req *req, struct page *p)
{
	const struct identity *who = request_who(req);
	const char *outcome = http_query(req, "outcome");
	struct audit_filter *f = &p->f;
	*f = (struct audit_filter){ .tenant = sees_all(who) ? NULL : who->tenant_id,
		                    .user = http_query(req, "user"),
		                    .action = http_query(req, "action"),
		                    .object = http_query(req, "object"),
		                    .request = http_query(req, "request"),
		                    .limit = LIMIT };
	p->tenant = sees_all(who) ? http_query(req, "tenant") : NULL;
	if (outcome && !str_eq(outcome, "done") && !str_eq(outcome, "refused"))
		return refuse(req, "outcome", "done or refused");
	f->refused = !outcome ? 0 : str_eq(outcome, "refused") ? 1 : -1;
	return read_number(req, "since", INT64_MAX, &f->since) &&
	       read_number(req, "until", INT64_MAX, &f->until) &&
	       read_number(req, "limit", AUDIT_PAGE_MAX, &f->limit) && read_after(req, f);
}

/* The same request for what comes behind this page. */
static void link_next(struct http_req *req, const struct json *last)
{
	struct buf link = BUF_INIT(1u << 16);
	const char *query = strchr(http_raw_uri(req), '?');
	buf_adds(&link, "</v2/audit?");
	for (const char *p = query ? query + 1 : ""; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (!str_starts(p, "after=")) {
			buf_add(&link, p, strcspn(p, "&"));
			buf_addc(&link, '&');
		}
	}
	buf_addf(&link, "after=%lld.%lld>; rel=\"next\"", (long long)json_get_int(last, "time", 0),
	         (long long)json_get_int(last, "seq", 0));
	if (!link.full)
		http_reply_header(req, "Link", link.data);
	buf_fini(&link);
}

void audit_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct page p = { 0 };
	if (!read_filter(req, &p))
		return;
	int rc = seal_all(a);
	if (!rc)
		rc = db_read(a->db, page_read, &p);
	size_t n = json_len(p.rows);
	if (!rc && n == (size_t)p.f.limit)
		link_next(req, json_at(p.rows, n - 1));
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_json(req, 200, p.rows);
	page_fini(&p);
}

/* ---- is it whole? ---------------------------------------------------------------------------- */

struct verification {
	const struct seal_key *key;
	struct audit_check from, c;
	int64_t seq; /* somebody noted the hash of this row */
	const char *hash;
	bool holds;
};

/* Some more; a run that is repeated begins where the one before it did. */
static int verify_read(struct db *db, void *arg)
{
	struct verification *v = arg;
	v->c = v->from;
	return audit_verify(db, v->key, &v->c);
}

static int holds_read(struct db *db, void *arg)
{
	struct verification *v = arg;
	return audit_holds(db, v->seq, v->hash, &v->holds);
}

static int verify_all(struct api *a, struct verification *v)
{
	int rc;
	do {
		v->from = v->c;
		rc = db_read(a->db, verify_read, v);
	} while (!rc && v->c.more && v->c.rows < VERIFIED_AT_ONCE);
	return rc || !v->hash ? rc : db_read(a->db, holds_read, v);
}

static void reply_verified(struct http_req *req, const struct verification *v)
{
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	json_set_bool(o, "intact", !v->c.broken && (!v->hash || v->holds));
	json_set_int(o, "rows", v->c.rows);
	json_set_int(o, "first", v->c.first);
	json_set_int(o, "last", v->c.last);
	json_set_str(o, "hash", v->c.hash);
	json_set_bool(o, "more", v->c.more);
	json_set_int(o, "otherKeys", v->c.strange);
	if (v->c.broken) {
		json_set_int(o, "brokenAt", v->c.broken);
		json_set_str(o, "reason", v->c.why);
	} else if (v->hash && !v->holds) {
		json_set_int(o, "brokenAt", v->seq);
		json_set_str(o, "reason", "it does not have the hash that was noted");
	}
	http_reply_json(req, 200, o);
}

/* With `from` and `hash` the check goes on behind a row whose hash is known. */
void audit_verify_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct verification v = { .key = audit_key(a), .hash = http_query(req, "hash") };
	if (!read_number(req, "seq", INT64_MAX, &v.seq))
		return;
	if (!v.seq != !v.hash) {
		http_reply_text(req, 400,
		                "seq and hash belong together: a row and what was noted of it");
		return;
	}
	if (v.hash && http_query(req, "from")) {
		snprintf(v.c.hash, sizeof(v.c.hash), "%s", v.hash);
		v.c.first = v.c.last = v.seq;
	}
	int rc = seal_all(a);
	if (!rc)
		rc = verify_all(a, &v);
	if (rc)
		api_reply_db(req, rc);
	else
		reply_verified(req, &v);
}
