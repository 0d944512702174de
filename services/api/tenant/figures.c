/* SPDX-License-Identifier: Apache-2.0 */
/* figures - waiting and running tasks by tenant, and the time for which nodes existed (REST spec
 * 13). */
#include "services/api/resources.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/cluster/cluster_list.h"
#include "common/model/cluster/usage.h"
#include "common/model/identity/tenant.h"
#include "services/api/request/request.h"
#include "services/api/tenant/node_usage.h"

#define PIECE ((size_t)4 * DB_MANY) /* clusters whose nodes are read at a time */

/* ---- queues ---------------------------------------------------------------------------------- */

struct queues_call {
	const char *tenant_id; /* NULL: all */
	struct json *shown;
};

static int queues_read(struct db *db, void *arg)
{
	struct queues_call *k = arg;
	json_free(k->shown);
	k->shown = NULL;
	return usage_queues(db, k->tenant_id, &k->shown);
}

void figures_queues(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct identity *who = request_who(req);
	struct queues_call k = { .tenant_id =
		                         who->role == ROLE_SUPERADMIN ? NULL : who->tenant_id };
	int rc = db_read(a->db, queues_read, &k);
	if (rc)
		api_reply_db(req, rc);
	else
		http_reply_json(req, 200, k.shown);
	json_free(k.shown);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

struct usage_call {
	struct cluster_filter filter;
	int64_t cluster; /* 0: all */
	struct strs tenants;
	size_t at; /* index of the tenant being read */
	struct cluster_keys keys;
	size_t from; /* the first key not read yet */
	struct node_lives lives;
	size_t kept; /* how many lives earlier pieces kept */
	int64_t now;
};

static int tenants_read(struct db *db, void *arg)
{
	struct usage_call *k = arg;
	strs_fini(&k->tenants);
	k->tenants = (struct strs){ 0 };
	return tenant_ids(db, &k->tenants);
}

static int keys_read(struct db *db, void *arg)
{
	struct usage_call *k = arg;
	loom_free(k->keys.ids);
	k->keys = (struct cluster_keys){ 0 };
	int rc = db_now(db, &k->now);
	return rc ? rc : cluster_list_keys(db, &k->filter, &k->keys);
}

static void add(int64_t from, int64_t to, void *arg)
{
	node_lives_add(arg, from, to);
}

static int piece_read(struct db *db, void *arg)
{
	struct usage_call *k = arg;
	size_t n = k->keys.n - k->from < PIECE ? k->keys.n - k->from : PIECE;
	k->lives.n = k->kept;
	return usage_machines(db, k->keys.ids + k->from, n, add, &k->lives);
}

/* Reduces the clusters to the requested one, if it is among them. */
static void narrow(struct usage_call *k)
{
	size_t n = 0;
	for (size_t i = 0; k->cluster && i < k->keys.n; i++) {
		if (k->keys.ids[i] == k->cluster)
			k->keys.ids[n++] = k->cluster;
	}
	k->keys.n = k->cluster ? n : k->keys.n;
}

static int read_tenant(struct api *a, struct usage_call *k)
{
	int rc = db_read(a->db, keys_read, k);
	narrow(k);
	for (k->from = 0; !rc && k->from < k->keys.n; k->from += PIECE) {
		k->kept = k->lives.n;
		rc = db_read(a->db, piece_read, k);
	}
	return rc;
}

/* For a superadmin: any tenant by its id, or all. */
static int read_all(struct api *a, const struct identity *who, const char *tenant,
                    struct usage_call *k)
{
	int rc = 0;
	if (who->role == ROLE_SUPERADMIN && !tenant)
		rc = db_read(a->db, tenants_read, k);
	else
		strs_add(&k->tenants, tenant ? tenant : who->tenant_id);
	for (size_t i = 0; !rc && i < k->tenants.n; i++) {
		k->filter.tenant_id = k->tenants.v[i];
		rc = read_tenant(a, k);
	}
	return rc;
}

static bool time_of(struct http_req *req, const char *name, int64_t *ret)
{
	const char *text = http_query(req, name);
	*ret = -1;
	if (!text || (!str_to_int(text, ret) && *ret >= 0 && *ret <= INT64_MAX / 1000))
		return true;
	http_reply_text(req, 400, "%s '%.32s' must be a whole number: seconds since 1970", name,
	                text);
	return false;
}

static bool asked(struct http_req *req, const struct identity *who, struct usage_call *k,
                  struct node_usage *u)
{
	const char *tenant = http_query(req, "tenant"), *cluster = http_query(req, "cluster");
	struct loom_err err = { 0 };
	if (tenant && who->role != ROLE_SUPERADMIN && !str_eq(tenant, who->tenant_id)) {
		http_reply_text(req, 405, "only the superadmin is shown another tenant's");
		return false;
	}
	if (cluster && id_parse_cluster(cluster, &k->cluster)) {
		http_reply_text(req, 400, "cluster '%.32s' is not a number, as 00000012", cluster);
		return false;
	}
	if (!time_of(req, "start", &u->start) || !time_of(req, "end", &u->end))
		return false;
	u->group = http_query(req, "groupby");
	u->time_unit = http_query(req, "timeunit");
	if (node_usage_check(u, &err)) {
		http_reply_text(req, 400, "%s", err.msg);
		return false;
	}
	k->filter.owner_id = auth_sees_all(who) ? http_query(req, "user") : who->user;
	k->filter.template_name = http_query(req, "clustertemplate");
	return true;
}

/* A user who asks for another user's clusters sees none. */
static bool is_foreign(struct http_req *req, const struct identity *who)
{
	const char *user = http_query(req, "user");
	return user && !auth_sees_all(who) && !str_eq(user, who->user);
}

void figures_nodes(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct identity *who = request_who(req);
	struct usage_call k = { 0 };
	struct node_usage u = { 0 };
	if (!asked(req, who, &k, &u))
		return;
	LOOM_CLEANUP(json_free) struct json *out = NULL;
	struct loom_err err = { 0 };
	int rc = read_all(a, who, http_query(req, "tenant"), &k);
	if (is_foreign(req, who))
		k.lives.n = 0;
	if (rc)
		api_reply_db(req, rc);
	else if (node_usage_sum(&u, &k.lives, k.now / 1000, &out, &err))
		http_reply_text(req, 400, "%s", err.msg);
	else
		http_reply_json(req, 200, out);
	strs_fini(&k.tenants);
	loom_free(k.keys.ids);
	node_lives_fini(&k.lives);
}
