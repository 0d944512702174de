/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which clusters a caller may see; the others do not exist for him. */
#include "services/api/request/visible.h"

#include "common/base/str.h"

bool visible_to(const struct identity *who, const char *tenant_id, const char *owner_id)
{
	return str_eq(who->tenant_id, tenant_id) &&
	       (auth_sees_all(who) || str_eq(who->user, owner_id));
}

int visible_get(struct db *db, const struct identity *who, int64_t id, struct cluster **ret)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, id, &c);
	if (rc)
		return rc;
	if (!visible_to(who, c->tenant_id, c->owner_id))
		return CLUSTER_E_NONE;
	*ret = loom_take(c);
	return 0;
}

int visible_lock(struct db *db, int64_t id, struct cluster **ret, struct outcome *o)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_lock(db, id, &c);
	if (rc == CLUSTER_E_NONE)
		return outcome_refuse(o, 404, "cluster %08lld not found", (long long)id);
	*ret = rc ? NULL : loom_take(c);
	return rc;
}

int visible_check(const struct cluster *c, const struct precondition *p, struct outcome *o)
{
	char tag[TAG_MAX];
	cluster_tag(tag, c, "");
	return precondition_met(p, tag)
	               ? 0
	               : outcome_refuse(o, 412,
	                                "cluster %08lld has changed meanwhile: its ETag is no "
	                                "longer the one given",
	                                (long long)c->id);
}

void visible_refuse(struct http_req *req, int rc, int64_t id)
{
	if (rc == CLUSTER_E_NONE)
		http_reply_text(req, 404, "cluster %08lld not found", (long long)id);
	else
		api_reply_db(req, rc);
}
