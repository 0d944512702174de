/* SPDX-License-Identifier: Apache-2.0 */
/* profiles - one free-form object per user, where clients store settings (REST spec 12). */
#include "common/model/profile.h"

#include "common/base/str.h"
#include "services/api/request/audit.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"

#include <string.h>

struct profile_call {
	struct api *a;
	const struct identity *who;
	char *text; /* owned */
	struct loom_err err;
};

static int get_read(struct db *db, void *arg)
{
	struct profile_call *k = arg;
	loom_free(k->text);
	return profile_get(k->a->ring, db, k->who->tenant_id, k->who->user, &k->text, &k->err);
}

void profile_get_own(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct profile_call k = { .a = a, .who = request_who(req) };
	int rc = db_read(a->db, get_read, &k);
	if (rc == 500)
		http_reply_problem(req, rc, "%s", k.err.msg);
	else if (rc)
		api_reply_db(req, rc);
	else if (k.text)
		http_reply(req, 200, "application/json", k.text, strlen(k.text));
	else
		http_reply_text(req, 404, "there is no profile of %s", k.who->user);
	loom_free(k.text);
}

static int put_tx(struct db *db, void *arg)
{
	struct profile_call *k = arg;
	return profile_put(k->a->ring, db, k->who->tenant_id, k->who->user, k->text, &k->err);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct profile_call *k = arg;
	return profile_delete(db, k->who->tenant_id, k->who->user);
}

static void change(struct http_req *req, db_tx_fn fn, char *text)
{
	struct profile_call k = { .a = http_ctx(req), .who = request_who(req) };
	k.text = text;
	int rc = audit_tx(req, fn, &k);
	if (rc == 500)
		http_reply_problem(req, rc, "%s", k.err.msg);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
	loom_free(k.text);
}

/* The audit log gets no content: the profile is stored sealed. */
static void note(struct http_req *req)
{
	const struct json *body = request_body(req);
	struct json *names = json_new_arr();
	for (size_t i = 0; i < json_len(body); i++)
		json_push(names, json_new_str(json_key_at(body, i)));
	LOOM_CLEANUP(json_free) struct json *shown = json_set(json_new_obj(), "members", names);
	audit_change(req, NULL, shown);
}

void profile_put_own(struct http_req *req, void *ctx LOOM_UNUSED)
{
	note(req);
	change(req, put_tx, json_text(request_body(req)));
}

void profile_delete_own(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, delete_tx, NULL);
}
