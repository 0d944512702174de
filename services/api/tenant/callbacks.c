/* SPDX-License-Identifier: Apache-2.0 */
/* callbacks - what targets have not been told yet, for administrators: seen, replayed, deleted. */
#include "common/model/callback/callback.h"

#include "common/base/str.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"
#include "services/api/watch/listing.h"

#define DEFAULT_LIMIT 200

struct callbacks_call {
	const char *tenant; /* NULL: all, for the superadmin */
	int64_t id;
};

static const char *tenant_of(const struct http_req *req)
{
	const struct identity *who = request_who(req);
	return who->role == ROLE_SUPERADMIN ? NULL : who->tenant_id;
}

/* ---- the list -------------------------------------------------------------------------------- */

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	return callback_list(db, tenant_of(req), http_query(req, "state"), part, ret);
}

void callbacks_list(struct http_req *req, void *ctx)
{
	static const struct listing_kind callbacks = {
		.rules = { .key = "id", .down = true, .filters = true },
		.read = read_part,
		.first = DEFAULT_LIMIT,
		.most = LIST_PAGE_MAX,
		.usual_limit = DEFAULT_LIMIT,
		.number = true
	};
	const char *tenant = tenant_of(req);
	const struct tally_of of =
		tally_of_rows(TALLY_CALLBACKS, tenant ? tenant : TALLY_ALL, NULL);
	listing_answer(req, ctx, &callbacks, &of);
}

/* ---- changes --------------------------------------------------------------------------------- */

static int replay_tx(struct db *db, void *arg)
{
	const struct callbacks_call *k = arg;
	return callback_replay(db, k->tenant, k->id);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct callbacks_call *k = arg;
	int rc = callback_delete(db, k->tenant, k->id);
	return rc == CALLBACK_E_NONE ? 0 : rc; /* it is gone, which was asked for */
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
	peers_catalog(http_ctx(req), k.tenant ? k.tenant : TALLY_ALL, "callbacks");
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
