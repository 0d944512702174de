/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/auth.h"

#include "common/base/str.h"
#include "common/model/entity.h"
#include "common/model/tenant.h"

#include <stdio.h>
#include <string.h>

static const char *either(struct http_req *req, const char *ours, const char *originals)
{
	const char *v = http_header(req, ours);
	return v ? v : http_header(req, originals);
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

bool auth(struct api *a, struct http_req *req, enum role needed, struct identity *who)
{
	const char *user = either(req, "X-Loom-UserID", "Coopr-UserID");
	const char *tenant = either(req, "X-Loom-TenantID", "Coopr-TenantID");
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
	if (who->role >= needed)
		return true;
	return refuse(req, 403,
	              needed == ROLE_SUPERADMIN
	                      ? "only the superadmin (user admin of tenant superadmin) may do this"
	                      : "only an administrator (user admin) may do this");
}
