/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - GET /v2/clusters (REST spec 5.4), whole or in pages.
 *
 * A list may be of a hundred thousand. It is read and written in pieces; after each the request
 * stands in line again, behind the others of its tenant and beside those of other tenants, so that
 * nobody waits for more than a piece of another's list. What is kept meanwhile is the answer's
 * text; when that is longer than a page's it goes out piece by piece, each when the one before was
 * sent, so that a whole list takes no more memory than a page.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/cluster_list.h"
#include "common/model/labels.h"
#include "services/api/legacy.h"
#include "services/api/list_query.h"
#include "services/api/request.h"

#include <stdio.h>
#include <string.h>

#define PIECE    ((size_t)4 * DB_MANY) /* clusters */
#define KEYS     LIST_PAGE_MAX         /* of a whole list, at once */
#define AT_ONCE  ((size_t)1 << 20)     /* bytes of an answer that is not sent in pieces */
#define TEXT_MAX ((size_t)64 << 20)    /* and of one piece: more than its clusters can have */

struct list {
	struct api *a;
	struct identity who;
	struct cluster_filter filter;
	struct json *labels;
	struct strs fields; /* none: all */
	bool statuses;      /* only how far their jobs are */
	bool legacy;        /* in the form of version 0.9.7 */
	bool whole;         /* no page of it was asked for */
	struct cluster_keys keys;
	size_t at; /* those that are in the text, or were sent */
	struct buf text;
	size_t written; /* bytes that earlier pieces left */
	bool streaming; /* some was sent */
	bool failed;    /* what follows cannot be read */
	bool at_work;   /* on a worker, whose the request is */
};

