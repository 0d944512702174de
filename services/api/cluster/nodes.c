/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes - the nodes of clusters that the caller sees, and documents of that form that clients store
 * here (REST spec 6). The original lets any user of any tenant read, write and delete any node;
 * here each belongs to a tenant, and the nodes of clusters are changed only by operations.
 */
#include "services/api/resources.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/cluster/cluster_list.h"
#include "common/model/node_record.h"
#include "services/api/cluster/details.h"
#include "services/api/cluster/plain_node.h"
#include "services/api/request/audit.h"
#include "services/api/request/list_query.h"
#include "services/api/request/pieces.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/watch/blocking.h"

#include <stdio.h>
#include <string.h>

struct node_call {
	struct api *a;
	struct identity who;
	const char *id;
	const struct json *doc; /* to write */
	int64_t cluster;        /* the cluster of the node; 0: none that the caller sees */
	struct json *shown;
	struct loom_err err; /* which secret cannot be opened, and why */
};

/* NULL: the whole tenant's. */
static const char *owner_of(const struct identity *who)
{
	return auth_sees_all(who) ? NULL : who->user;
}

static struct node_call begin(struct http_req *req, struct api *a)
{
	return (struct node_call){ .a = a, .who = *request_who(req), .id = http_param(req, "id") };
}

/* ---- one ------------------------------------------------------------------------------------- */

/* Sets k->cluster if the node belongs to a cluster that the caller sees. */
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
	const struct node_records_at at = { k->who.tenant_id, owner_of(&k->who), k->id, "", 1 };
	rc = node_records_list(k->a->ring, db, &at, &found, &k->err);
	if (!rc && json_len(found))
		k->shown = plain_node(json_at(found, 0));
	return rc;
}

void nodes_get(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	int rc = db_read(k.a->db, one_read, &k);
	if (rc == 500)
		http_reply_problem(req, rc, "%s", k.err.msg);
	else if (rc)
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
	const struct node_records_at at = { .tenant = k->who.tenant_id, .owner = k->who.user };
	return node_record_put(k->a->ring, db, &at, auth_sees_all(&k->who), k->doc, &k->err);
}

static int delete_tx(struct db *db, void *arg)
{
	struct node_call *k = arg;
	int rc = look(db, k);
	if (rc || k->cluster)
		return rc ? rc : NODE_RECORD_E_MACHINE;
	return node_record_delete(db, k->who.tenant_id, owner_of(&k->who), k->id);
}

/* Checks the body and the id in it; false when answered. */
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
	else if (rc == 500)
		http_reply_problem(req, rc, "%s", k->err.msg);
	else if (rc == NODE_RECORD_E_OTHER)
		http_reply_text(req, 409, "node %.64s is another user's", k->id);
	else if (rc == NODE_RECORD_E_MANY)
		http_reply_text(req, 409, "a tenant may store at most %d nodes of its own",
		                NODE_RECORDS_MAX);
	else
		api_reply_db(req, rc);
}

/* Audits only the ids: the rest may hold anything, and is stored sealed. */
static void note(struct http_req *req, const struct node_call *k)
{
	LOOM_CLEANUP(json_free) struct json *shown = json_set_str(json_new_obj(), "id", k->id);
	json_set(shown, "clusterId", json_copy(json_get(k->doc, "clusterId")));
	audit_change(req, NULL, shown);
}

