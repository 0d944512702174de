/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes - the machines of the clusters that the caller sees, and documents of that form which
 * clients keep here (REST spec 6). The original lets any user of any tenant read, write and delete
 * any node; here each is its tenant's, and machines are changed by operations on their cluster.
 */
#include "services/api/resources.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/cluster_list.h"
#include "common/model/node_record.h"
#include "services/api/audit.h"
#include "services/api/details.h"
#include "services/api/list_query.h"
#include "services/api/plain_node.h"
#include "services/api/repeat.h"
#include "services/api/request.h"
#include "services/api/visible.h"

#include <stdio.h>
#include <string.h>

struct node_call {
	struct api *a;
	struct identity who;
	const char *id;
	const struct json *doc; /* to write */
	int64_t cluster;        /* whose machine it is; 0: none that the caller sees */
	struct json *shown;
};

/* NULL: all of the tenant. */
static const char *owner_of(const struct identity *who)
{
	return auth_sees_all(who) ? NULL : who->user;
}

static struct node_call begin(struct http_req *req, struct api *a)
{
	return (struct node_call){ .a = a, .who = *request_who(req), .id = http_param(req, "id") };
}

/* ---- one ------------------------------------------------------------------------------------- */

/* k->cluster is set when it is a machine of a cluster that the caller sees. */
static int look(struct db *db, struct node_call *k)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t cluster = 0;
	k->cluster = 0;
	int rc = node_cluster(db, k->id, &cluster);
	if (rc || !cluster)
		return rc;
	rc = visible_get(db, &k->who, cluster, &c);
	if (!rc)
		k->cluster = cluster;
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

static struct json *with_id(const struct json *list, const char *id)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_get_str(json_at(list, i), "id"), id))
			return plain_node(json_at(list, i));
	}
	return NULL;
}

static int machine_read(struct db *db, struct node_call *k)
{
	struct details d = { 0 };
	int rc = details_read(db, k->cluster, &d);
	if (!rc) {
		const struct view v = details_view(&d);
		LOOM_CLEANUP(json_free) struct json *all = view_nodes(&v);
		k->shown = with_id(all, k->id);
	}
	details_fini(&d);
	return rc;
}

static int one_read(struct db *db, void *arg)
{
	struct node_call *k = arg;
	LOOM_CLEANUP(json_free) struct json *found = NULL;
	json_free(k->shown);
	k->shown = NULL;
	int rc = look(db, k);
	if (rc || k->cluster)
		return rc ? rc : machine_read(db, k);
	rc = node_records_list(db, k->who.tenant_id, owner_of(&k->who), k->id, "", 1, &found);
	if (!rc && json_len(found))
		k->shown = plain_node(json_at(found, 0));
	return rc;
}

