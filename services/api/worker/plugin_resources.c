/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's plug-in files (REST spec 4.2): lists them, slates versions, and syncs: makes the
 * slated versions live and has the tenant's provisioners notified.
 */
#include "services/api/worker/plugin_resources.h"

#include "common/base/str.h"
#include "common/model/worker/worker_share.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/resources.h"
#include "services/api/watch/listing.h"
#include "services/api/worker/share_push.h"

#include <string.h>

struct resource_call {
	struct plugin_resource_at at;
	bool slated, known;
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
	int rc = entity_get(db, TENANT_SUPERADMIN, k->at.kind, k->at.plugin, &doc);
	k->known = !rc && json_get(json_get(doc, "resourceTypes"), k->at.type);
	return rc == ENTITY_E_NONE ? 0 : rc;
}

static struct plugin_resource_at named(const struct http_req *req)
{
	struct plugin_resource_at at = { .tenant = request_who(req)->tenant_id,
		                         .kind = plugin_kind_of(req),
		                         .plugin = http_param(req, "plugin"),
		                         .type = http_param(req, "type"),
		                         .name = http_param(req, "name") };
	if (!at.type) { /* all of a type */
		at.plugin = at.name;
		at.type = http_param(req, "part");
		at.name = NULL;
	}
	return at;
}

bool plugin_resource_of(struct http_req *req, struct plugin_resource_at *ret)
{
	const struct api *a = http_ctx(req);
	const char *v = http_param(req, "version");
	*ret = named(req);
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
	else if (ret->name && !plugin_resource_name_ok(ret->name))
		http_reply_text(req, 400,
		                "the name must be 1 to 255 letters, digits, '_', '.' and '-'");
	else
		return true;
	return false;
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

static int read_names(struct db *db, struct http_req *req, struct list_part *part,
                      struct json **ret)
{
	const struct plugin_resource_at at = named(req);
	return plugin_resource_names(db, &at, http_query(req, "status"), part, ret);
}

static int read_versions(struct db *db, struct http_req *req, struct list_part *part,
                         struct json **ret)
{
	const struct plugin_resource_at at = named(req);
	return plugin_resource_versions(db, &at, http_query(req, "status"), part, ret);
}

static bool is_name(struct http_req *req LOOM_UNUSED, const char *text)
{
	return plugin_resource_name_ok(text);
}

static void list(struct http_req *req, void *ctx, const struct listing_kind *kind)
{
	struct plugin_resource_at at;
	if (!plugin_resource_of(req, &at))
		return;
	const struct tally_of of = tally_of_files(&at);
	listing_answer(req, ctx, kind, &of);
}

void plugin_resources_list_get(struct http_req *req, void *ctx)
{
	static const struct listing_kind names = { .rules = { .key = "name", .filters = true },
		                                   .read = read_names,
		                                   .first = PLUGIN_VERSIONS_MAX,
		                                   .most = PLUGIN_VERSIONS_MAX,
		                                   .value = "versions",
		                                   .is_place = is_name };
	list(req, ctx, &names);
}

void plugin_resources_get(struct http_req *req, void *ctx)
{
	static const struct listing_kind versions = { .rules = { .key = "version",
		                                                 .filters = true },
		                                      .read = read_versions,
		                                      .first = PLUGIN_VERSIONS_MAX,
		                                      .most = PLUGIN_VERSIONS_MAX,
		                                      .number = true };
	list(req, ctx, &versions);
}

/* ---- changes --------------------------------------------------------------------------------- */

void plugin_resources_changed(struct api *a, const char *tenant)
{
	peers_catalog(a, tenant, "pluginfiles");
}

static int delete_tx(struct db *db, void *arg)
{
	const struct resource_call *k = arg;
	return plugin_resource_delete(db, &k->at);
}

void plugin_resources_delete(struct http_req *req, void *ctx)
{
	struct resource_call k = { 0 };
	if (!plugin_resource_of(req, &k.at))
		return;
	int rc = audit_tx(req, delete_tx, &k);
	plugin_resources_changed(ctx, k.at.tenant);
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
	plugin_resources_changed(http_ctx(req), k.at.tenant);
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

/* The provisioners are notified after the commit; one that does not answer is notified again. */
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
	plugin_resources_changed(ctx, tenant);
	if (rc)
		api_reply_db(req, rc);
	else
		repeat_reply(req, &done);
	share_push_soon(ctx);
}
