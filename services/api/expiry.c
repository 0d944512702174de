/* SPDX-License-Identifier: Apache-2.0 */
/* expiry - moves the time at which a cluster ends by itself (REST spec 5.8). */
#include "common/model/expiry.h"

#include "services/api/resources.h"
#include "services/api/validate.h"
#include "services/api/visible.h"

struct expiry_call {
	struct identity who;
	int64_t id, to;
	struct outcome done;
};

static int expiry_tx(struct db *db, void *arg)
{
	struct expiry_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	struct loom_err err;
	int64_t now;
	int rc = visible_lock(db, &k->who, k->id, &c, &k->done);
	if (!rc)
		rc = cluster_load_docs(db, c);
	if (!rc)
		rc = db_now(db, &now);
	if (rc)
		return rc;
	if (expiry_check(c, k->to, &err))
		return outcome_refuse(&k->done, 400, "%s", err.msg);
	if (c->expire_time == k->to)
		return outcome_done(&k->done, c->id, 0);
	rc = expiry_set(db, c, k->to, now);
	if (!rc)
		rc = cluster_save(db, c);
	return rc ? rc : outcome_done(&k->done, c->id, c->event_seq);
}

void clusters_expiry(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct expiry_call k = { 0 };
	LOOM_CLEANUP(json_free) struct json *in = NULL;
	if (!auth(a, req, ROLE_USER, &k.who) || !visible_id(req, "id", &k.id) ||
	    api_body_json(req, &in))
		return;
	if (!json_int(json_get(in, "expireTime"), &k.to)) {
		http_reply_text(req, 400,
		                "expireTime is missing or not a whole number: milliseconds since "
		                "1970, when the cluster is to end");
		return;
	}
	if (k.to > VALIDATE_LEASE_MAX) {
		http_reply_text(req, 400, "expireTime %lld is above %lld", (long long)k.to,
		                (long long)VALIDATE_LEASE_MAX);
		return;
	}
	int rc = outcome_tx(a->db, expiry_tx, &k, &k.done);
	api_reply_outcome(req, rc, &k.done);
	if (k.done.seq)
		peers_committed(a, k.id, k.who.tenant_id, k.done.seq, false);
}