void nodes_post(struct http_req *req, void *ctx)
{
	struct node_call k = begin(req, ctx);
	const struct answer made = { .status = 201 };
	if (!is_right(req, &k))
		return;
	audit_object(req, "nodes/%s", k.id);
	note(req, &k);
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
	note(req, &k);
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

#define CLUSTERS ((size_t)16)        /* that are read at a time */
#define RECORDS  64                  /* the same of what clients keep */
#define TEXT_MAX ((size_t)256 << 20) /* bytes: more than a page or a piece can have */
#define NO_PLACE ((int64_t)-1)
#define KEPT     "kept:" /* prefix of a place among the documents that clients store */

/* Where it goes on. */
struct node_place {
	int64_t num;    /* in the first cluster: behind this number */
	char kept[256]; /* among what clients keep */
	int64_t left;   /* nodes that still go in */
	char last[300]; /* the place of the last one that did */
};

struct list {
	struct pieces p;
	struct api *a;
	struct identity who;
	struct cluster_filter filter;
	int64_t limit; /* 0: all */
	bool machines; /* are listed; else they are all behind */
	struct strs fields;
	struct cluster_keys keys;
	size_t at;
	struct node_place now, next; /* before and behind the piece that is read */
	bool full, ended;            /* the page: there is more behind it; what clients keep */
	struct loom_err err;
};

static void list_free(void *arg)
{
	struct list *l = arg;
	loom_free(l->keys.ids);
	strs_fini(&l->fields);
	pieces_fini(&l->p);
	loom_free(l);
}

static void add(struct list *l, const struct json *node, const char *place)
{
	if (l->limit && !l->next.left) {
		l->full = true;
		return;
	}
	LOOM_CLEANUP(json_free) struct json *shown = plain_node(node);
	LOOM_CLEANUP(json_free) struct json *some = list_query_pick(shown, &l->fields);
	LOOM_CLEANUP_STR char *text = json_text(some);
	pieces_add(&l->p, text, strlen(text));
	snprintf(l->next.last, sizeof(l->next.last), "%s", place);
	l->next.left--;
}

static int add_cluster(struct db *db, struct list *l, int64_t id)
{
	struct details d = { 0 };
	int rc = details_read(db, id, &d);
	if (!rc && visible_to(&l->who, d.c->tenant_id, d.c->owner_id)) {
		const struct view v = details_view(&d);
		LOOM_CLEANUP(json_free) struct json *all = view_nodes(&v);
		for (size_t i = 0; i < d.nodes->n && !l->full; i++) {
			char place[80];
			snprintf(place, sizeof(place), "%lld.%lld.%lld",
			         (long long)d.c->create_time, (long long)id,
			         (long long)d.nodes->v[i].num);
			if (d.nodes->v[i].num > l->next.num)
				add(l, json_at(all, i), place);
		}
	}
	l->next.num = NO_PLACE; /* that was of the first one */
	details_fini(&d);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

static int add_kept(struct db *db, struct list *l)
{
	LOOM_CLEANUP(json_free) struct json *kept = NULL;
	const struct node_records_at at = { l->who.tenant_id, owner_of(&l->who), NULL, l->now.kept,
		                            RECORDS };
	int rc = node_records_list(l->a->ring, db, &at, &kept, &l->err);
	for (size_t i = 0; !rc && i < json_len(kept) && !l->full; i++) {
		const char *id = json_get_str(json_at(kept, i), "id");
		char place[300];
		snprintf(place, sizeof(place), KEPT "%s", id);
		snprintf(l->next.kept, sizeof(l->next.kept), "%s", id);
		add(l, json_at(kept, i), place);
	}
	l->ended = json_len(kept) < RECORDS;
	return rc;
}

static size_t piece_of(const struct list *l)
{
	return l->keys.n - l->at < CLUSTERS ? l->keys.n - l->at : CLUSTERS;
}

static int piece_read(struct db *db, void *arg)
{
	struct list *l = arg;
	int rc = 0;
	pieces_again(&l->p);
	l->next = l->now;
	l->full = l->ended = false;
	if (l->at == l->keys.n)
		return add_kept(db, l);
	for (size_t i = 0; !rc && i < piece_of(l) && !l->full; i++)
		rc = add_cluster(db, l, l->keys.ids[l->at + i]);
	return rc;
}

static int next_piece(struct pieces *p)
{
	struct list *l = (struct list *)p;
	int rc = db_read(l->a->db, piece_read, l);
	if (rc)
		return rc;
	l->at += piece_of(l);
	l->now = l->next;
	p->over = l->full || l->ended;
	return 0;
}

static void link_next(struct http_req *req, const struct pieces *p)
{
	const struct list *l = (const struct list *)p;
	if (l->full)
		list_link_next(req, l->now.last);
}

static void refuse_list(struct http_req *req, const struct pieces *p, int rc)
{
	const struct list *l = (const struct list *)p;
	if (rc == 500)
		http_reply_problem(req, rc, "%s", l->err.msg);
	else
		api_reply_db(req, rc);
}

static int keys_read(struct db *db, void *arg)
{
	struct list *l = arg;
	loom_free(l->keys.ids);
	l->keys = (struct cluster_keys){ 0 };
	return l->machines ? cluster_list_keys(db, &l->filter, &l->keys) : 0;
}

/* Parses "1700000000000.17.1002", or "kept:ID", as our Link headers have it. */
static bool place_parse(struct list *l, const char *text)
{
	struct cluster_place *p = &l->filter.after;
	long long time, id, num;
	int end = 0;
	if (str_starts(text, KEPT)) {
		snprintf(l->now.kept, sizeof(l->now.kept), "%s", text + strlen(KEPT));
		l->machines = false;
		return true;
	}
	/* NOLINTNEXTLINE(cert-err34-c): numbers of so many digits fit */
	if (sscanf(text, "%18lld.%18lld.%18lld%n", &time, &id, &num, &end) != 3 || text[end] ||
	    time < 0 || id < 1 || num < 0)
		return false;
	/* Include that cluster again: its other nodes follow. */
	p->create_time = time;
	p->id = id + 1;
	l->now.num = num;
	return true;
}

static bool place_of(struct http_req *req, struct list *l)
{
	const char *text = http_query(req, "after");
	return !text || place_parse(l, text) || list_refuse_place(req, text);
}

static bool asked(struct http_req *req, struct list *l)
{
	static const char *const own[] = { "limit", "after", "fields", "index", NULL };
	l->who = *request_who(req);
	l->filter.tenant_id = l->who.tenant_id;
	l->filter.owner_id = owner_of(&l->who);
	l->filter.statuses = ~(1u << CLUSTER_TERMINATED) & ((1u << CLUSTER_STATUSES_) - 1);
	if (!list_query_limit(req, &l->limit) || !place_of(req, l))
		return false;
	l->now.left = l->limit;
	l->p.blind = l->limit;
	return !list_query_has(req, own) ||
	       (list_query_check(req) && list_query_fields(req, &schema_node_shown, &l->fields));
}

static void answer(struct http_req *req, void *arg)
{
	struct list *l = arg;
	int rc = db_read(l->a->db, keys_read, l);
	if (rc)
		api_reply_db(req, rc);
	else
		pieces_answer(req, &l->p);
}

void nodes_list(struct http_req *req, void *ctx)
{
	struct list *l = loom_calloc(1, sizeof(*l));
	*l = (struct list){
		.p = { .next = next_piece, .head = link_next, .refuse = refuse_list },
		.a = ctx,
		.machines = true,
		.now = { .num = NO_PLACE },
	};
	pieces_init(&l->p, TEXT_MAX);
	request_keep(req, l, list_free);
	if (!asked(req, l))
		return;
	const struct tally_of of = tally_of_clusters(&l->who);
	blocking_list(req, ctx, &of, l, answer);
}
