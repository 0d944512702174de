/* SPDX-License-Identifier: Apache-2.0 */
/* accounts - who may act in the caller's tenant; for its administrators. */
#include "services/api/resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "services/api/audit.h"
#include "services/api/list_query.h"
#include "services/api/login.h"
#include "services/api/request.h"

#include <string.h>

struct account_call {
	struct http_req *req;
	const struct identity *who;
	const char *name;
	enum account_role role;
	char *hash; /* NULL: the password stays */
	const struct precondition *when;
	bool tried; /* by an earlier run of the transaction, whose commit may have gone unheard */
	struct json *list;
};

static int list_read(struct db *db, void *arg)
{
	struct account_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return account_list(db, k->who->tenant_id, k->name, &k->list);
}

/* It has the time of the last change. */
static void tag_of(const struct json *shown, char tag[TAG_MAX])
{
	LOOM_CLEANUP_STR char *text = json_text(shown);
	precondition_tag(tag, text, NULL);
}

void accounts_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct account_call k = { .who = request_who(req), .name = http_param(req, "name") };
	static const char *const searched[] = { "name", NULL };
	const struct list_rules rules = { "name", &schema_account_shown, searched, false };
	int rc = db_read(a->db, list_read, &k);
	char tag[TAG_MAX];
	bool one = !rc && k.name && json_len(k.list);
	if (one)
		tag_of(json_at(k.list, 0), tag);
	if (one && request_tagged(req, tag)) {
		json_free(k.list);
		return;
	}
	api_reply_list(req, rc, k.list, k.name, "user", &rules);
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
	case PRECONDITION_E_FAILED:
		request_refuse_precondition(req);
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

/* What there was; what there will be is the body. *ret: is it the version that is to be changed? */
static int look(struct db *db, const struct account_call *k, bool *ret)
{
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	char tag[TAG_MAX];
	int rc = account_lock(db, k->who->tenant_id);
	if (!rc)
		rc = account_list(db, k->who->tenant_id, k->name, &before);
	if (rc)
		return rc;
	audit_before(k->req, json_at(before, 0));
	if (json_len(before))
		tag_of(json_at(before, 0), tag);
	*ret = precondition_met(k->when, json_len(before) ? tag : NULL);
	return 0;
}

/* Is it as an earlier run of this very call leaves it? */
static int is_done(struct db *db, const struct account_call *k, bool *ret)
{
	struct account a;
	int rc = k->tried ? account_get(db, k->who->tenant_id, k->name, &a) : ACCOUNT_E_NONE;
	*ret = !rc && a.role == k->role && (!k->hash || str_eq(a.password, k->hash));
	if (!rc)
		loom_free(a.password);
	return rc == ACCOUNT_E_NONE ? 0 : rc;
}

static int put_tx(struct db *db, void *arg)
{
	struct account_call *k = arg;
	bool met = false, done = false;
	int rc = look(db, k, &met);
	if (!rc && !met)
		rc = is_done(db, k, &done);
	if (rc || !met)
		return rc || done ? rc : PRECONDITION_E_FAILED;
	k->tried = true;
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
	k.when = request_precondition(req);
	reply_change(req, &k, audit_tx(req, put_tx, &k));
	loom_free(k.hash);
}

static int delete_tx(struct db *db, void *arg)
{
	struct account_call *k = arg;
	bool met = false;
	int rc = look(db, k, &met);
	if (rc || !met)
		return rc ? rc : k->tried ? 0 : PRECONDITION_E_FAILED;
	rc = account_delete(db, k->who->tenant_id, k->name);
	bool gone = rc == ACCOUNT_E_NONE && k->tried;
	k->tried = true;
	return gone ? 0 : rc;
}

void accounts_delete(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct account_call k = { .req = req,
		                  .who = request_who(req),
		                  .name = http_param(req, "name"),
		                  .when = request_precondition(req) };
	reply_change(req, &k, audit_tx(req, delete_tx, &k));
}
