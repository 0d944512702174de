/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provisioners - registration and heartbeats (REST spec 9), with task leases in the heartbeat's
 * answer; for superadmins the list of provisioners, and the release from quarantine.
 */
#include "services/api/resources.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/cluster/task.h"
#include "common/model/worker/provisioner.h"
#include "common/model/worker/quarantine.h"
#include "services/api/request/audit.h"
#include "services/api/request/db_outage.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/watch/listing.h"
#include "services/api/worker/provisioner_cache.h"
#include "services/api/worker/share_push.h"

#include <string.h>

#define MAX_USAGE 16384 /* bytes of it as JSON */
#define BEAT_MS   2000  /* time until the next heartbeat */

struct provisioner_call {
	struct api *a;
	const char *id;
	const struct json *body;
	struct json *leases, *cancel, *shown;
	struct quarantines *bad; /* its row, if it is in quarantine */
	const char *tenant;      /* the tenant that it must belong to: request_worker_tenant() */
	struct provisioner_holder holder; /* of its id */
	bool done;
	const struct precondition *when;
};

static int put_it(struct db *db, const struct provisioner_call *k)
{
	/* An original provisioner reports no usage before it is told how many workers to run, and
	 * runs none until then. It shows no token, so it belongs to no tenant. */
	const struct registration r = { .id = k->id,
		                        .tenant = k->tenant,
		                        .host = json_get_str(k->body, "host"),
		                        .port = json_get_int(k->body, "port", 0),
		                        .capacity = json_get_int(k->body, "capacityTotal", 0),
		                        .usage = k->holder.usage,
		                        .managed = !json_get(k->body, "usage") && !*k->tenant };
	return provisioner_put(db, &r);
}

/* k->holder.other: another process has its id. */
static int read_holder(struct db *db, struct provisioner_call *k)
{
	const char *place = json_get_str(k->body, "place");
	json_free(k->holder.usage);
	k->holder = (struct provisioner_holder){ 0 };
	int rc = provisioner_check_tenant(db, k->id, k->tenant);
	return rc ? rc
	          : provisioner_holder_read(db, k->id, place ? place : "",
	                                    json_get(k->body, "usage"), &k->holder);
}

static int put_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	const char *version = json_get_str(k->body, "version");
	int rc = read_holder(db, k);
	if (rc || k->holder.other)
		return rc;
	rc = put_it(db, k);
	return rc ? rc : provisioner_note_version(db, k->id, version ? version : "");
}

static void refuse_twin(struct http_req *req, const struct provisioner_call *k)
{
	http_reply_text(
		req, 409,
		"another process runs as provisioner %s and was heard %.1f s ago: give this "
		"one another provisioner_id, or none",
		k->id, (double)k->holder.silent_ms / 1000);
}

static void refuse_other(struct http_req *req, const struct provisioner_call *k)
{
	http_reply_text(req, 403, "provisioner %s is another tenant's", k->id);
}

static size_t usage_size(const struct provisioner_call *k)
{
	LOOM_CLEANUP_STR char *text = json_text(json_get(k->body, "usage"));
	return strlen(text);
}

static const char *wrong_registration(const struct provisioner_call *k)
{
	if (!str_eq(json_get_str(k->body, "id"), k->id))
		return "id must be the same as in the path";
	return usage_size(k) > MAX_USAGE ? "usage is larger than 16384 bytes" : NULL;
}

void provisioners_put(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx,
		                      .id = http_param(req, "id"),
		                      .body = request_body(req),
		                      .tenant = request_worker_tenant(req) };
	const char *wrong = wrong_registration(&k);
	int rc = wrong ? 0 : audit_tx(req, put_tx, &k);
	if (wrong)
		http_reply_text(req, 400, "%s", wrong);
	else if (rc == PROVISIONER_E_OTHER)
		refuse_other(req, &k);
	else if (rc)
		api_reply_db(req, rc);
	else if (k.holder.other)
		refuse_twin(req, &k);
	else
		http_reply_empty(req, 200);
	json_free(k.holder.usage);
	peers_catalog(k.a, TENANT_SUPERADMIN, "provisioners");
	share_push_soon(k.a);
}

