/* SPDX-License-Identifier: Apache-2.0 */
/* expiry - moves the time at which a cluster ends by itself (REST spec 5.8). */
#include "common/model/cluster/expiry.h"

#include "services/api/catalog/validate.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/resources.h"

struct expiry_call {
	struct http_req *req;
	int64_t id, to;
	const struct precondition *when;
	int64_t seq; /* the event of an earlier run of the transaction */
	struct outcome done;
};

static void note(const struct expiry_call *k, int64_t was)
{
	LOOM_CLEANUP(json_free)
	struct json *before = json_set_int(json_new_obj(), "expireTime", was);
	LOOM_CLEANUP(json_free)
	struct json *after = json_set_int(json_new_obj(), "expireTime", k->to);
	audit_change(k->req, before, after);
}

static int expiry_tx(struct db *db, void *arg)
{
	struct expiry_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	struct loom_err err;
	int64_t now;
	int rc = visible_lock(db, k->id, &c, &k->done);
	if (!rc)
		rc = cluster_load_docs(db, c);
	if (!rc)
		rc = db_now(db, &now);
	if (rc)
		return rc;
	if (c->expire_time == k->to && c->event_seq == k->seq)
		return outcome_done(&k->done, c->id, c->event_seq);
	rc = visible_check(c, k->when, &k->done);
	if (rc)
		return rc;
	if (expiry_check(c, k->to, &err))
		return outcome_refuse(&k->done, 400, "%s", err.msg);
	if (c->expire_time == k->to)
		return outcome_done(&k->done, c->id, 0);
	note(k, c->expire_time);
	rc = expiry_set(db, c, k->to, now);
	if (!rc)
		rc = cluster_save(db, c);
	k->seq = c->event_seq;
	return rc ? rc : outcome_done(&k->done, c->id, c->event_seq);
}

void clusters_expiry(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct expiry_call k = { .req = req, .id = request_cluster(req) };
	k.when = request_precondition(req);
	k.to = json_get_int(request_body(req), "expireTime", 0);
	int rc = repeat_outcome_tx(req, expiry_tx, &k, &k.done, NULL);
	api_reply_outcome(req, rc, &k.done);
	if (k.done.seq)
		peers_committed(a, k.id, request_who(req)->tenant_id, k.done.seq, false);
}