static void list_free(void *arg)
{
	struct list *l = arg;
	json_free(l->labels);
	loom_free(l->keys.ids);
	strs_fini(&l->fields);
	buf_fini(&l->text);
	loom_free(l);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Loom's own: with one of them all must be right. */
static const char *const own[] = { "limit", "after", "sort",     "fields",   "name",
	                           "owner", "q",     "template", "provider", NULL };

/* "a,b" to bits. The original skips words that are no status, and none valid means no filter; false
 * when answered. */
static bool statuses_of(struct http_req *req, unsigned *bits)
{
	const char *text = http_query(req, "status");
	for (const char *p = text; p && *p;) {
		size_t n = strcspn(p, ",");
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		enum cluster_status st;
		if (cluster_status_parse(word, &st)) {
			*bits |= 1u << st;
		} else if (list_query_has(req, own)) {
			http_reply_text(req, 400, "status '%.32s' is none of %s", word,
			                "pending, active, incomplete, inconsistent, terminated");
			return false;
		}
		p += n + (p[n] == ',');
	}
	return true;
}

/* "label=key=value" as often as the query has it; false when answered. */
static bool labels_of(struct http_req *req, struct json *labels)
{
	struct loom_err err;
	const char *text;
	for (size_t i = 0; (text = http_query_nth(req, "label", i)); i++) {
		if (labels_add(labels, text, &err)) {
			http_reply_text(req, 400, "%s", err.msg);
			return false;
		}
	}
	return true;
}

static bool sort_of(const struct http_req *req, enum cluster_order *ret)
{
	static const char *const words[CLUSTER_ORDERS_] = {
		[CLUSTERS_NEWEST] = "-createTime",
		[CLUSTERS_OLDEST] = "createTime",
		[CLUSTERS_BY_NAME] = "name",
		[CLUSTERS_BY_NAME_DOWN] = "-name",
	};
	const char *text = http_query(req, "sort");
	for (int k = 0; text && k < CLUSTER_ORDERS_; k++) {
		if (str_eq(text, words[k]))
			*ret = (enum cluster_order)k;
	}
	return *ret == CLUSTERS_BY_NAME || *ret == CLUSTERS_BY_NAME_DOWN;
}

static bool place_parse(const char *text, bool by_name, struct cluster_place *ret)
{
	const char *dot = strrchr(text, '.');
	size_t n = dot ? (size_t)(dot - text) : 0;
	if (!n || n >= sizeof(ret->name) || str_to_int(dot + 1, &ret->id) || ret->id < 1)
		return false;
	memcpy(ret->name, text, n);
	ret->name[n] = '\0';
	return by_name ? str_is_name(ret->name)
	               : !str_to_int(ret->name, &ret->create_time) && ret->create_time >= 0;
}

/* "1700000000000.17", or "shop.17" by name, as a Link says it; false when answered. */
static bool place_of(struct http_req *req, bool by_name, struct cluster_place *ret)
{
	const char *text = http_query(req, "after");
	if (!text || place_parse(text, by_name, ret))
		return true;
	http_reply_problem(req, 400,
	                   "after '%.40s' is no place in a list: take it from the Link of "
	                   "the page before",
	                   text);
	return false;
}

static bool is_right(struct http_req *req, struct list *l)
{
	if (!list_query_limit(req, &l->filter.limit))
		return false;
	bool by_name = sort_of(req, &l->filter.order);
	if (http_query(req, "q") && !by_name) {
		if (http_query(req, "sort")) {
			http_reply_text(req, 400, "with q the order is name or -name");
			return false;
		}
		l->filter.order = CLUSTERS_BY_NAME;
		by_name = true;
	}
	if (!place_of(req, by_name, &l->filter.after))
		return false;
	return !list_query_has(req, own) ||
	       (list_query_check(req) &&
	        list_query_fields(req, schema_cluster_summary.items, &l->fields));
}

static bool asked(struct http_req *req, struct list *l)
{
	struct cluster_filter *f = &l->filter;
	l->labels = json_new_obj();
	if (!is_right(req, l) || !labels_of(req, l->labels) || !statuses_of(req, &f->statuses))
		return false;
	f->owner_id = auth_sees_all(&l->who) ? http_query(req, "owner") : l->who.user;
	f->name = http_query(req, "name");
	f->begins = http_query(req, "q");
	f->template_name = http_query(req, "template");
	f->provider_name = http_query(req, "provider");
	f->labels = l->labels;
	return true;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int keys_read(struct db *db, void *arg)
{
	struct list *l = arg;
	loom_free(l->keys.ids);
	l->keys = (struct cluster_keys){ 0 };
	return cluster_list_keys(db, &l->filter, &l->keys);
}

/* As GET /v2/clusters/{id}/status. */
static struct json *status_of(struct json *summary)
{
	struct json *o = json_new_obj();
	json_set_str(o, "clusterid", json_get_str(summary, "id"));
	json_set_str(o, "status", json_get_str(summary, "status"));
	const struct json *progress = json_get(summary, "progress");
	for (size_t i = 0; i < json_len(progress); i++)
		json_set(o, json_key_at(progress, i), json_copy(json_value_at(progress, i)));
	json_free(summary);
	return o;
}

/* A summary in the form that was asked for; owned. */
static char *in_form(const struct list *l, const char *text, size_t len)
{
	struct json *o = NULL;
	if (json_parse(text, len, 0, &o, NULL))
		return loom_strdup("{}");
	if (l->statuses)
		o = status_of(o);
	if (l->legacy)
		o = l->statuses ? legacy_status(o) : legacy_summary(o);
	LOOM_CLEANUP(json_free) struct json *shown = o;
	return json_text(shown);
}

static void add(int64_t id LOOM_UNUSED, const char *text, size_t len, void *arg)
{
	struct list *l = arg;
	buf_addc(&l->text, l->streaming || l->text.len ? ',' : '[');
	if (l->statuses || l->legacy) {
		LOOM_CLEANUP_STR char *form = in_form(l, text, len);
		buf_adds(&l->text, form);
		return;
	}
	if (!l->fields.n) {
		buf_add(&l->text, text, len);
		return;
	}
	LOOM_CLEANUP_STR char *some = list_pick(text, len, &l->fields);
	buf_adds(&l->text, some);
}

static size_t piece_of(const struct list *l)
{
	return l->keys.n - l->at < PIECE ? l->keys.n - l->at : PIECE;
}

static int piece_read(struct db *db, void *arg)
{
	struct list *l = arg;
	buf_cut(&l->text, l->written);
	return cluster_list_summaries(db, &l->filter, l->keys.ids + l->at, piece_of(l), add, l);
}

/* What comes behind this page. */
static void link_next(struct http_req *req, const struct list *l)
{
	const struct cluster_place *last = &l->keys.last;
	bool by_name =
		l->filter.order == CLUSTERS_BY_NAME || l->filter.order == CLUSTERS_BY_NAME_DOWN;
	char time[24];
	snprintf(time, sizeof(time), "%lld", (long long)last->create_time);
	LOOM_CLEANUP_STR char *after =
		loom_asprintf("%s.%lld", by_name ? last->name : time, (long long)last->id);
	list_link_next(req, after);
}

static void reply(struct http_req *req, struct list *l)
{
	if (l->legacy && l->statuses && !l->text.len) {
		http_reply_text(req, 404, "there are no clusters");
		return;
	}
	buf_adds(&l->text, l->text.len ? "]" : "[]");
	if (l->keys.more)
		link_next(req, l);
	http_reply(req, 200, "application/json", l->text.data, l->text.len);
}

/* Keys and clusters of the next piece; those of a whole list as of a page behind the other. */
static int next_piece(struct list *l)
{
	int rc = 0;
	if (l->at == l->keys.n && l->keys.more) {
		l->filter.after = l->keys.last;
		l->at = 0;
		rc = db_read(l->a->db, keys_read, l);
	}
	if (!rc)
		rc = db_read(l->a->db, piece_read, l);
	if (rc)
		return rc;
	l->at += piece_of(l);
	l->written = l->text.len;
	return l->text.full ? DB_E_FATAL : 0;
}

static bool is_over(const struct list *l)
{
	return l->at == l->keys.n && !(l->whole && l->keys.more);
}

static void go_on(struct http_req *req, void *arg);

/* A worker. */
static void add_piece(struct http_req *req, void *arg)
{
	struct list *l = arg;
	int rc = next_piece(l);
	l->failed = rc != 0;
	if (rc && !l->streaming)
		api_reply_db(req, rc);
	else if (is_over(l) && !l->streaming)
		reply(req, l);
	else
		http_defer(req, go_on, l);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void more(struct http_req *req, void *arg)
{
	struct list *l = arg;
	l->at_work = true;
	http_to_pool(req, add_piece, l);
}

static void closed(struct http_req *req, void *arg)
{
	const struct list *l = arg;
	if (!l->at_work)
		http_stream_end(req);
}

static void send_piece(struct http_req *req, struct list *l)
{
	bool over = is_over(l);
	if (!l->streaming) {
		l->streaming = true;
		if (l->keys.more && !l->whole)
			link_next(req, l);
		http_on_close(req, closed, l);
		http_stream_on_drained(req, more, l);
		l->at_work = true; /* not to be ended within the next call */
		http_stream_start(req, 200, "application/json");
		l->at_work = false;
	}
	if (over)
		buf_addc(&l->text, ']');
	long rc = http_stream_write(req, l->text.data, l->text.len);
	buf_cut(&l->text, 0);
	l->written = 0;
	if (over || rc < 0)
		http_stream_end(req);
}

static void go_on(struct http_req *req, void *arg)
{
	struct list *l = arg;
	l->at_work = false;
	if (l->streaming && l->failed)
		http_stream_abort(req);
	else if (l->streaming && http_gone(req))
		http_stream_end(req);
	else if (http_gone(req))
		http_reply_empty(req, 503);
	else if (l->streaming || l->text.len >= AT_ONCE)
		send_piece(req, l);
	else
		more(req, l);
}

/* ---- the requests ---------------------------------------------------------------------------- */

static struct list *begin(struct http_req *req, struct api *a)
{
	struct list *l = loom_calloc(1, sizeof(*l));
	*l = (struct list){ .a = a, .who = *request_who(req), .text = BUF_INIT(TEXT_MAX) };
	l->filter.tenant_id = l->who.tenant_id;
	l->filter.owner_id = auth_sees_all(&l->who) ? NULL : l->who.user;
	l->legacy = legacy_is(req);
	request_keep(req, l, list_free);
	return l;
}

static void answer(struct http_req *req, struct list *l)
{
	l->whole = !l->filter.limit;
	if (l->whole)
		l->filter.limit = KEYS;
	l->at_work = true;
	int rc = db_read(l->a->db, keys_read, l);
	if (rc)
		api_reply_db(req, rc);
	else
		add_piece(req, l);
}

void clusters_list(struct http_req *req, void *ctx)
{
	struct list *l = begin(req, ctx);
	if (l->legacy || asked(req, l)) /* that version reads no parameters */
		answer(req, l);
}

void clusters_statuses(struct http_req *req, void *ctx)
{
	struct list *l = begin(req, ctx);
	l->statuses = true;
	answer(req, l);
}
