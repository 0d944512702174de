/* SPDX-License-Identifier: Apache-2.0 */
/* profiles - one free object of each user, for what his clients remember of him (REST spec 12). */
#include "common/model/profile.h"

#include "common/base/str.h"
#include "services/api/audit.h"
#include "services/api/request.h"
#include "services/api/resources.h"

#include <string.h>

struct profile_call {
	const struct identity *who;
	char *text; /* owned */
};

static int get_read(struct db *db, void *arg)
{
	struct profile_call *k = arg;
	loom_free(k->text);
	return profile_get(db, k->who->tenant_id, k->who->user, &k->text);
}

void profile_get_own(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct profile_call k = { .who = request_who(req) };
	int rc = db_read(a->db, get_read, &k);
	if (rc)
		api_reply_db(req, rc);
	else if (k.text)
		http_reply(req, 200, "application/json", k.text, strlen(k.text));
	else
		http_reply_text(req, 404, "there is no profile of %s", k.who->user);
	loom_free(k.text);
}

static int put_tx(struct db *db, void *arg)
{
	const struct profile_call *k = arg;
	return profile_put(db, k->who->tenant_id, k->who->user, k->text);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct profile_call *k = arg;
	return profile_delete(db, k->who->tenant_id, k->who->user);
}

static void change(struct http_req *req, db_tx_fn fn, char *text)
{
	struct profile_call k = { .who = request_who(req), .text = text };
	int rc = audit_tx(req, fn, &k);
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
	loom_free(k.text);
}

void profile_put_own(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, put_tx, json_text(request_body(req)));
}

void profile_delete_own(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, delete_tx, NULL);
}
