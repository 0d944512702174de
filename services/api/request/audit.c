/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the audit row of a request: who asks for what, from where. Written with the change
 * itself. */
#include "services/api/request/audit.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/model/catalog/entity.h"
#include "services/api/request/legacy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool audit_is_change(const struct route *r)
{
	return r->repeat != REPEAT_READS && !str_eq(r->scope, "tasks:work");
}

void audit_note_fini(struct audit_note *n)
{
	loom_free(n->object);
	loom_free(n->before);
	loom_free(n->after);
}

static void replace(char **at, char *with)
{
	loom_free(*at);
	*at = with;
}

void audit_change(struct http_req *req, const struct json *before, const struct json *after)
{
	struct audit_note *n = request_note(req);
	n->described = true;
	replace(&n->before, audit_text(before));
	replace(&n->after, audit_text(after));
}

void audit_before(struct http_req *req, const struct json *before)
{
	replace(&request_note(req)->before, audit_text(before));
}

void audit_object(struct http_req *req, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	replace(&request_note(req)->object, text_utf8(loom_vasprintf(fmt, ap)));
	va_end(ap);
}

/* The cluster, if the path names it or a part of it; else the path. */
static char *object_of(const struct http_req *req, const struct route *r)
{
	const char *path = legacy_below(http_path(req));
	if (r->owner == OWNER_CLUSTER || r->owner == OWNER_TASK) {
		char id[ID_MAX];
		id_cluster(id, request_cluster(req));
		return loom_asprintf("clusters/%s", id);
	}
	return loom_strdup(path + 1);
}

/* Cuts text to the column's size. */
static char *fit(char *text, size_t max)
{
	size_t n = strlen(text);
	if (n > max)
		text[text_whole(text, max)] = '\0';
	return text_utf8(text);
}

/* Members that may hold secrets in bodies that no handler has described, as the documents of an
 * import. Only plug-in types know which of their fields are secret, so these are masked whole. */
static bool may_be_secret(const char *member)
{
	static const char *const members[] = { "provisioner", "providerFields", "properties",
		                               "provisionerResults", "provisionerActions" };
	size_t i = 0;
	while (i < LOOM_COUNT(members) && !str_eq(members[i], member))
		i++;
	return i < LOOM_COUNT(members);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, which is bounded */
static void mask_members(struct json *v)
{
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_is(v, JSON_OBJECT) ? json_key_at(v, i) : NULL;
		if (name && may_be_secret(name))
			json_set_str(v, name, AUDIT_MASK);
		else
			mask_members(name ? json_value_at(v, i) : json_at(v, i));
	}
}

/* The request's body with its secrets masked; owned. */
static char *body_of(const struct http_req *req, const struct route *r)
{
	LOOM_CLEANUP(json_free) struct json *body = json_copy(request_body(req));
	mask_members(body);
	for (const struct schema_field *f = r->body->fields; f && f->name; f++) {
		if (f->schema->secret && json_get(body, f->name))
			json_set_str(body, f->name, AUDIT_MASK);
	}
	return audit_text(body);
}

/* The audit row of a request, and the texts that the row borrows. */
struct draft {
	struct audit_row row;
	char *object, *action;
	char from[64];
};

static void draft_fini(struct draft *d)
{
	loom_free(d->object);
	loom_free(d->action);
}

static void draft(struct http_req *req, int64_t status, struct draft *d)
{
	const struct api *a = http_ctx(req);
	const struct route *r = request_route(req);
	const struct identity *who = request_who(req);
	struct audit_note *n = request_note(req);
	if (!*n->id)
		audit_id(n->id);
	if (!n->after && !n->described && request_has_body(req))
		n->after = body_of(req, r);
	d->object = fit(n->object ? loom_strdup(n->object) : object_of(req, r), 255);
	d->action = loom_asprintf("%s %s", r->method, r->path);
	LOOM_CLEANUP_STR char *forwarded = audit_forwarded(req);
	audit_from(a->cfg.trusted_proxies, http_peer(req), forwarded, d->from);
	d->row = (struct audit_row){ .tenant = who->tenant_id,
		                     .home = who->home,
		                     .user = who->user,
		                     .token = who->token,
		                     .role = *who->user ? role_name(who->role) : "",
		                     .peer = d->from,
		                     .request = http_id(req),
		                     .action = d->action,
		                     .object = d->object,
		                     .status = status,
		                     .count = 1,
		                     .before = n->before,
		                     .after = n->after };
	memcpy(d->row.id, n->id, sizeof(n->id));
}

static int add(struct db *db, struct http_req *req, int64_t status)
{
	struct draft d = { 0 };
	draft(req, status, &d);
	int rc = audit_add(db, &d.row);
	draft_fini(&d);
	return rc;
}

/* ---- with the change ------------------------------------------------------------------------- */

int audit_row(struct db *db, struct http_req *req)
{
	const struct api *a = http_ctx(req);
	request_note(req)->written = true;
	return a->cfg.audit ? add(db, req, 200) : 0;
}

struct change {
	struct http_req *req;
	db_tx_fn fn;
	void *arg;
	struct outcome *o; /* may be NULL */
};

static int change_tx(struct db *db, void *arg)
{
	const struct change *c = arg;
	if (c->o)
		*c->o = (struct outcome){ 0 };
	int rc = c->fn(db, c->arg);
	return rc ? rc : audit_row(db, c->req);
}

static int run(struct change *c)
{
	struct api *a = http_ctx(c->req);
	return db_tx(a->db, change_tx, c);
}

int audit_tx(struct http_req *req, db_tx_fn fn, void *arg)
{
	return run(&(struct change){ req, fn, arg, NULL });
}

int audit_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg, struct outcome *o)
{
	return outcome_settle(o, run(&(struct change){ req, fn, arg, o }));
}

static int asked_tx(struct db *db, void *arg)
{
	return add(db, arg, AUDIT_ASKED);
}

int audit_asked(struct http_req *req)
{
	struct api *a = http_ctx(req);
	int rc = a->cfg.audit ? db_tx(a->db, asked_tx, req) : 0;
	request_note(req)->written = !rc;
	return rc;
}
