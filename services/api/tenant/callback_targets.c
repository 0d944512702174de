/* SPDX-License-Identifier: Apache-2.0 */
/* callback_targets - whom a tenant wants to be told of all its clusters; for its administrators.
 * What the messages are signed with is taken, but never shown. */
#include "common/model/callback/callback_target.h"
#include "common/model/keys/kept.h"

#include "common/base/str.h"
#include "common/model/callback/callback.h"
#include "common/net/http_client.h"
#include "common/operation/operation.h"
#include "services/api/catalog/validate_check.h"
#include "services/api/request/audit.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"
#include "services/api/watch/listing.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct target_call {
	struct identity who;
	const char *name;
	struct json *list;
	struct json *doc;
	const char *secret; /* borrowed; NULL: unchanged */
	char *sealed;
	const struct precondition *when;
	char tag[TAG_MAX];     /* of the present target; "": none */
	char written[TAG_MAX]; /* by an earlier run, whose commit may be unconfirmed */
};

static bool begin(struct http_req *req, struct target_call *k)
{
	k->who = *request_who(req);
	k->name = http_param(req, "name");
	if (str_is_name(k->name) && strlen(k->name) <= CALLBACK_TARGET_NAME && *k->name != '.')
		return true;
	http_reply_text(req, 400,
	                "the name of a target has at most %d characters of A-Z a-z 0-9 _ . -",
	                CALLBACK_TARGET_NAME);
	return false;
}

static int list_read(struct db *db, void *arg)
{
	struct target_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	int rc = callback_target_list(db, k->who.tenant_id, LIST_ONE(k->name), &k->list);
	return rc ? rc : callback_target_tag(db, k->who.tenant_id, k->name, false, k->tag);
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	return callback_target_list(db, request_who(req)->tenant_id, part, ret);
}

void callback_targets_list(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", "url", NULL };
	static const struct listing_kind targets = { .rules = { .key = "name",
		                                                .searched = searched },
		                                     .read = read_part,
		                                     .first = CALLBACK_TARGETS_MAX,
		                                     .most = CALLBACK_TARGETS_MAX };
	const struct tally_of of =
		tally_of_rows(TALLY_CALLBACK_TARGETS, request_who(req)->tenant_id, NULL);
	listing_answer(req, ctx, &targets, &of);
}

void callback_targets_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct target_call k = { 0 };
	if (!begin(req, &k))
		return;
	int rc = db_read(a->db, list_read, &k);
	if (rc || !*k.tag || !request_tagged(req, k.tag))
		api_reply_one(req, rc, k.list, k.name, "callback target");
	json_free(k.list);
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static void check_url(struct check *c, const struct json *in, struct json *out)
{
	const char *url = json_get_str(in, "url");
	LOOM_CLEANUP_STR char *host = url ? http_url_host(url) : NULL;
	if (url && (!host || strlen(url) > CALLBACK_MAX_URL))
		check_refuse(c,
		             "url must be an http:// or https:// URL of at most %d characters, "
		             "without a user or password",
		             CALLBACK_MAX_URL);
	json_set_str(out, "url", url);
}

/* A trigger that is no action would never fire, so it is refused. Lower case, as jobs have it. */
static struct json *check_triggers(struct check *c, const struct json *in)
{
	LOOM_CLEANUP(json_free) struct json *given = check_names(in, "triggers");
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(given); i++) {
		LOOM_CLEANUP_STR char *name = loom_strdup(json_str(json_at(given, i)));
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (!operation_kind_of_action(name))
			check_refuse(
				c,
				"triggers[%zu]: '%.64s' is no action of a job, as cluster_create or "
				"expand_cluster (GET /v2/operations has them all)",
				i, json_str(json_at(given, i)));
		json_push(out, json_new_str(name));
	}
	return out;
}

static void check_events(struct check *c, const struct json *in, struct json *out)
{
	struct json *events = check_names(in, "events");
	bool veto = json_get_bool(in, "veto", false);
	if (veto && !json_arr_has_str(events, callback_kind_name(CALLBACK_START)))
		check_refuse(c, "veto is for the event start, which is not among its events");
	json_set(out, "events", events);
	json_set(out, "triggers", check_triggers(c, in));
	json_set_bool(out, "veto", veto);
}

