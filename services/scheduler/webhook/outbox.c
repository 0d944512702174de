/* SPDX-License-Identifier: Apache-2.0 */
/* outbox - writes callbacks in the transaction of the change that they report. */
#include "services/scheduler/webhook/outbox.h"

#include "services/scheduler/webhook/webhook_send.h"

static struct json *snapshot(const struct cluster *c, const struct job *j)
{
	struct json *o =
		json_set_str(json_new_obj(), "clusterStatus", cluster_status_name(c->status));
	json_set_str(o, "clusterMessage", c->message);
	json_set_int(o, "expireTime", c->expire_time);
	return json_set(o, "job", j ? webhook_job(j) : NULL);
}

int outbox_add(struct db *db, struct cluster_tx *tx, const struct job *j, enum callback_kind kind)
{
	struct cluster *c = tx->c;
	LOOM_CLEANUP(json_free) struct json *own = NULL, *list = NULL;
	int rc = callback_of_cluster(db, c->id, c->tenant_id, &own);
	if (rc)
		return rc;
	list = webhook_targets(tx->policy->callbacks, own, kind, j ? j->action : NULL);
	for (size_t i = 0; !rc && i < json_len(list); i++) {
		const struct json *t = json_at(list, i);
		if (json_get_bool(t, "veto", false))
			continue;
		struct callback cb = { .cluster_id = c->id,
			               .job_num = j ? j->num : 0,
			               .create_time = tx->now,
			               .kind = kind,
			               .tenant_id = loom_strdup(c->tenant_id),
			               .url = loom_strdup(json_get_str(t, "url")),
			               .secret = loom_strdup(json_get_str(t, "secret")),
			               .snapshot = snapshot(c, j) };
		id_uuid(cb.delivery);
		rc = callback_insert(db, &cb);
		callback_fini(&cb);
		tx->callbacks++;
	}
	return rc;
}
