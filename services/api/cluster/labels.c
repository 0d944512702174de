/* SPDX-License-Identifier: Apache-2.0 */
/* labels - changes what a cluster is marked with (model/cluster/labels.h); what is not named stays.
 */
#include "services/api/resources.h"

#include "common/model/cluster/labels.h"
#include "services/api/request/audit.h"
#include "services/api/request/visible.h"

struct labels_call {
	struct http_req *req;
	struct api *a;
	int64_t id;
	const struct json *change;
	const struct precondition *when;
	int64_t seq;        /* the event of an earlier run of the transaction */
	struct json *after; /* from the run that commits */
	struct outcome done;
};

/* Safe to run twice: setting equal labels changes nothing. */
static int labels_tx(struct db *db, void *arg)
{
	struct labels_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	struct loom_err err;
	int64_t now;
	json_free(k->after);
	k->after = NULL;
	int rc = visible_lock(db, k->id, &c, &k->done);
	if (!rc)
		rc = db_now(db, &now);
	if (rc)
		return rc;
	if (labels_merge(c->labels, k->change, &k->after, &err))
		return outcome_refuse(&k->done, 400, "%s", err.msg);
	bool same = json_equal(c->labels, k->after);
	if (!same || c->event_seq != k->seq)
		rc = visible_check(c, k->when, &k->done);
	if (rc)
		return rc;
	if (same)
		return outcome_done(&k->done, c->id, 0);
	audit_change(k->req, c->labels, k->after);
	rc = cluster_save_labels(db, c, k->after);
	if (rc)
		return rc;
	cluster_event(c, "labels", json_set(json_new_obj(), "labels", json_copy(k->after)), now);
	rc = cluster_save(db, c);
	k->seq = c->event_seq;
	return rc ? rc : outcome_done(&k->done, c->id, c->event_seq);
}

void clusters_labels(struct http_req *req, void *ctx)
{
	struct labels_call k = { .req = req, .a = ctx, .id = request_cluster(req) };
	k.when = request_precondition(req);
	k.change = json_get(request_body(req), "labels");
	int rc = audit_outcome_tx(req, labels_tx, &k, &k.done);
	LOOM_CLEANUP(json_free) struct json *out = json_new_obj();
	json_set(out, "labels", k.after);
	if (rc || k.done.status != 200)
		api_reply_outcome(req, rc, &k.done);
	else
		http_reply_json(req, 200, out);
	if (k.done.seq)
		peers_committed(k.a, k.id, request_who(req)->tenant_id, k.done.seq, false);
}
