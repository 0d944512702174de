/* SPDX-License-Identifier: Apache-2.0 */
/* What lists are asked for: checked by the table, and read. */
#include "services/api/list_query.h"

#include "common/base/str.h"
#include "services/api/request.h"

#include <string.h>

static const struct route_query *known(const struct route *r, const char *name)
{
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (route_takes(r, q) && str_eq(q->name, name))
			return q;
	}
	return NULL;
}

/* "after, limit, q"; owned. */
static char *all_known(const struct route *r)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (route_takes(r, q))
			strs_add(&names, q->name);
	}
	return strs_join(&names, ", ");
}

static bool refuse_value(struct http_req *req, const char *name, const char *value,
                         const struct json *faults)
{
	/* The fault is that of the only member: "limit must be ...". */
	LOOM_CLEANUP_STR char *words = schema_words(faults);
	const char *must = str_starts(words, name) ? words + strlen(name) : words;
	http_reply_text(req, 400, "%s '%.64s'%s", name, value, must);
	return false;
}

static bool check_one(struct http_req *req, const char *name, const char *value)
{
	const struct route_query *q = known(request_route(req), name);
	if (!q) {
		LOOM_CLEANUP_STR char *all = all_known(request_route(req));
		http_reply_text(req, 400, "'%.64s' is no parameter of this list; there are %s",
		                name, all);
		return false;
	}
	bool several = q->schema->type == SCHEMA_ARRAY;
	if (!several && http_query_nth(req, name, 1)) {
		http_reply_text(req, 400, "%s is given twice", name);
		return false;
	}
	const struct schema_field fields[] = {
		{ name, several ? q->schema->items : q->schema, 0, NULL }, { 0 }
	};
	const struct schema one = { .type = SCHEMA_OBJECT, .fields = fields };
	LOOM_CLEANUP(json_free) struct json *v = json_set_str(json_new_obj(), name, value);
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(&one, v);
	return !faults || refuse_value(req, name, value, faults);
}

bool list_query_check(struct http_req *req)
{
	const char *name, *value;
	for (size_t i = 0; http_query_at(req, i, &name, &value); i++) {
		if (!check_one(req, name, value))
			return false;
	}
	return true;
}

bool list_query_has(const struct http_req *req, const char *const *names)
{
	for (; *names; names++) {
		if (http_query(req, *names))
			return true;
	}
	return false;
}

bool list_query_flag(const struct http_req *req, const char *name)
{
	const char *text = http_query(req, name);
	return text && !str_eq(text, "false");
}

bool list_query_limit(struct http_req *req, int64_t *ret)
{
	const char *text = http_query(req, "limit");
	if (!text || (!str_to_int(text, ret) && *ret >= 1 && *ret <= LIST_PAGE_MAX))
		return true;
	http_reply_problem(req, 400, "limit '%.24s' must be a whole number from 1 to %d", text,
	                   LIST_PAGE_MAX);
	return false;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static bool is_field(const struct schema *object, const char *name)
{
	for (const struct schema_field *f = object->fields; f->name; f++) {
		if (str_eq(f->name, name))
			return true;
	}
	return false;
}

bool list_query_fields(struct http_req *req, const struct schema *object, struct strs *ret)
{
	const char *text = http_query(req, "fields");
	for (const char *p = text; p;) {
		size_t n = strcspn(p, ",");
		LOOM_CLEANUP_STR char *one = loom_strndup(p, n);
		if (!is_field(object, one)) {
			LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
			for (const struct schema_field *f = object->fields; f->name; f++)
				strs_add(&names, f->name);
			LOOM_CLEANUP_STR char *all = strs_join(&names, ", ");
			http_reply_text(req, 400, "fields: '%.64s' is none; there are %s", one,
			                all);
			return false;
		}
		strs_add(ret, one);
		p = p[n] ? p + n + 1 : NULL;
	}
	return true;
}

char *list_pick(const char *text, size_t len, const struct strs *fields)
{
	LOOM_CLEANUP(json_free) struct json *all = NULL, *some = json_new_obj();
	if (!fields->n || json_parse(text, len, 0, &all, NULL))
		return loom_strndup(text, len);
	for (size_t i = 0; i < json_len(all); i++) {
		if (strs_has(fields, json_key_at(all, i)))
			json_set(some, json_key_at(all, i), json_copy(json_value_at(all, i)));
	}
	return json_text(some);
}

/* ---- pages ----------------------------------------------------------------------------------- */

void list_link_next(struct http_req *req, const char *after)
{
	struct buf link = BUF_INIT(1u << 16);
	const char *query = strchr(http_raw_uri(req), '?');
	buf_addf(&link, "<%s?", http_path(req));
	for (const char *p = query ? query + 1 : ""; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (!str_starts(p, "after=")) {
			buf_add(&link, p, strcspn(p, "&"));
			buf_addc(&link, '&');
		}
	}
	buf_addf(&link, "after=%s>; rel=\"next\"", after);
	if (!link.full)
		http_reply_header(req, "Link", link.data);
	buf_fini(&link);
}
