/* SPDX-License-Identifier: Apache-2.0 */
/* accounts - the users of the caller's tenant; for its administrators. */
#include "services/api/resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/identity/tenant.h"
#include "services/api/identity/login.h"
#include "services/api/request/audit.h"
#include "services/api/request/request.h"
#include "services/api/watch/listing.h"

#include <string.h>

struct account_call {
	struct http_req *req;
	const struct identity *who;
	const char *name;
	enum account_role role;
	const char *own; /* a role of the tenant itself; "": none */
	char *hash;      /* NULL: the password stays */
	const struct precondition *when;
	bool tried; /* by an earlier run of the transaction, whose commit may be unconfirmed */
	struct json *list;
};

static int list_read(struct db *db, void *arg)
{
	struct account_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return account_list(db, k->who->tenant_id, LIST_ONE(k->name), &k->list);
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	return account_list(db, request_who(req)->tenant_id, part, ret);
}

void accounts_list(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", NULL };
	static const struct listing_kind users = { .rules = { .key = "name", .searched = searched },
		                                   .read = read_part,
		                                   .first = LIST_PAGE_MAX,
		                                   .most = LIST_PAGE_MAX };
	const struct tally_of of = tally_of_rows(TALLY_USERS, request_who(req)->tenant_id, NULL);
	listing_answer(req, ctx, &users, &of);
}

void accounts_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct account_call k = { .who = request_who(req), .name = http_param(req, "name") };
	int rc = db_read(a->db, list_read, &k);
	request_reply_one(req, rc, k.list, k.name, "user");
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
		peers_catalog(a, k->who->tenant_id, "users");
		peers_catalog(a, k->who->tenant_id, "tokens"); /* some may have ended with it */
		http_reply_empty(req, 200);
		break;
	case PRECONDITION_E_FAILED:
		request_refuse_precondition(req);
		break;
	case ACCOUNT_E_NONE:
		http_reply_text(req, 404, "user %s does not exist", k->name);
		break;
	case OWN_ROLE_E_NONE:
		http_reply_text(req, 400,
		                "role must be user, auditor, admin, provisioner, or a role of the "
		                "tenant's own; %s is none",
		                k->own);
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

/* Locks and audits the old state; the request's body is the new one. *ret: does the version
 * match? */
static int look(struct db *db, const struct account_call *k, bool *ret)
{
	LOOM_CLEANUP(json_free) struct json *before = NULL;
	char tag[TAG_MAX];
	int rc = tenant_lock(db, k->who->tenant_id);
	if (!rc)
		rc = account_list(db, k->who->tenant_id, LIST_ONE(k->name), &before);
	if (rc)
		return rc;
	audit_before(k->req, json_at(before, 0));
	if (json_len(before))
		request_tag_of(json_at(before, 0), tag);
	*ret = precondition_met(k->when, json_len(before) ? tag : NULL);
	return 0;
}

/* Does the account have the state that an earlier run of this call leaves? */
static int is_done(struct db *db, const struct account_call *k, bool *ret)
{
	struct account a;
	int rc = k->tried ? account_get(db, k->who->tenant_id, k->name, &a) : ACCOUNT_E_NONE;
	*ret = !rc && (*k->own ? str_eq(a.own, k->own) : a.role == k->role && !*a.own) &&
	       (!k->hash || str_eq(a.password, k->hash));
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
		rc = account_put(db, k->who->tenant_id, k->name, k->role, k->own, k->hash);
	/* Once a user has a password the token of the first start is not needed any more. */
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
	const char *role = json_get_str(body, "role");
	k.own = account_role_parse(role, &k.role) ? "" : role;
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
