/* SPDX-License-Identifier: Apache-2.0 */
/* audit_log - shows the audit log in pages to those who may read it, and verifies that it is
 * intact. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/tenant.h"
#include "services/api/request/audit.h"
#include "services/api/request/list_query.h"
#include "services/api/watch/listing.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT = 100, VERIFIED_AT_ONCE = 100000 };

/* Readers in the tenant superadmin see all tenants' rows. */
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
	bool any = false;
	int rc = 0;
	for (int i = 0; !rc && (!i || s.done) && i < 10; i++) {
		rc = db_tx(a->db, seal_tx, &s);
		any = any || s.done;
	}
	if (any)
		audit_sealed(a);
	return rc;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* 0: there is none, or it is 0. Its form has been checked. */
static int64_t number_of(const struct http_req *req, const char *name)
{
	const char *text = http_query(req, name);
	int64_t number = 0;
	return text && !str_to_int(text, &number) ? number : 0;
}

static int64_t refused_of(const struct http_req *req)
{
	const char *outcome = http_query(req, "outcome");
	return !outcome ? 0 : str_eq(outcome, "refused") ? 1 : -1;
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	const struct identity *who = request_who(req);
	const char *name = sees_all(who) ? http_query(req, "tenant") : NULL;
	LOOM_CLEANUP_STR char *id = NULL;
	struct audit_filter f = { .tenant = sees_all(who) ? NULL : who->tenant_id,
		                  .user = http_query(req, "user"),
		                  .action = http_query(req, "action"),
		                  .object = http_query(req, "object"),
		                  .request = http_query(req, "request"),
		                  .since = number_of(req, "since"),
		                  .until = number_of(req, "until"),
		                  .refused = refused_of(req) };
	int rc = name ? tenant_id_by_name(db, name, &id) : 0;
	if (name) /* the rows of a deleted tenant are found by its id */
		f.tenant = id ? id : name;
	return rc ? rc : audit_list(db, &f, part, ret);
}

static char *place_of(struct http_req *req LOOM_UNUSED, const struct json *item)
{
	return loom_asprintf("%lld.%lld", (long long)json_get_int(item, "time", 0),
	                     (long long)json_get_int(item, "seq", 0));
}

static bool is_place(struct http_req *req LOOM_UNUSED, const char *text)
{
	int64_t time, seq;
	return audit_place_parse(text, &time, &seq);
}

void audit_get(struct http_req *req, void *ctx)
{
	static const struct listing_kind rows = {
		.rules = { .key = "seq", .down = true, .filters = true },
		.read = read_part,
		.first = LIST_STEP,
		.most = LIST_PAGE_MAX,
		.usual_limit = LIMIT,
		.place = place_of,
		.is_place = is_place
	};
	const struct identity *who = request_who(req);
	const struct tally_of of =
		tally_of_rows(TALLY_AUDIT, sees_all(who) ? TALLY_ALL : who->tenant_id, NULL);
	/* An ignored parameter would look like a filter that matches everything: refuse it. */
	if (!list_query_check(req))
		return;
	int rc = seal_all(ctx);
	if (rc)
		api_reply_db(req, rc);
	else
		listing_answer(req, ctx, &rows, &of);
}

static bool read_number(struct http_req *req, const char *name, int64_t *ret)
{
	const char *text = http_query(req, name);
	if (!text || (!str_to_int(text, ret) && *ret > 0))
		return true;
	http_reply_text(req, 400, "%s must be a whole number from 1", name);
	return false;
}

/* ---- is it whole? ---------------------------------------------------------------------------- */

struct verification {
	const struct seal_key *key;
	struct audit_check from, c;
	int64_t seq; /* the row whose hash the caller has noted */
	const char *hash;
	bool holds;
};

/* Checks the next rows; a repeated run starts where the run before it did. */
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
	json_set_int(o, "otherKeys", v->c.other_keys);
	if (v->c.broken) {
		json_set_int(o, "brokenAt", v->c.broken);
		json_set_str(o, "reason", v->c.why);
	} else if (v->hash && !v->holds) {
		json_set_int(o, "brokenAt", v->seq);
		json_set_str(o, "reason", "it does not have the hash that was noted");
	}
	http_reply_json(req, 200, o);
}

/* With `from` and `hash` the check starts after a row whose hash is known. */
void audit_verify_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct verification v = { .key = audit_key(a), .hash = http_query(req, "hash") };
	if (!read_number(req, "seq", &v.seq))
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
