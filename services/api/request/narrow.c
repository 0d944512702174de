/* SPDX-License-Identifier: Apache-2.0 */
/* Restricts callers to what their tenant's own roles permit. */
#include "services/api/request/narrow.h"

#include "common/base/str.h"

struct roles_read {
	const struct identity *who;
	struct narrow *n;
	const char *missing;
};

void narrow_fini(struct narrow *n)
{
	for (size_t i = 0; i < n->n; i++)
		own_role_fini(&n->by[i].role);
	n->n = 0;
}

static int roles_read(struct db *db, void *arg)
{
	struct roles_read *k = arg;
	int rc = 0;
	narrow_fini(k->n);
	for (size_t i = 0; i < NARROW_MOST && !rc; i++) {
		const char *name = k->who->own[i];
		if (!*name)
			continue;
		rc = own_role_get(db, k->who->home, name, &k->n->by[k->n->n].role);
		k->missing = rc ? name : NULL;
		k->n->by[k->n->n].name = name;
		k->n->n += !rc;
	}
	return rc;
}

bool narrow_read(struct api *a, struct http_req *req, const struct identity *who,
                 struct narrow *ret)
{
	struct roles_read k = { .who = who, .n = ret };
	int rc = auth_narrowed(who) ? db_read(a->db, roles_read, &k) : 0;
	if (rc == OWN_ROLE_E_NONE)
		http_reply_text(req, 403, "your role %s does not exist any more", k.missing);
	else if (rc)
		api_reply_db(req, rc);
	return !rc;
}

/* Everybody may sign out, and ask who he is. */
static bool is_permitted(const struct own_role *role, const struct route *r)
{
	return str_starts(r->scope, "session:") ||
	       auth_covers(role->permissions, route_permission(r));
}

bool narrow_permits(const struct narrow *n, struct http_req *req, const struct route *r)
{
	for (size_t i = 0; i < n->n; i++) {
		if (is_permitted(&n->by[i].role, r))
			continue;
		http_reply_text(req, 403, "your role %s does not permit %s", n->by[i].name,
		                route_permission(r));
		return false;
	}
	return true;
}

static bool refuse(struct http_req *req, const struct route *r, const char *role, const char *what,
                   const char *name)
{
	http_reply_text(req, 403, "your role %s does not permit %s with the %s %s", role,
	                route_permission(r), what, name ? name : "that there is");
	return false;
}

bool narrow_permits_cluster(const struct narrow *n, struct http_req *req, const struct route *r,
                            const char *template, const char *provider)
{
	if (r->repeat == REPEAT_READS)
		return true;
	for (size_t i = 0; i < n->n; i++) {
		const struct own_role *role = &n->by[i].role;
		if (!own_role_names(role->templates, template))
			return refuse(req, r, n->by[i].name, "template", template);
		if (!own_role_names(role->providers, provider))
			return refuse(req, r, n->by[i].name, "provider", provider);
	}
	return true;
}
