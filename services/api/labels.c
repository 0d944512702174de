/* SPDX-License-Identifier: Apache-2.0 */
/* labels - changes what a cluster is marked with (model/labels.h); what is not named stays. */
#include "services/api/resources.h"

#include "common/model/labels.h"
#include "services/api/visible.h"

struct labels_call {
	struct api *a;
	struct identity who;
	int64_t id, seq; /* seq 0: nothing changed */
	const struct json *change;
	struct json *after;
	struct loom_err err;
};

/* Safe to run twice: what is set already changes nothing. */
static int labels_tx(struct db *db, void *arg)
{
	struct labels_call *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t now;
	k->seq = 0;
	json_free(k->after);
	k->after = NULL;
	int rc = visible_get(db, &k->who, k->id, true, &c);
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = labels_merge(c->labels, k->change, &k->after, &k->err);
	if (rc || json_equal(c->labels, k->after))
		return rc;
	rc = cluster_save_labels(db, c, k->after);
	struct json *e = json_set(json_new_obj(), "labels", json_copy(k->after));
	if (rc)
		json_free(e);
	else
		rc = cluster_event(db, c, "labels", e, now);
	k->seq = c->event_seq;
	return rc ? rc : cluster_save(db, c);
}

void clusters_labels(struct http_req *req, void *ctx)
{
	struct labels_call k = { .a = ctx };
	LOOM_CLEANUP(json_free) struct json *in = NULL;
	if (!auth(k.a, req, ROLE_USER, &k.who) || !visible_id(req, "id", &k.id) ||
	    http_body_json(req, &in, NULL))
		return;
	k.change = json_get(in, "labels");
	if (!json_is(k.change, JSON_OBJECT)) {
		http_reply_text(
			req, 400,
			"labels is missing, or no object: what to set, as in "
			"{\"labels\":{\"env\":\"test\",\"old\":null}}; null removes a label");
		return;
	}
	int rc = db_tx(k.a->db, labels_tx, &k);
	LOOM_CLEANUP(json_free) struct json *out = json_new_obj();
	json_set(out, "labels", k.after);
	if (rc == 400)
		http_reply_text(req, 400, "%s", k.err.msg);
	else if (rc)
		visible_refuse(req, rc, k.id);
	else
		http_reply_json(req, 200, out);
	if (!rc && k.seq)
		peers_committed(k.a, k.id, k.who.tenant_id, k.seq, false);
}
