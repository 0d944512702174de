/* SPDX-License-Identifier: Apache-2.0 */
/* accounts - who may act in the caller's tenant; for its administrators. */
#include "services/api/resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/audit.h"
#include "services/api/login.h"
#include "services/api/request.h"

#include <string.h>

struct account_call {
	struct http_req *req;
	const struct identity *who;
	const char *name;
	enum account_role role;
	char *hash; /* NULL: the password stays */
	struct json *list;
};

static int list_read(struct db *db, void *arg)
{
	struct account_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return account_list(db, k->who->tenant_id, k->name, &k->list);
}

void accounts_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct account_call k = { .who = request_who(req), .name = http_param(req, "name") };
	int rc = db_read(a->db, list_read, &k);
	api_reply_list(req, rc, k.list, k.name, "user");
	json_free(k.list);
}

static void reply_change(struct http_req *req, const struct account_call *k, int rc)
{
	struct api *a = http_ctx(req);
	token_cache_clear(a->tokens);
	switch (rc) {
	case 0:
		log_info("account changed", LOG_S("tenant", k->who->tenant_id),
		         LOG_S("user", k->name), LOG_S("by", k->who->user),
		         LOG_S("req", http_id(req)));
		http_reply_empty(req, 200);
		break;
	case ACCOUNT_E_NONE:
		http_reply_text(req, 404, "user %s does not exist", k->name);
		break;
	case ACCOUNT_E_LAST:
		http_reply_text(req, 409, "%s is the last superadmin; make another one first",
		                k->name);
		break;
	case ACCOUNT_E_MANY:
		http_reply_text(req, 409, "a tenant has at most %d users", ACCOUNTS_MAX);
		break;
	default:
		api_reply_db(req, rc);
	}
}

/* What there was; what there will be is the body. */
static int note(struct db *db, const struct account_call *k)
{
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	int rc = account_list(db, k->who->tenant_id, k->name, &before);
	audit_before(k->req, json_at(before, 0));
	return rc;
}

static int put_tx(struct db *db, void *arg)
{
	const struct account_call *k = arg;
	int rc = note(db, k);
	if (!rc)
		rc = account_put(db, k->who->tenant_id, k->name, k->role, k->hash);
	/* Whoever has a password now needs the first start's token no more. */
	return rc || !k->hash || !*k->hash ? rc : token_end_first(db);
}

void accounts_put(struct http_req *req, void *ctx LOOM_UNUSED)
{
	const struct json *body = request_body(req);
	struct account_call k = { .req = req,
		                  .who = request_who(req),
		                  .name = http_param(req, "name") };
	const char *password = json_get_str(body, "password");
	const char *wrong = password && *password ? login_wrong_password(password) : NULL;
	if (!account_role_parse(json_get_str(body, "role"), &k.role))
		wrong = "role must be user, auditor, admin or provisioner";
	if (!str_is_name(k.name))
		wrong = "the name of a user has 1 to 255 characters of A-Z a-z 0-9 _ . -";
	if (wrong) {
		http_reply_text(req, 400, "%s", wrong);
		return;
	}
	if (password)
		k.hash = *password ? login_hash(req, password) : loom_strdup("");
	if (password && !k.hash)
		return;
	reply_change(req, &k, audit_tx(req, put_tx, &k));
	loom_free(k.hash);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct account_call *k = arg;
	int rc = note(db, k);
	return rc ? rc : account_delete(db, k->who->tenant_id, k->name);
}

void accounts_delete(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct account_call k = { .req = req,
		                  .who = request_who(req),
		                  .name = http_param(req, "name") };
	reply_change(req, &k, audit_tx(req, delete_tx, &k));
}
