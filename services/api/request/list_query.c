/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the query parameters of lists against the table, and reads them. */
#include "services/api/request/list_query.h"

#include "common/base/near.h"
#include "common/base/str.h"
#include "services/api/request/request.h"

#include <ctype.h>
#include <stdlib.h>
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
	/* Name the parameter instead of the only member: "limit must be ...". */
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

/* Does another route that changes something take it, and not this one? */
static bool is_of_another_change(const struct route *r, const char *name)
{
	if (route_reads(r) || known(r, name))
		return false;
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (*q->path != '/' && str_eq(q->name, name))
			return true;
	}
	return false;
}

bool list_query_spelt(struct http_req *req)
{
	const struct route *r = request_route(req);
	const char *name, *value;
	for (size_t i = 0; http_query_at(req, i, &name, &value); i++) {
		if (is_of_another_change(r, name)) {
			http_reply_text(req, 400,
			                "'%s' is no parameter of %s %s; nothing was changed", name,
			                r->method, r->path);
			return false;
		}
		const struct route_query *q = known(r, name) ? NULL : route_queries;
		for (; q && q->path; q++) {
			if (!route_takes(r, q) || !near(name, q->name))
				continue;
			http_reply_text(req, 400, "'%.64s' is no parameter; did you mean %s?", name,
			                q->name);
			return false;
		}
	}
	return true;
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
	const struct route_query *q = text ? known(request_route(req), "limit") : NULL;
	int64_t max = q ? q->schema->max : LIST_PAGE_MAX;
	if (!text || (!str_to_int(text, ret) && *ret >= 1 && *ret <= max))
		return true;
	http_reply_problem(req, 400, "limit '%.24s' must be a whole number from 1 to %lld", text,
	                   (long long)max);
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

static void add_encoded(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~:", *s))
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

bool list_refuse_place(struct http_req *req, const char *after)
{
	http_reply_problem(req, 400,
	                   "after '%.40s' is no place in a list: take it from the Link of "
	                   "the page before",
	                   after);
	return false;
}

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
	buf_adds(&link, "after=");
	add_encoded(&link, after);
	buf_adds(&link, ">; rel=\"next\"");
	if (!link.full)
		http_reply_header(req, "Link", link.data);
	buf_fini(&link);
}

/* ---- what is left out, and of each --------------------------------------------------------- */

static const char *const shared[] = {
	"q", "sort", "fields", "limit", "after", "index", "wait", NULL
};

static bool is_shared(const char *name)
{
	for (const char *const *s = shared; *s; s++) {
		if (str_eq(*s, name))
			return true;
	}
	return false;
}

bool list_query_asked(const struct http_req *req)
{
	const struct route *r = request_route(req);
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (route_takes(r, q) && http_query(req, q->name))
			return true;
	}
	return false;
}

static bool is_found(const struct json *item, const struct list_rules *rules, const char *text)
{
	for (const char *const *s = rules->searched; text && s && *s; s++) {
		const char *in = json_get_str(item, *s);
		if (in && strcasestr(in, text))
			return true;
	}
	return !text;
}

bool list_query_filters(const struct http_req *req, const struct list_rules *rules)
{
	const struct route *r = request_route(req);
	for (const struct route_query *q = route_queries; q->path; q++) {
		bool filter = is_shared(q->name) ? str_eq(q->name, "q") : !rules->filters;
		if (filter && route_takes(r, q) && http_query(req, q->name))
			return true;
	}
	return false;
}

static bool is_filtered(const struct http_req *req, const struct json *item)
{
	const struct route *r = request_route(req);
	for (const struct route_query *q = route_queries; q->path; q++) {
		const char *want =
			route_takes(r, q) && !is_shared(q->name) ? http_query(req, q->name) : NULL;
		if (want && !str_eq(json_get_str(item, q->name), want))
			return false;
	}
	return true;
}

bool list_query_fits(const struct http_req *req, const struct json *item,
                     const struct list_rules *rules)
{
	return is_found(item, rules, http_query(req, "q")) &&
	       (rules->filters || is_filtered(req, item));
}

struct json *list_query_pick(const struct json *item, const struct strs *fields)
{
	if (!fields->n)
		return json_copy(item);
	struct json *some = json_new_obj();
	for (size_t i = 0; i < json_len(item); i++) {
		if (strs_has(fields, json_key_at(item, i)))
			json_set(some, json_key_at(item, i), json_copy(json_value_at(item, i)));
	}
	return some;
}
