/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - GET /v2/clusters (REST spec 5.4), whole or in pages.
 *
 * A list may be of thousands. It is read and written in pieces; after each the request stands in
 * line again, behind the others of its tenant and beside those of other tenants, so that nobody
 * waits for more than a piece of another's list. What is kept meanwhile is the answer's text.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/cluster_list.h"
#include "common/model/labels.h"
#include "services/api/request.h"

#include <stdio.h>
#include <string.h>

#define PIECE    ((size_t)4 * DB_MANY) /* clusters */
#define LIST_MAX ((size_t)64 << 20)    /* bytes of an answer: some hundred thousand clusters */
#define PAGE_MAX 1000

struct list {
	struct api *a;
	struct identity who;
	struct cluster_filter filter;
	struct json *labels;
	struct cluster_key *keys;
	size_t n, at; /* keys; those that are in the text */
	struct buf text;
	size_t written; /* bytes that earlier pieces left */
	bool more;      /* behind this page */
};

static void list_free(void *arg)
{
	struct list *l = arg;
	json_free(l->labels);
	loom_free(l->keys);
	buf_fini(&l->text);
	loom_free(l);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* "a,b" to bits; words that are no status are skipped; none valid means no filter. */
static unsigned statuses(const char *text)
{
	unsigned bits = 0;
	char word[32];
	for (const char *p = text; p && *p;) {
		size_t n = strcspn(p, ",");
		enum cluster_status st;
		if (n < sizeof(word)) {
			memcpy(word, p, n);
			word[n] = '\0';
			if (cluster_status_parse(word, &st))
				bits |= 1u << st;
		}
		p += n + (p[n] == ',');
	}
	return bits;
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

/* "1700000000000.17", as a Link says it; false when answered. */
static bool place_of(struct http_req *req, struct cluster_key *ret)
{
	const char *text = http_query(req, "after");
	if (!text)
		return true;
	size_t n = strcspn(text, ".");
	LOOM_CLEANUP_STR char *time = loom_strndup(text, n);
	if (!text[n] || str_to_int(time, &ret->create_time) || ret->create_time < 0 ||
	    str_to_int(text + n + 1, &ret->id) || ret->id < 1) {
		http_reply_problem(req, 400,
		                   "after '%.40s' is no place in a list: take it from the Link of "
		                   "the page before",
		                   text);
		return false;
	}
	return true;
}

static bool limit_of(struct http_req *req, int64_t *ret)
{
	const char *text = http_query(req, "limit");
	if (!text || (!str_to_int(text, ret) && *ret >= 1 && *ret <= PAGE_MAX))
		return true;
	http_reply_problem(req, 400, "limit '%.24s' must be a whole number from 1 to %d", text,
	                   PAGE_MAX);
	return false;
}

static bool asked(struct http_req *req, struct list *l)
{
	struct cluster_filter *f = &l->filter;
	l->labels = json_new_obj();
	l->who = *request_who(req);
	if (!labels_of(req, l->labels) || !place_of(req, &f->after) || !limit_of(req, &f->limit))
		return false;
	f->tenant_id = l->who.tenant_id;
	f->owner_id = auth_sees_all(&l->who) ? NULL : l->who.user;
	f->statuses = statuses(http_query(req, "status"));
	f->labels = l->labels;
	return true;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int keys_read(struct db *db, void *arg)
{
	struct list *l = arg;
	struct cluster_filter f = l->filter;
	f.limit += f.limit > 0; /* one more: is there a next page? */
	loom_free(l->keys);
	l->keys = NULL;
	l->n = 0;
	return cluster_list_keys(db, &f, &l->keys, &l->n);
}

static void add(int64_t id LOOM_UNUSED, const char *text, size_t len, void *arg)
{
	struct list *l = arg;
	buf_addc(&l->text, l->text.len ? ',' : '[');
	buf_add(&l->text, text, len);
}

static size_t piece_of(const struct list *l)
{
	return l->n - l->at < PIECE ? l->n - l->at : PIECE;
}

static int piece_read(struct db *db, void *arg)
{
	struct list *l = arg;
	buf_cut(&l->text, l->written);
	return cluster_list_summaries(db, &l->filter, l->keys + l->at, piece_of(l), add, l);
}

/* The same request for what comes behind this page. */
static void link_next(struct http_req *req, const struct list *l)
{
	const struct cluster_key *last = &l->keys[l->n - 1];
	struct buf link = BUF_INIT(1u << 16);
	const char *query = strchr(http_raw_uri(req), '?');
	buf_adds(&link, "</v2/clusters?");
	for (const char *p = query ? query + 1 : ""; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (!str_starts(p, "after=")) {
			buf_add(&link, p, strcspn(p, "&"));
			buf_addc(&link, '&');
		}
	}
	buf_addf(&link, "after=%lld.%lld>; rel=\"next\"", (long long)last->create_time,
	         (long long)last->id);
	if (!link.full)
		http_reply_header(req, "Link", link.data);
	buf_fini(&link);
}

static void reply(struct http_req *req, struct list *l)
{
	buf_adds(&l->text, l->text.len ? "]" : "[]");
	if (l->text.full) {
		http_reply_problem(req, 400,
		                   "the list is longer than %zu MiB: ask for it in pages, with "
		                   "limit=%d, and follow the Link of each answer",
		                   LIST_MAX >> 20, PAGE_MAX);
		return;
	}
	if (l->more)
		link_next(req, l);
	http_reply(req, 200, "application/json", l->text.data, l->text.len);
}

static void go_on(struct http_req *req, void *arg);

/* A worker. */
static void add_piece(struct http_req *req, void *arg)
{
	struct list *l = arg;
	int rc = db_read(l->a->db, piece_read, l);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	l->at += piece_of(l);
	l->written = l->text.len;
	if (l->at < l->n && !l->text.full)
		http_defer(req, go_on, l);
	else
		reply(req, l);
}

/* The loop. */
static void go_on(struct http_req *req, void *arg)
{
	if (http_gone(req))
		http_reply_empty(req, 503);
	else
		http_to_pool(req, add_piece, arg);
}

void clusters_list(struct http_req *req, void *ctx)
{
	struct list *l = loom_calloc(1, sizeof(*l));
	*l = (struct list){ .a = ctx, .text = BUF_INIT(LIST_MAX) };
	request_keep(req, l, list_free);
	if (!asked(req, l))
		return;
	int rc = db_read(l->a->db, keys_read, l);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	l->more = l->filter.limit && l->n > (size_t)l->filter.limit;
	l->n -= l->more;
	add_piece(req, l);
}
