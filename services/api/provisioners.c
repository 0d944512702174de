/* SPDX-License-Identifier: Apache-2.0 */
/* provisioners - registration and heartbeats (REST spec 9), task leases in the heartbeat's answer.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/provisioner.h"
#include "common/model/task.h"
#include "services/api/api.h"
#include "services/api/known.h"

#include <string.h>

#define MAX_TASKS 1024 /* in one heartbeat */

struct provisioner_call {
	struct api *a;
	const char *id;
	struct json *body, *leases, *cancel;
};

static int put_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	return provisioner_put(
		db, k->id, json_get_str(k->body, "host"), json_get_int(k->body, "port", 0),
		json_get_int(k->body, "capacityTotal", 0), json_get(k->body, "usage"));
}

static const char *wrong_registration(const struct provisioner_call *k)
{
	int64_t port, capacity;
	if (!str_eq(json_get_str(k->body, "id"), k->id))
		return "id must be the same as in the path";
	if (strlen(k->id) > 255)
		return "id is longer than 255 characters";
	if (str_blank(json_get_str(k->body, "host")) || strlen(json_get_str(k->body, "host")) > 255)
		return "host is missing, or longer than 255 characters";
	if (!json_int(json_get(k->body, "port"), &port) || port < 0 || port > 65535)
		return "port is missing or not a port number";
	if (!json_int(json_get(k->body, "capacityTotal"), &capacity) || capacity < 1 ||
	    capacity > 1000000)
		return "capacityTotal is missing or not a number from 1";
	return NULL;
}

void provisioners_put(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	struct loom_err err;
	if (http_body_json(req, &k.body, &err))
		return;
	const char *wrong = wrong_registration(&k);
	int rc = wrong ? 0 : db_tx(k.a->db, put_tx, &k);
	if (wrong)
		http_reply_text(req, 400, "%s", wrong);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
	json_free(k.body);
}

static int delete_tx(struct db *db, void *arg)
{
	struct provisioner_call *k = arg;
	return provisioner_delete(db, k->id);
}

void provisioners_delete(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	int rc = db_tx(k.a->db, delete_tx, &k);
	known_forget(k.a->known, k.id);
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}

/* Renews what is still theirs; says of each task whether it is. */
static int renew(struct db *db, struct provisioner_call *k, const struct json *tasks)
{
	int64_t now;
	int rc = db_now(db, &now);
	for (size_t i = 0; !rc && i < json_len(tasks); i++) {
		const struct json *t = json_at(tasks, i);
		int64_t attempt = json_get_int(t, "attempt", 0);
		struct task_ref ref;
		enum task_lease lease = LEASE_LOST;
		if (!id_parse_task(json_get_str(t, "taskId"), &ref))
			rc = task_renew(db, &ref, attempt, k->id, now, &lease);
		struct json *l = json_set_str(json_new_obj(), "taskId", json_get_str(t, "taskId"));
		json_set_int(l, "attempt", attempt);
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
	int rc = provisioner_beat(db, k->id, json_get(k->body, "usage"));
	return rc ? rc : renew(db, k, json_get(k->body, "tasks"));
}

void provisioners_heartbeat(struct http_req *req, void *ctx)
{
	struct provisioner_call k = { .a = ctx, .id = http_param(req, "id") };
	struct loom_err err;
	if (http_body_json(req, &k.body, &err))
		return;
	const struct json *tasks = json_get(k.body, "tasks");
	const char *wrong = !json_is(json_get(k.body, "usage"), JSON_OBJECT)
	                            ? "usage is missing: an object"
	                    : tasks && !json_is(tasks, JSON_ARRAY) ? "tasks must be an array"
	                    : json_len(tasks) > MAX_TASKS          ? "tasks has more than 1024"
	                                                           : NULL;
	int rc = wrong ? 0 : db_tx(k.a->db, beat_tx, &k);
	if (wrong)
		http_reply_text(req, 400, "%s", wrong);
	else if (rc == PROVISIONER_E_NONE)
		http_reply_text(req, 404, "provisioner %s is not registered", k.id);
	else if (rc)
		api_reply_db(req, rc);
	else if (!tasks)
		http_reply_empty(req, 200);
	else {
		LOOM_CLEANUP(json_free)
		struct json *out = json_set(json_new_obj(), "leases", loom_take(k.leases));
		json_set(out, "cancel", loom_take(k.cancel));
		http_reply_json(req, 200, out);
	}
	json_free(k.leases);
	json_free(k.cancel);
	json_free(k.body);
}
