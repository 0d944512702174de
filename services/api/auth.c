/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, in which tenant, in which role. */
#include "services/api/auth.h"

#include "common/base/str.h"
#include "common/model/entity.h"
#include "common/model/tenant.h"

#include <stdio.h>
#include <string.h>

/* Who asks, and where: each in our header or in the original's. */
static const struct {
	const char *ours, *originals, *what;
} said[] = {
	{ "X-Loom-UserID", "Coopr-UserID", "who you are" },
	{ "X-Loom-TenantID", "Coopr-TenantID", "which tenant you work in" },
};

static const char *either(const struct http_req *req, const char *ours, const char *originals)
{
	const char *v = http_header(req, ours);
	return v ? v : http_header(req, originals);
}

static int said_once(const struct http_head *head, size_t i, struct loom_err *err)
{
	const char *found = NULL, *value = NULL;
	for (size_t k = 0; k < head->n; k++) {
		const char *name = head->headers[k].name;
		if (!str_ieq(name, said[i].ours) && !str_ieq(name, said[i].originals))
			continue;
		/* Behind a proxy that adds its own, the client's would come first. */
		if (found && (str_ieq(found, name) || !str_eq(value, head->headers[k].value)))
			return err_set(err, 400, "headers %s and %s: %s must be said once", found,
			               name, said[i].what);
		found = name;
		value = head->headers[k].value;
	}
	return 0;
}

int auth_head(const struct http_head *head, const struct http_route *route, void *ctx,
              struct loom_err *err)
{
	const struct api *a = ctx;
	bool asked = api_routes_rule(a->routes, route)->roles != ROLE_ANYBODY;
	for (size_t i = 0; i < LOOM_COUNT(said); i++) {
		int rc = said_once(head, i, err);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < LOOM_COUNT(said) && asked; i++) {
		if (str_blank(http_head_value(head, said[i].ours)) &&
		    str_blank(http_head_value(head, said[i].originals)))
			return err_set(err, 401, "header %s is missing: it says %s", said[i].ours,
			               said[i].what);
	}
	return 0;
}

const char *auth_share(const struct http_req *req)
{
	const char *tenant = either(req, said[1].ours, said[1].originals);
	return str_blank(tenant) ? NULL : tenant;
}

struct lookup {
	const char *name;
	char *id;
};

static int lookup_read(struct db *db, void *arg)
{
	struct lookup *l = arg;
	loom_free(l->id);
	return tenant_id_by_name(db, l->name, &l->id);
}

static bool refuse(struct http_req *req, int status, const char *why)
{
	http_reply_text(req, status, "%s", why);
	return false;
}

static bool is_utf8(const char *s)
{
	for (size_t n; *s; s += n) {
		n = str_utf8_len(s, strlen(s));
		if (!n)
			return false;
	}
	return true;
}

bool auth(struct api *a, struct http_req *req, struct identity *who)
{
	const char *user = either(req, said[0].ours, said[0].originals);
	const char *tenant = either(req, said[1].ours, said[1].originals);
	if (str_blank(user))
		return refuse(req, 401, "header X-Loom-UserID is missing: it says who you are");
	if (str_blank(tenant))
		return refuse(
			req, 401,
			"header X-Loom-TenantID is missing: it says which tenant you work in");
	if (strlen(user) >= sizeof(who->user))
		return refuse(req, 401, "header X-Loom-UserID is longer than 255 characters");
	if (!is_utf8(user))
		return refuse(req, 401, "header X-Loom-UserID is not UTF-8");
	struct lookup l = { .name = tenant };
	/* The superadmin tenant always exists, with its name as its id. */
	if (str_eq(tenant, TENANT_SUPERADMIN))
		l.id = loom_strdup(tenant);
	int rc = l.id ? 0 : db_read(a->db, lookup_read, &l);
	if (rc) {
		api_reply_db(req, rc);
		return false;
	}
	if (!l.id) {
		http_reply_text(req, 404, "tenant %s does not exist", tenant);
		return false;
	}
	snprintf(who->user, sizeof(who->user), "%s", user);
	snprintf(who->tenant_id, sizeof(who->tenant_id), "%s", l.id);
	loom_free(l.id);
	who->role = !str_eq(user, "admin")                      ? ROLE_USER
	            : str_eq(who->tenant_id, TENANT_SUPERADMIN) ? ROLE_SUPERADMIN
	                                                        : ROLE_ADMIN;
	return true;
}

bool auth_sees_all(const struct identity *who)
{
	return who->role & (ROLES_ADMIN | ROLE_AUDITOR);
}