static int delete_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	bool was = false;
	int rc = provisioner_check_tenant(db, k->id, k->tenant);
	if (!rc)
		rc = provisioner_delete(db, k->id, &was);
	k->done = k->done || was; /* also in an earlier run whose commit was not confirmed */
	return rc;
}

void provisioners_delete(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	k.tenant = request_worker_tenant(req);
	int rc = audit_tx(req, delete_tx, &k);
	provisioner_cache_forget(k.a->provisioners, k.id);
	if (!rc && k.done)
		peers_dropped(k.a);
	peers_catalog(k.a, TENANT_SUPERADMIN, "provisioners");
	if (rc == PROVISIONER_E_OTHER)
		refuse_other(req, &k);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}

/* Renews leases that it still holds, and reports for each task whether it does. */
static int renew(struct db *db, struct provisioner_call *k, const struct json *tasks)
{
	int64_t now;
	int rc = db_now(db, &now);
	for (size_t i = 0; !rc && i < json_len(tasks); i++) {
		const struct json *t = json_at(tasks, i);
		const struct task_holder by = { k->id, json_get_str(t, "claim"),
			                        json_get_int(t, "attempt", 0) };
		struct task_ref ref;
		enum task_lease lease = LEASE_LOST;
		if (!id_parse_task(json_get_str(t, "taskId"), &ref))
			rc = task_renew(db, &ref, &by, now, &lease);
		struct json *l = json_set_str(json_new_obj(), "taskId", json_get_str(t, "taskId"));
		json_set_int(l, "attempt", by.attempt);
		if (lease == LEASE_CANCEL)
			json_push(k->cancel, json_copy(l));
		json_push(k->leases, json_set_bool(l, "ok", lease != LEASE_LOST));
	}
	return rc;
}

static int beat_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	json_free(k->leases);
	json_free(k->cancel);
	k->leases = json_new_arr();
	k->cancel = json_new_arr();
	quarantines_free(k->bad);
	k->bad = NULL;
	int rc = read_holder(db, k);
	if (rc || k->holder.other)
		return rc;
	rc = provisioner_beat(db, k->id, k->holder.usage);
	if (!rc)
		rc = quarantines_load(db, k->id, &k->bad);
	return rc ? rc : renew(db, k, json_get(k->body, "tasks"));
}

void provisioners_heartbeat(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx,
		                      .id = http_param(req, "id"),
		                      .body = request_body(req) };
	k.tenant = request_worker_tenant(req);
	const char *wrong = usage_size(&k) > MAX_USAGE ? "usage is larger than 16384 bytes" : NULL;
	int rc = wrong ? 0 : db_tx_deadline(k.a->db, beat_tx, &k, BEAT_MS);
	if (wrong)
		http_reply_text(req, 400, "%s", wrong);
	else if (rc == PROVISIONER_E_NONE)
		http_reply_text(req, 404, "provisioner %s is not registered", k.id);
	else if (rc == PROVISIONER_E_OTHER)
		refuse_other(req, &k);
	else if (rc == DB_E_AWAY || rc == DB_E_DOUBT) /* a short wait does not prove an outage */
		db_outage_reply(req, err_name(rc));
	else if (rc)
		api_reply_db(req, rc);
	else if (k.holder.other)
		refuse_twin(req, &k);
	else {
		LOOM_CLEANUP(json_free) struct json *out = json_new_obj();
		bool asked = json_get(k.body, "tasks"); /* the original's provisioners send none */
		json_set(out, "leases", asked ? loom_take(k.leases) : NULL);
		json_set(out, "cancel", asked ? loom_take(k.cancel) : NULL);
		if (asked && k.bad->n)
			json_set_str(out, "quarantine", k.bad->v[0].reason);
		http_reply_json(req, 200, out);
	}
	quarantines_free(k.bad);
	json_free(k.holder.usage);
	json_free(k.leases);
	json_free(k.cancel);
}

