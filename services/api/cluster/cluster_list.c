/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_list - GET /v2/clusters (REST spec 5.4), whole or in pages; now, or when it has changed.
 * It is read and written in pieces (pieces.h).
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/model/cluster/cluster_list.h"
#include "common/model/cluster/labels.h"
#include "services/api/request/legacy.h"
#include "services/api/request/list_query.h"
#include "services/api/request/pieces.h"
#include "services/api/request/request.h"
#include "services/api/watch/blocking.h"

#include <stdio.h>
#include <string.h>

#define PIECE    ((size_t)4 * DB_MANY) /* clusters */
#define KEYS     LIST_PAGE_MAX         /* read at once for a list without limit */
#define TEXT_MAX ((size_t)64 << 20)    /* bytes: more than a piece's clusters can have */

struct list {
	struct pieces p;
	struct api *a;
	struct identity who;
	struct cluster_filter filter;
	struct json *labels;
	struct strs fields; /* none: all */
	bool statuses;      /* only the progress of their jobs */
	bool legacy;        /* in the form of version 0.9.7 */
	bool whole;         /* no limit was given */
	struct cluster_keys keys;
	size_t at; /* how many of them have been added */
};

static void list_free(void *arg)
{
	struct list *l = arg;
	json_free(l->labels);
	loom_free(l->keys.ids);
	strs_fini(&l->fields);
	pieces_fini(&l->p);
	loom_free(l);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Parameters that Loom added: with one of them all parameters must be valid. */
static const char *const own[] = { "limit", "after",    "sort",     "fields", "name", "owner",
	                           "q",     "template", "provider", "index",  NULL };

/* "a,b" to bits. The original ignores unknown words; if none is valid there is no filter. false
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

/* Reads each "label=key=value" of the query; false when answered. */
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

/* Reads "1700000000000.17", or "shop.17" when sorted by name, as our Link headers have it; false
 * when answered. */
static bool place_of(struct http_req *req, bool by_name, struct cluster_place *ret)
{
	const char *text = http_query(req, "after");
	return !text || place_parse(text, by_name, ret) || list_refuse_place(req, text);
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

/* Do all fields come from the small columns of a cluster's row? */
static bool is_brief(const struct strs *fields)
{
	static const char *const small[] = { "id",         "name",   "ownerId",  "createTime",
		                             "expireTime", "status", "numNodes", "progress" };
	size_t n = 0;
	for (size_t i = 0; i < LOOM_COUNT(small); i++)
		n += strs_has(fields, small[i]);
	return fields->n && n == fields->n;
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
	f->brief = is_brief(&l->fields);
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

/* The form of GET /v2/clusters/{id}/status. */
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

/* A summary in the requested form; owned. */
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
	if (!l->statuses && !l->legacy && !l->fields.n) {
		pieces_add(&l->p, text, len);
		return;
	}
	LOOM_CLEANUP_STR char *form =
		l->statuses || l->legacy ? in_form(l, text, len) : list_pick(text, len, &l->fields);
	pieces_add(&l->p, form, strlen(form));
}

static size_t piece_of(const struct list *l)
{
	return l->keys.n - l->at < PIECE ? l->keys.n - l->at : PIECE;
}

static int piece_read(struct db *db, void *arg)
{
	struct list *l = arg;
	pieces_again(&l->p);
	return cluster_list_summaries(db, &l->filter, l->keys.ids + l->at, piece_of(l), add, l);
}

/* Adds a Link to the next page. */
static void link_next(struct http_req *req, const struct pieces *p)
{
	const struct list *l = (const struct list *)p;
	const struct cluster_place *last = &l->keys.last;
	bool by_name =
		l->filter.order == CLUSTERS_BY_NAME || l->filter.order == CLUSTERS_BY_NAME_DOWN;
	char time[24];
	if (l->whole || !l->keys.more)
		return;
	snprintf(time, sizeof(time), "%lld", (long long)last->create_time);
	LOOM_CLEANUP_STR char *after =
		loom_asprintf("%s.%lld", by_name ? last->name : time, (long long)last->id);
	list_link_next(req, after);
}

static bool no_statuses(struct http_req *req, const struct pieces *p)
{
	const struct list *l = (const struct list *)p;
	if (!l->legacy || !l->statuses)
		return false;
	http_reply_text(req, 404, "there are no clusters");
	return true;
}

/* Reads the next piece; a list without limit is read as one page after another. */
static int next_piece(struct pieces *p)
{
	struct list *l = (struct list *)p;
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
	p->over = l->at == l->keys.n && !(l->whole && l->keys.more);
	return 0;
}

/* ---- the requests ---------------------------------------------------------------------------- */

static struct list *begin(struct http_req *req, struct api *a)
{
	struct list *l = loom_calloc(1, sizeof(*l));
	*l = (struct list){
		.p = { .next = next_piece, .head = link_next, .empty = no_statuses },
		.a = a,
		.who = *request_who(req),
	};
	pieces_init(&l->p, TEXT_MAX);
	l->filter.tenant_id = l->who.tenant_id;
	l->filter.owner_id = auth_sees_all(&l->who) ? NULL : l->who.user;
	l->legacy = legacy_is(req);
	request_keep(req, l, list_free);
	return l;
}

static void answer(struct http_req *req, void *arg)
{
	struct list *l = arg;
	l->whole = !l->filter.limit;
	if (l->whole)
		l->filter.limit = KEYS;
	int rc = db_read(l->a->db, keys_read, l);
	if (rc)
		api_reply_db(req, rc);
	else
		pieces_answer(req, &l->p);
}

void clusters_list(struct http_req *req, void *ctx)
{
	struct list *l = begin(req, ctx);
	if (l->legacy) /* 0.9.7 has no parameters */
		answer(req, l);
	else if (asked(req, l)) {
		const struct tally_of of = tally_of_clusters(&l->who);
		blocking_list(req, ctx, &of, l, answer);
	}
}

void clusters_statuses(struct http_req *req, void *ctx)
{
	struct list *l = begin(req, ctx);
	l->statuses = l->filter.brief = true;
	answer(req, l);
}
