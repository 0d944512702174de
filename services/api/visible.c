/* SPDX-License-Identifier: Apache-2.0 */
/* Which clusters somebody may see; what cannot be seen is not there. */
#include "services/api/visible.h"

#include "common/base/str.h"

bool visible_id(struct http_req *req, const char *name, int64_t *ret)
{
	const char *text = http_param(req, name);
	if (!id_parse_cluster(text, ret))
		return true;
	http_reply_text(req, 400, "cluster id '%.32s' is not a number, as 00000012", text);
	return false;
}

bool visible_to(const struct identity *who, const struct cluster *c)
{
	return str_eq(who->tenant_id, c->tenant_id) &&
	       (who->role >= ROLE_ADMIN || str_eq(who->user, c->owner_id));
}

int visible_get(struct db *db, const struct identity *who, int64_t id, struct cluster **ret)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, id, &c);
	if (rc)
		return rc;
	if (!visible_to(who, c))
		return CLUSTER_E_NONE;
	*ret = loom_take(c);
	return 0;
}

int visible_lock(struct db *db, const struct identity *who, int64_t id, struct cluster **ret,
                 struct outcome *o)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_lock(db, id, &c);
	if (rc == CLUSTER_E_NONE || (!rc && !visible_to(who, c)))
		return outcome_refuse(o, 404, "cluster %08lld not found", (long long)id);
	*ret = rc ? NULL : loom_take(c);
	return rc;
}

void visible_refuse(struct http_req *req, int rc, int64_t id)
{
	if (rc == CLUSTER_E_NONE)
		http_reply_text(req, 404, "cluster %08lld not found", (long long)id);
	else
		api_reply_db(req, rc);
}
