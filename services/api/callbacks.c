/* SPDX-License-Identifier: Apache-2.0 */
/* callbacks - what targets have not been told yet, for administrators: seen, replayed, deleted. */
#include "common/model/callback.h"

#include "common/base/str.h"
#include "services/api/audit.h"
#include "services/api/repeat.h"
#include "services/api/request.h"
#include "services/api/resources.h"

#define DEFAULT_LIMIT 200
#define MAX_LIMIT     2000

struct callbacks_call {
	const char *tenant; /* NULL: all, for the superadmin */
	const char *state;
	int64_t id, limit;
	struct json *list;
};

static const char *tenant_of(const struct http_req *req)
{
	const struct identity *who = request_who(req);
	return who->role == ROLE_SUPERADMIN ? NULL : who->tenant_id;
}

static int list_read(struct db *db, void *arg)
{
	struct callbacks_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return callback_list(db, k->tenant, k->state, k->limit, &k->list);
}

void callbacks_list(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct callbacks_call k = { .tenant = tenant_of(req), .limit = DEFAULT_LIMIT };
	const char *limit = http_query(req, "limit");
	k.state = http_query(req, "state");
	if (k.state && !str_eq(k.state, "dead") && !str_eq(k.state, "waiting")) {
		http_reply_text(req, 400, "state must be waiting or dead");
		return;
	}
	if (limit && (str_to_int(limit, &k.limit) || k.limit < 1 || k.limit > MAX_LIMIT)) {
		http_reply_text(req, 400, "limit must be a whole number from 1 to %d", MAX_LIMIT);
		return;
	}
	int rc = db_read(a->db, list_read, &k);
	api_reply_list(req, rc, k.list, NULL, NULL, NULL);
	json_free(k.list);
}

static int replay_tx(struct db *db, void *arg)
{
	const struct callbacks_call *k = arg;
	return callback_replay(db, k->tenant, k->id);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct callbacks_call *k = arg;
	int rc = callback_delete(db, k->tenant, k->id);
	return rc == CALLBACK_E_NONE ? 0 : rc; /* gone is gone */
}

static void change(struct http_req *req, db_tx_fn fn)
{
	struct callbacks_call k = { .tenant = tenant_of(req) };
	if (str_to_int(http_param(req, "id"), &k.id) || k.id < 1) {
		http_reply_text(req, 400, "'%.32s' is not the id of a callback",
		                http_param(req, "id"));
		return;
	}
	int rc = repeat_tx(req, fn, &k, NULL);
	if (rc == CALLBACK_E_NONE)
		http_reply_text(req, 404, "callback %lld does not exist", (long long)k.id);
	else if (rc)
		api_reply_db(req, rc);
	else
		repeat_reply(req, NULL);
}

void callbacks_replay(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, replay_tx);
}

void callbacks_delete(struct http_req *req, void *ctx LOOM_UNUSED)
{
	change(req, delete_tx);
}
