/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the table of routes as a page to read: plain HTML with inline style, no script. */
#include "services/api/request/repeat.h"
#include "services/api/routes/openapi.h"

#include "common/base/str.h"
#include "common/base/version.h"
#include "common/net/http_server.h"

#include <string.h>

#define PAGE_MAX  ((size_t)4 << 20)
#define DEPTH_MAX 6 /* of nested fields shown */

static void add_text(struct buf *b, const char *s)
{
	for (; s && *s; s++) {
		if (*s == '<')
			buf_adds(b, "&lt;");
		else if (*s == '>')
			buf_adds(b, "&gt;");
		else if (*s == '&')
			buf_adds(b, "&amp;");
		else if (*s == '"')
			buf_adds(b, "&quot;");
		else
			buf_addc(b, *s);
	}
}

/* ---- schemas --------------------------------------------------------------------------------- */

static void add_type(struct buf *b, const struct schema *s)
{
	static const char *const names[] = {
		[SCHEMA_ANY] = "any",          [SCHEMA_STRING] = "text",
		[SCHEMA_INTEGER] = "integer",  [SCHEMA_NUMBER] = "number",
		[SCHEMA_BOOLEAN] = "boolean",  [SCHEMA_OBJECT] = "object",
		[SCHEMA_MAP] = "map of names", [SCHEMA_ARRAY] = "array",
	};
	buf_adds(b, names[s->type]);
	if ((s->type == SCHEMA_ARRAY || s->type == SCHEMA_MAP) && s->items) {
		buf_adds(b, s->type == SCHEMA_ARRAY ? " of " : " to ");
		add_type(b, s->items);
	}
	if (s->type == SCHEMA_INTEGER && s->max)
		buf_addf(b, " %lld to %lld", (long long)s->min, (long long)s->max);
	else if (s->max)
		buf_addf(b, ", at most %lld", (long long)s->max);
	for (const char *const *w = s->words; w && *w; w++)
		buf_addf(b, "%s%s", w == s->words ? ": " : ", ", *w);
}

static const struct schema *inner(const struct schema *s)
{
	while (s && (s->type == SCHEMA_ARRAY || s->type == SCHEMA_MAP))
		s = s->items;
	return s && s->type == SCHEMA_OBJECT ? s : NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schemas nest, at most DEPTH_MAX */
static void add_fields(struct buf *b, const struct schema *s, int depth)
{
	s = inner(s);
	if (!s || !s->fields || depth == DEPTH_MAX)
		return;
	buf_adds(b, "<ul>");
	for (const struct schema_field *f = s->fields; f->name; f++) {
		const char *doc = f->doc ? f->doc : f->schema->doc;
		buf_addf(b, "<li><code>%s</code>%s <i>", f->name, f->flags ? "*" : "");
		add_type(b, f->schema);
		buf_adds(b, "</i> ");
		add_text(b, doc);
		add_fields(b, f->schema, depth + 1);
		buf_adds(b, "</li>\n");
	}
	buf_adds(b, "</ul>");
}

static void add_schema(struct buf *b, const char *title, const struct schema *s)
{
	if (!s || s == &answer_empty)
		return;
	buf_addf(b, "<details><summary>%s: ", title);
	if (s->name)
		buf_addf(b, "%s, ", s->name);
	add_type(b, s);
	buf_adds(b, "</summary>");
	add_fields(b, s, 0);
	buf_adds(b, "</details>\n");
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void add_who(struct buf *b, const struct route *r)
{
	static const char *const owners[] = {
		[OWNER_ALL] = "",
		[OWNER_TENANT] = ", of their tenant",
		[OWNER_CLUSTER] = ", of clusters they see",
		[OWNER_TASK] = ", of clusters they see",
		[OWNER_CLAIM] = ", who holds the task",
	};
	bool first = true;
	for (unsigned bit = 1; bit <= ROLE_ANYBODY; bit <<= 1) {
		if (!(r->roles & bit))
			continue;
		buf_addf(b, "%s%s", first ? "" : ", ", role_name((enum role)bit));
		first = false;
	}
	if (owners[r->owner])
		buf_adds(b, owners[r->owner]);
	if (*r->scope)
		buf_addf(b, " <code>%s</code>", route_permission(r));
}

static void add_queries(struct buf *b, const struct route *r)
{
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (!route_takes(r, q))
			continue;
		buf_addf(b, "<p><code>?%s=</code> ", q->name);
		add_text(b, q->doc);
		buf_adds(b, "</p>\n");
	}
}

static void add_route(struct buf *b, const struct route *r)
{
	int statuses[32];
	size_t n = openapi_statuses(r, statuses, LOOM_COUNT(statuses));
	buf_addf(b, "<section><h3><b>%s</b> <code>%s</code></h3><p>", r->method, r->path);
	add_text(b, r->summary);
	buf_adds(b, ".</p><p class=\"s\">For ");
	add_who(b, r);
	buf_adds(b, ". Answers ");
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%s%d", i ? ", " : "", statuses[i]);
	if (r->repeat == REPEAT_KEY)
		buf_adds(b, ". Twice is once with <code>Idempotency-Key</code>");
	else if (r->repeat == REPEAT_SAME)
		buf_adds(b, ". Twice is once");
	if (repeat_taken(r) && r->repeat != REPEAT_KEY)
		buf_adds(b, ". Takes <code>Idempotency-Key</code>");
	if (r->tag != TAG_NONE)
		buf_adds(b, ". Takes <code>If-Match</code> and <code>If-None-Match</code>");
	buf_adds(b, ".</p>\n");
	add_queries(b, r);
	add_schema(b, r->takes == TAKES_PATCH ? "Merge patch of" : "Body", r->body);
	add_schema(b, "Answer", r->answer);
	buf_adds(b, "</section>\n");
}

static void add_set(struct buf *b, const char *title, const struct route_set *s)
{
	buf_addf(b, "<h2>%s</h2>\n", title);
	for (size_t i = 0; i < s->n; i++)
		add_route(b, &s->rules[i]);
}

char *docs_page_make(const struct api_routes *r)
{
	struct buf b = BUF_INIT(PAGE_MAX);
	buf_adds(&b,
	         "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	         "<meta name=\"viewport\" content=\"width=device-width\"><title>Loom</title><style>"
	         "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
	         "color-scheme:light dark}section{border-top:1px solid #8884;padding:.3em 0}"
	         "h3{margin:.4em 0;font-weight:400}h3 b{display:inline-block;min-width:4.5em}"
	         "p{margin:.3em 0}.s{opacity:.75;font-size:90%}ul{margin:.2em 0}</style></head>"
	         "<body><h1>Loom ");
	buf_adds(&b, loom_version);
	buf_adds(&b,
	         "</h1><p>The interface as this server has it; for "
	         "programs as <a href=\"/openapi.json\">OpenAPI 3.1</a>. Users say who they are in "
	         "<code>X-Loom-UserID</code> and <code>X-Loom-TenantID</code>, or show a token in "
	         "<code>Authorization</code>. A refusal is one "
	         "sentence, or with <code>Accept: application/problem+json</code> a problem "
	         "document. Fields with * are required.</p>\n");
	add_set(&b, "For users and administrators", &r->external);
	add_set(&b, "For provisioners, on the internal port", &r->internal);
	buf_adds(&b, "</body></html>\n");
	loom_assert(!b.full);
	return buf_take(&b);
}