static void check_secret(struct check *c, const struct json *in, struct target_call *k,
                         struct keyring *ring)
{
	const char *secret = json_get_str(in, "secret");
	if (secret && strlen(secret) > CALLBACK_MAX_SECRET)
		check_refuse(c, "secret must be at most %d bytes", CALLBACK_MAX_SECRET);
	if (secret && *secret && !keyring_known(ring))
		check_refuse(c, "this server has no cluster_key_file, and keeps no secrets");
	if (secret && !c->refused)
		k->secret = secret;
}

static int seal_secret(struct target_call *k, struct keyring *ring, struct loom_err *err)
{
	const struct kept_at at = { ring, NULL, KEPT_TARGET, k->who.tenant_id, k->name };
	if (k->secret && *k->secret)
		return kept_seal(&at, k->secret, &k->sealed, err);
	k->sealed = loom_strdup(k->secret);
	return 0;
}

/* 0, or positive with err. */
static int check_target(const struct json *in, struct target_call *k, struct keyring *ring,
                        struct loom_err *err)
{
	struct check c = { .err = err };
	k->doc = json_set_str(json_new_obj(), "name", k->name);
	check_url(&c, in, k->doc);
	check_events(&c, in, k->doc);
	check_secret(&c, in, k, ring);
	return c.refused;
}

/* 0: the version matches. *done: an earlier run has written the target already. */
static int look(struct db *db, struct target_call *k, bool *done)
{
	int rc = callback_target_tag(db, k->who.tenant_id, k->name, true, k->tag);
	*done = !rc && *k->written && str_eq(k->tag, k->written);
	if (rc || *done || precondition_met(k->when, *k->tag ? k->tag : NULL))
		return rc;
	return PRECONDITION_E_FAILED;
}

static int put_tx(struct db *db, void *arg)
{
	struct target_call *k = arg;
	bool done;
	int rc = look(db, k, &done);
	if (rc || done)
		return rc;
	rc = callback_target_put(db, k->who.tenant_id, k->doc, k->sealed);
	return rc ? rc : callback_target_tag(db, k->who.tenant_id, k->name, false, k->written);
}

void callback_targets_put(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct target_call k = { 0 };
	struct loom_err err = { 0 };
	if (!begin(req, &k))
		return;
	k.when = request_precondition(req);
	int rc = check_target(request_body(req), &k, a->ring, &err);
	if (!rc)
		rc = seal_secret(&k, a->ring, &err);
	bool refused = err_is_refusal(rc);
	if (!rc)
		rc = audit_tx(req, put_tx, &k);
	peers_catalog(a, k.who.tenant_id, "callbacktargets");
	if (refused)
		http_reply_text(req, rc, "%s", err.msg);
	else if (rc == CALLBACK_TARGET_E_MANY)
		http_reply_text(req, 409, "a tenant has at most %d callback targets",
		                CALLBACK_TARGETS_MAX);
	else if (rc == PRECONDITION_E_FAILED)
		request_refuse_precondition(req);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
	json_free(k.doc);
	loom_free(k.sealed);
}

static int delete_tx(struct db *db, void *arg)
{
	struct target_call *k = arg;
	bool done;
	int rc = look(db, k, &done);
	if (rc == PRECONDITION_E_FAILED && !*k->tag && *k->written)
		return 0; /* by an earlier run, whose commit was not confirmed */
	if (!rc)
		rc = callback_target_delete(db, k->who.tenant_id, k->name);
	snprintf(k->written, sizeof(k->written), "gone");
	return rc;
}

void callback_targets_delete(struct http_req *req, void *ctx)
{
	struct target_call k = { 0 };
	if (!begin(req, &k))
		return;
	k.when = request_precondition(req);
	int rc = audit_tx(req, delete_tx, &k);
	peers_catalog(ctx, k.who.tenant_id, "callbacktargets");
	if (rc == PRECONDITION_E_FAILED)
		request_refuse_precondition(req);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}
