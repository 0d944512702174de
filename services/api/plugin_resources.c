/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's files for plug-ins (REST spec 4.2): lists, which versions are slated, and the sync
 * that makes these the live ones and has the tenant's provisioners told.
 */
#include "services/api/plugin_resources.h"

#include "common/base/str.h"
#include "common/model/worker_share.h"
#include "services/api/audit.h"
#include "services/api/repeat.h"
#include "services/api/resources.h"
#include "services/api/telling.h"

#include <string.h>

struct resource_call {
	struct plugin_resource_at at;
	const char *status; /* NULL: any */
	bool slated, known;
	struct json *list;
};

enum entity_kind plugin_kind_of(const struct http_req *req)
{
	bool automator = strstr(request_route(req)->path, "/automatortypes/");
	return automator ? ENTITY_AUTOMATORTYPE : ENTITY_PROVIDERTYPE;
}

/* ---- which one ------------------------------------------------------------------------------- */

static int known_read(struct db *db, void *arg)
{
	struct resource_call *k = arg;
	LOOM_CLEANUP(json_free) struct json *doc = NULL;
	int rc = entity_get(db, TENANT_SUPERADMIN, k->at.kind, k->at.plugin, 0, &doc);
	k->known = !rc && json_get(json_get(doc, "resourceTypes"), k->at.type);
	return rc == ENTITY_E_NONE ? 0 : rc;
}

bool plugin_resource_of(struct http_req *req, struct plugin_resource_at *ret)
{
	const struct api *a = http_ctx(req);
	const char *v = http_param(req, "version"), *type = http_param(req, "part");
	*ret = (struct plugin_resource_at){ .tenant = request_who(req)->tenant_id,
		                            .kind = plugin_kind_of(req),
		                            .plugin = http_param(req, "plugin"),
		                            .type = http_param(req, "type"),
		                            .name = http_param(req, "name") };
	if (type) { /* the list of all of a type */
		ret->plugin = ret->name;
		ret->type = type;
		ret->name = NULL;
	}
	if (v && (str_to_int(v, &ret->version) || ret->version < 1)) {
		http_reply_text(req, 400, "version '%.32s' must be a whole number from 1", v);
		return false;
	}
	struct resource_call k = { .at = *ret };
	bool named = plugin_resource_name_ok(ret->plugin) && plugin_resource_name_ok(ret->type);
	int rc = named ? db_read(a->db, known_read, &k) : 0;
	if (rc)
		api_reply_db(req, rc);
	else if (!k.known)
		http_reply_text(req, 404, "%s for %s plugin %s not found.", ret->type,
		                ret->kind == ENTITY_PROVIDERTYPE ? "provider" : "automator",
		                ret->plugin);
	return !rc && k.known;
}

void plugin_resource_refuse(struct http_req *req, const struct plugin_resource_at *at, int rc)
{
	const char *name = at->name ? at->name : "";
	if (rc == PLUGIN_RESOURCE_E_NONE)
		http_reply_text(req, 404, "%s has no version %lld", name, (long long)at->version);
	else if (rc == PLUGIN_RESOURCE_E_USED)
		http_reply_text(req, 409,
		                "a version of %s that is meant is in use: recall it and sync first",
		                name);
	else
		api_reply_db(req, rc);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static int list_read(struct db *db, void *arg)
{
	struct resource_call *k = arg;
	json_free(k->list);
	k->list = NULL;
	return plugin_resources_list(db, &k->at, k->status, &k->list);
}

/* false when answered. */
static bool list(struct http_req *req, struct resource_call *k)
{
	const struct api *a = http_ctx(req);
	bool live, slated;
	k->status = http_query(req, "status");
	if (!plugin_resource_of(req, &k->at))
		return false;
	if (k->status && !plugin_resource_status(k->status, &live, &slated)) {
		http_reply_text(req, 400,
		                "status '%.32s' is none of inactive, staged, active, recalled",
		                k->status);
		return false;
	}
	int rc = db_read(a->db, list_read, k);
	if (rc)
		api_reply_db(req, rc);
	return !rc;
}

void plugin_resources_list_get(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct resource_call k = { 0 };
	if (list(req, &k))
		http_reply_json(req, 200, k.list);
	json_free(k.list);
}

void plugin_resources_get(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct resource_call k = { 0 };
	LOOM_CLEANUP(json_free) struct json *none = json_new_arr();
	if (list(req, &k)) {
		const struct json *of_name = json_get(k.list, k.at.name);
		http_reply_json(req, 200, of_name ? of_name : none);
	}
	json_free(k.list);
}

/* ---- changes --------------------------------------------------------------------------------- */

static int delete_tx(struct db *db, void *arg)
{
	const struct resource_call *k = arg;
	return plugin_resource_delete(db, &k->at);
}

void plugin_resources_delete(struct http_req *req, void *ctx LOOM_UNUSED)
{
	struct resource_call k = { 0 };
	if (!plugin_resource_of(req, &k.at))
		return;
	int rc = audit_tx(req, delete_tx, &k);
	if (rc)
		plugin_resource_refuse(req, &k.at, rc);
	else
		http_reply_empty(req, 200);
}

static int slate_tx(struct db *db, void *arg)
{
	const struct resource_call *k = arg;
	return plugin_resource_slate(db, &k->at, k->slated);
}

static void slate(struct http_req *req, bool slated)
{
	struct resource_call k = { .slated = slated };
	const struct answer done = { 0 };
	if (!plugin_resource_of(req, &k.at))
		return;
	int rc = repeat_tx(req, slate_tx, &k, &done);
	if (rc)
		plugin_resource_refuse(req, &k.at, rc);
	else
		repeat_reply(req, &done);
}

void plugin_resources_stage(struct http_req *req, void *ctx LOOM_UNUSED)
{
	slate(req, true);
}

void plugin_resources_recall(struct http_req *req, void *ctx LOOM_UNUSED)
{
	slate(req, false);
}

/* Told are the provisioners after the commit; whoever does not answer is told again. */
static int sync_tx(struct db *db, void *arg)
{
	const char *tenant = arg;
	int rc = plugin_resources_sync(db, tenant);
	return rc ? rc : shares_touch(db, tenant);
}

void plugin_resources_sync_post(struct http_req *req, void *ctx)
{
	const struct answer done = { 0 };
	LOOM_CLEANUP_STR char *tenant = loom_strdup(request_who(req)->tenant_id);
	int rc = repeat_tx(req, sync_tx, tenant, &done);
	if (rc)
		api_reply_db(req, rc);
	else
		repeat_reply(req, &done);
	telling_soon(ctx);
}
