/* SPDX-License-Identifier: Apache-2.0 */
/* worker_call - checks on the loop what is cached there, and the rest on a thread. */
#include "services/api/worker/worker_call.h"

#include "common/base/netlist.h"
#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/catalog/entity.h"
#include "common/model/worker/provisioner.h"
#include "services/api/request/legacy.h"
#include "services/api/worker/provisioner_cache.h"

#include <errno.h>
#include <string.h>

#define MAX_ANSWER  (32u << 20) /* twice the bus's limit */
#define MAX_ON_LOOP (32u << 10) /* bytes parsed on the loop: a tenth of a millisecond */

bool worker_allowed(struct http_req *req, const struct api *a, const struct json *body)
{
	struct net_addr from;
	bool claims = false;
	if (!json_bool(json_get(body, "claim"), &claims))
		claims = !str_blank(json_get_str(body, "claim"));
	if (claims || (net_addr_peer(http_peer(req), &from) &&
	               net_list_has(a->cfg.secretless_workers, &from)))
		return true;
	http_reply_text(req, 403,
	                "a worker at %s must ask for a secret with its tasks (\"claim\": true) and "
	                "show it with all it says of them; others are let in from the networks in "
	                "secretless_workers",
	                http_peer(req));
	return false;
}

/* Operators ask for it by a path, in which a name has no slash. Owned. */
static char *legacy_provisioner(const char *worker)
{
	char *id = loom_asprintf(PROVISIONER_SILENT "%s", worker);
	for (char *at = id; *at; at++)
		*at = (char)(*at == '/' ? ':' : *at);
	return id;
}

void worker_call_from_legacy(struct worker_call *k)
{
	struct json *body = legacy_finish(k->body);
	LOOM_CLEANUP_STR char *id = legacy_provisioner(json_get_str(body, "workerId"));
	json_set_str(body, "provisionerId", id);
	json_set_str(body, "tenantId", TENANT_SUPERADMIN);
	json_free(k->body);
	k->body = body;
}

/* Checks that the provisioner is registered, and notes for which tenant it asks; false when
 * answered. */
static bool check_provisioner(struct http_req *req, const struct worker_call *k,
                              const char *asks_for)
{
	const char *id = json_get_str(k->body, "provisionerId");
	bool known = false;
	int rc = k->legacy ? provisioner_cache_put_silent(k->a->provisioners, k->a->db, id,
	                                                  k->pass.tenant)
	                   : 0;
	if (rc == PROVISIONER_E_OTHER) {
		http_reply_text(req, 403, "worker %s is another tenant's", id);
		return false;
	}
	if (!rc)
		rc = provisioner_cache_ask(k->a->provisioners, k->a->db, id, &known);
	if (!rc && known && asks_for)
		rc = provisioner_cache_note_tenant(k->a->provisioners, k->a->db, id, asks_for);
	if (rc && k->only_try)
		return true;
	if (rc)
		api_reply_db(req, rc);
	else if (!known)
		http_reply_text(req, 403, "provisioner %s is not registered", id);
	return !rc && known;
}

bool worker_call_begin(struct http_req *req, struct worker_call *k)
{
	bool here = loop_is_here(http_loop(req));
	size_t len;
	http_body(req, &len);
	if (here && len > MAX_ON_LOOP) {
		http_to_pool(req, k->handler, k->a);
		return false;
	}
	k->legacy = legacy_is(req);
	if (!k->read(req, k) || !worker_allowed(req, k->a, k->body))
		return false;
	int rc = auth_worker(k->a, req, here ? 0 : AUTH_WAIT_MS,
	                     k->legacy ? NULL : json_get_str(k->body, "tenantId"), &k->pass);
	if (rc == -EAGAIN)
		http_to_pool(req, k->handler, k->a);
	if (rc)
		return false;
	if (k->legacy && *k->pass.tenant)
		json_set_str(k->body, "tenantId", k->pass.tenant);
	bool asks = k->takes || json_get_int(k->body, "next", 0) > 0;
	const char *asks_for = asks ? json_get_str(k->body, "tenantId") : NULL;
	if (!here)
		return check_provisioner(req, k, asks_for);
	if (provisioner_cache_has(k->a->provisioners, json_get_str(k->body, "provisionerId"),
	                          asks_for))
		return true;
	http_to_pool(req, k->handler, k->a);
	return false;
}

void worker_call_fini(struct worker_call *k)
{
	json_free(k->body);
	loom_free(k->refusal);
}

void worker_give_tasks(struct http_req *req, const struct json *tasks, int64_t held_ms)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(MAX_ANSWER);
	buf_addc(&b, '{');
	json_emit_text(&b, "tasks", "[");
	for (size_t i = 0; i < json_len(tasks); i++) {
		if (i)
			buf_addc(&b, ',');
		buf_adds(&b, json_str(json_at(tasks, i)));
	}
	buf_addc(&b, ']');
	json_emit_int(&b, "heldMs", held_ms);
	buf_addc(&b, '}');
	loom_assert(!b.full);
	http_reply(req, 200, "application/json", buf_str(&b), b.len);
}
