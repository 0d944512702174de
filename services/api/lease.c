/* SPDX-License-Identifier: Apache-2.0 */
/* lease - moves the time at which a cluster ends by itself (REST spec 5.8). */
#include "common/model/lease.h"

#include "services/api/resources.h"
#include "services/api/visible.h"

struct lease_call {
	struct api *a;
	struct identity who;
	int64_t id, to, seq; /* seq 0: nothing changed */
	struct loom_err err;
};

static int lease_tx(struct db *db, void *arg)
{
	struct lease_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t now;
	k->seq = 0;
	int rc = visible_get(db, &k->who, k->id, true, &c);
	if (!rc)
		rc = cluster_load_docs(db, c);
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = lease_check(c, k->to, &k->err);
	if (rc || c->expire_time == k->to)
		return rc;
	rc = lease_set(db, c, k->to, now);
	k->seq = c->event_seq;
	return rc ? rc : cluster_save(db, c);
}

void clusters_lease(struct http_req *req, void *ctx)
{
	struct lease_call k = { .a = ctx };
	LOOM_CLEANUP(json_free) struct json *in = NULL;
	if (!auth(k.a, req, ROLE_USER, &k.who) || !visible_id(req, "id", &k.id) ||
	    http_body_json(req, &in, NULL))
		return;
	if (!json_int(json_get(in, "expireTime"), &k.to)) {
		http_reply_text(req, 400,
		                "expireTime is missing or not a whole number: milliseconds since "
		                "1970, when the cluster is to end");
		return;
	}
	int rc = db_tx(k.a->db, lease_tx, &k);
	if (rc == 400)
		http_reply_text(req, 400, "%s", k.err.msg);
	else if (rc)
		visible_refuse(req, rc, k.id);
	else
		http_reply_empty(req, 200);
	if (!rc && k.seq)
		peers_committed(k.a, k.id, k.who.tenant_id, k.seq, false);
}