void nodes_get(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	int rc = db_read(k.a->db, one_read, &k);
	if (rc)
		api_reply_db(req, rc);
	else if (k.shown)
		http_reply_json(req, 200, k.shown);
	else
		http_reply_text(req, 404, "node %.64s does not exist", k.id);
	json_free(k.shown);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_tx(struct db *db, void *arg)
{
	struct node_call *k = arg;
	int rc = look(db, k);
	if (rc || k->cluster)
		return rc ? rc : NODE_RECORD_E_MACHINE;
	return node_record_put(db, k->who.tenant_id, k->who.user, auth_sees_all(&k->who), k->doc);
}

static int delete_tx(struct db *db, void *arg)
{
	struct node_call *k = arg;
	int rc = look(db, k);
	if (rc || k->cluster)
		return rc ? rc : NODE_RECORD_E_MACHINE;
	return node_record_delete(db, k->who.tenant_id, owner_of(&k->who), k->id);
}

/* What is written, and of which id; false when answered. */
static bool is_right(struct http_req *req, struct node_call *k)
{
	const char *cluster;
	int64_t ignored;
	k->doc = request_body(req);
	cluster = json_get_str(k->doc, "clusterId");
	if (!k->id)
		k->id = json_get_str(k->doc, "id");
	if (!str_eq(json_get_str(k->doc, "id"), k->id))
		http_reply_text(req, 400, "id '%.64s' in the body is not '%.64s' as in the path",
		                json_get_str(k->doc, "id"), k->id);
	else if (id_parse_cluster(cluster, &ignored))
		http_reply_text(req, 400, "clusterId '%.32s' is not a number, as 00000012",
		                cluster);
	else
		return true;
	return false;
}

static void refuse(struct http_req *req, const struct node_call *k, int rc)
{
	if (rc == NODE_RECORD_E_MACHINE)
		http_reply_text(req, 409,
		                "node %.64s is a machine of cluster %08lld; operations on that "
		                "change it",
		                k->id, (long long)k->cluster);
	else if (rc == NODE_RECORD_E_OTHER)
		http_reply_text(req, 409, "node %.64s is another user's", k->id);
	else if (rc == NODE_RECORD_E_MANY)
		http_reply_text(req, 409, "a tenant keeps at most %d nodes that are no machines",
		                NODE_RECORDS_MAX);
	else
		api_reply_db(req, rc);
}

void nodes_post(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	const struct answer made = { .status = 201 };
	if (!is_right(req, &k))
		return;
	audit_object(req, "nodes/%s", k.id);
	int rc = repeat_tx(req, put_tx, &k, &made);
	if (rc)
		refuse(req, &k, rc);
	else
		repeat_reply(req, &made);
}

void nodes_put(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	if (!is_right(req, &k))
		return;
	int rc = audit_tx(req, put_tx, &k);
	if (rc)
		refuse(req, &k, rc);
	else
		http_reply_empty(req, 204);
}

void nodes_delete(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	int rc = audit_tx(req, delete_tx, &k);
	if (rc)
		refuse(req, &k, rc);
	else
		http_reply_empty(req, 204);
}

/* ---- all: machines, the newest cluster's first, and then what clients keep ------------------- */

#define PIECE    ((size_t)16)       /* clusters that are read at a time */
#define LIST_MAX ((size_t)64 << 20) /* bytes of an answer */
#define NO_PLACE ((int64_t)-1)
#define KEPT     "kept:" /* of a place: among what clients keep */

struct list {
	struct api *a;
	struct identity who;
	struct cluster_filter filter;
	int64_t limit, left;  /* 0: all; nodes that still go in */
	int64_t num;          /* in the first cluster: behind this number */
	char kept_after[256]; /* the place among what clients keep */
	bool machines;        /* are listed; else they are all behind */
	struct strs fields;
	struct cluster_keys keys;
	size_t at;
	struct buf text;
	char last[300]; /* the place of the last node in the text */
	bool more;      /* behind it */
	/* As before the piece that is read, for when it is read again. */
	struct mark {
		size_t written;
		int64_t left, num;
		char last[300];
	} mark;
};

static void list_free(void *arg)
{
	struct list *l = arg;
	loom_free(l->keys.ids);
	strs_fini(&l->fields);
	buf_fini(&l->text);
	loom_free(l);
}

static bool is_full(const struct list *l)
{
	return l->more || l->text.full;
}

static void add(struct list *l, const struct json *node, const char *place)
{
	if (l->limit && !l->left) {
		l->more = true;
		return;
	}
	LOOM_CLEANUP(json_free) struct json *shown = plain_node(node);
	LOOM_CLEANUP_STR char *all = json_text(shown);
	LOOM_CLEANUP_STR char *text = list_pick(all, strlen(all), &l->fields);
	buf_addc(&l->text, l->text.len ? ',' : '[');
	buf_adds(&l->text, text);
	snprintf(l->last, sizeof(l->last), "%s", place);
	l->left--;
}

static int add_cluster(struct db *db, struct list *l, int64_t id)
{
	struct details d = { 0 };
	int rc = details_read(db, id, &d);
	if (!rc && visible_to(&l->who, d.c->tenant_id, d.c->owner_id)) {
		const struct view v = details_view(&d);
		LOOM_CLEANUP(json_free) struct json *all = view_nodes(&v);
		for (size_t i = 0; i < d.nodes->n && !is_full(l); i++) {
			char place[80];
			snprintf(place, sizeof(place), "%lld.%lld.%lld",
			         (long long)d.c->create_time, (long long)id,
			         (long long)d.nodes->v[i].num);
			if (d.nodes->v[i].num > l->num)
				add(l, json_at(all, i), place);
		}
	}
	l->num = NO_PLACE; /* that was of the first one */
	details_fini(&d);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

static int add_kept(struct db *db, struct list *l)
{
	LOOM_CLEANUP(json_free) struct json *kept = NULL;
	int rc = node_records_list(db, l->who.tenant_id, owner_of(&l->who), NULL, l->kept_after,
	                           l->limit ? l->left + 1 : INT64_MAX, &kept);
	for (size_t i = 0; !rc && i < json_len(kept) && !is_full(l); i++) {
		char place[300];
		snprintf(place, sizeof(place), KEPT "%s", json_get_str(json_at(kept, i), "id"));
		add(l, json_at(kept, i), place);
	}
	return rc;
}

static size_t piece_of(const struct list *l)
{
	return l->keys.n - l->at < PIECE ? l->keys.n - l->at : PIECE;
}

static int piece_read(struct db *db, void *arg)
{
	struct list *l = arg;
	int rc = 0;
	buf_cut(&l->text, l->mark.written);
	l->left = l->mark.left;
	l->num = l->mark.num;
	l->more = false;
	memcpy(l->last, l->mark.last, sizeof(l->last));
	for (size_t i = 0; !rc && i < piece_of(l) && !is_full(l); i++)
		rc = add_cluster(db, l, l->keys.ids[l->at + i]);
	if (!rc && l->at + piece_of(l) == l->keys.n && !is_full(l))
		rc = add_kept(db, l);
	return rc;
}

static void reply(struct http_req *req, struct list *l)
{
	buf_adds(&l->text, l->text.len ? "]" : "[]");
	if (l->text.full) {
		http_reply_problem(req, 400,
		                   "the list is longer than %zu MiB: ask for it in pages, with "
		                   "limit=%d, and follow the Link of each answer",
		                   LIST_MAX >> 20, LIST_PAGE_MAX);
		return;
	}
	if (l->more)
		list_link_next(req, l->last);
	http_reply(req, 200, "application/json", l->text.data, l->text.len);
}

static void go_on(struct http_req *req, void *arg);

static void mark(struct list *l)
{
	l->mark = (struct mark){ .written = l->text.len, .left = l->left, .num = l->num };
	memcpy(l->mark.last, l->last, sizeof(l->last));
}

/* A worker. */
static void add_piece(struct http_req *req, void *arg)
{
	struct list *l = arg;
	mark(l);
	int rc = db_read(l->a->db, piece_read, l);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	l->at += piece_of(l);
	if (l->at < l->keys.n && !is_full(l))
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

static int keys_read(struct db *db, void *arg)
{
	struct list *l = arg;
	loom_free(l->keys.ids);
	l->keys = (struct cluster_keys){ 0 };
	return l->machines ? cluster_list_keys(db, &l->filter, &l->keys) : 0;
}

/* "1700000000000.17.1002", or "kept:ID", as a Link says it. */
static bool place_parse(struct list *l, const char *text)
{
	struct cluster_place *p = &l->filter.after;
	long long time, id, num;
	int end = 0;
	if (str_starts(text, KEPT)) {
		snprintf(l->kept_after, sizeof(l->kept_after), "%s", text + strlen(KEPT));
		l->machines = false;
		return true;
	}
	if (sscanf(text, "%18lld.%18lld.%18lld%n", &time, &id, &num, &end) != 3 || text[end] ||
	    time < 0 || id < 1 || num < 0)
		return false;
	/* That cluster is the first one behind. */
	p->create_time = time;
	p->id = id + 1;
	l->num = num;
	return true;
}

static bool place_of(struct http_req *req, struct list *l)
{
	const char *text = http_query(req, "after");
	if (!text || place_parse(l, text))
		return true;
	http_reply_problem(req, 400,
	                   "after '%.40s' is no place in a list: take it from the Link of "
	                   "the page before",
	                   text);
	return false;
}

static bool asked(struct http_req *req, struct list *l)
{
	static const char *const own[] = { "limit", "after", "fields", NULL };
	l->who = *request_who(req);
	l->filter.tenant_id = l->who.tenant_id;
	l->filter.owner_id = owner_of(&l->who);
	l->filter.statuses = ~(1u << CLUSTER_TERMINATED) & ((1u << CLUSTER_STATUSES_) - 1);
	if (!list_query_limit(req, &l->limit) || !place_of(req, l))
		return false;
	l->left = l->limit;
	return !list_query_has(req, own) ||
	       (list_query_check(req) && list_query_fields(req, &schema_node_shown, &l->fields));
}

void nodes_list(struct http_req *req, void *ctx)
{
	struct list *l = loom_calloc(1, sizeof(*l));
	*l = (struct list){
		.a = ctx, .num = NO_PLACE, .machines = true, .text = BUF_INIT(LIST_MAX)
	};
	request_keep(req, l, list_free);
	if (!asked(req, l))
		return;
	int rc = db_read(l->a->db, keys_read, l);
	if (rc)
		api_reply_db(req, rc);
	else
		add_piece(req, l);
}