/* ---- for superadmins ------------------------------------------------------------------------- */

static int list_read(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	json_free(k->shown);
	k->shown = NULL;
	return provisioners_list(db, LIST_ONE(k->id), &k->shown);
}

/* The version covers the registration and the quarantine; load and last heartbeat only change the
 * rest. */
static void tag_of(const struct json *shown, char tag[TAG_MAX])
{
	static const char *const versioned[] = { "id", "host", "port", "capacityTotal" };
	LOOM_CLEANUP(json_free) struct json *version = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(versioned); i++)
		json_set(version, versioned[i], json_copy(json_get(shown, versioned[i])));
	json_set(version, "since", json_copy(json_get(json_get(shown, "quarantine"), "since")));
	LOOM_CLEANUP_STR char *first = json_text(version), *all = json_text(shown);
	precondition_tag(tag, first, all);
}

static int read_part(struct db *db, struct http_req *req LOOM_UNUSED, struct list_part *part,
                     struct json **ret)
{
	return provisioners_list(db, part, ret);
}

void provisioners_list_all(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "id", "host", NULL };
	static const struct listing_kind provisioners = { .rules = { .key = "id",
		                                                     .searched = searched },
		                                          .read = read_part,
		                                          .first = LIST_STEP,
		                                          .most = DB_MANY };
	const struct tally_of of = tally_of_rows(TALLY_PROVISIONERS, TENANT_SUPERADMIN, NULL);
	listing_answer(req, ctx, &provisioners, &of);
}

void provisioners_get(struct http_req *req, void *ctx)
{
	char tag[TAG_MAX];
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	int rc = db_read(k.a->db, list_read, &k);
	if (rc)
		api_reply_db(req, rc);
	else if (!json_len(k.shown))
		http_reply_text(req, 404, "provisioner %s is not registered", k.id);
	else {
		tag_of(json_at(k.shown, 0), tag);
		if (!request_tagged(req, tag))
			http_reply_json(req, 200, json_at(k.shown, 0));
	}
	json_free(k.shown);
}

/* PRECONDITION_E_FAILED when it is not of the version that is to be released. */
static int check_version(struct db *db, const struct provisioner_call *k)
{
	LOOM_CLEANUP(quarantines_free) struct quarantines *bad = NULL;
	LOOM_CLEANUP(json_free) struct json *shown = NULL;
	char tag[TAG_MAX];
	int rc = quarantine_lock(db, k->id, &bad);
	if (!rc)
		rc = provisioners_list(db, LIST_ONE(k->id), &shown);
	if (!rc && json_len(shown))
		tag_of(json_at(shown, 0), tag);
	return rc || precondition_met(k->when, json_len(shown) ? tag : NULL)
	               ? rc
	               : PRECONDITION_E_FAILED;
}

static int release_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	bool was = false;
	int rc = k->done ? 0 : check_version(db, k);
	if (!rc)
		rc = quarantine_release(db, k->id, &was);
	k->done = k->done || was; /* also in an earlier run whose commit was not confirmed */
	return rc;
}

void provisioners_release(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	k.when = request_precondition(req);
	int rc = repeat_tx(req, release_tx, &k, NULL);
	if (rc == PRECONDITION_E_FAILED) {
		request_refuse_precondition(req);
	} else if (rc) {
		api_reply_db(req, rc);
	} else if (!k.done) {
		http_reply_text(req, 404, "provisioner %s is not in quarantine", k.id);
	} else {
		log_info("provisioner released from quarantine", LOG_S("provisioner", k.id),
		         LOG_S("user", request_who(req)->user));
		peers_ready(k.a);
		peers_catalog(k.a, TENANT_SUPERADMIN, "provisioners");
		repeat_reply(req, NULL);
	}
}
