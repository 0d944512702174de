/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/cluster.h"

#include "common/base/broken.h"
#include "common/model/row.h"

#include <stdio.h>

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	loom_free(c->tenant_id);
	loom_free(c->owner_id);
	loom_free(c->name);
	loom_free(c->description);
	loom_free(c->message);
	json_free(c->brief);
	json_free(c->services);
	json_free(c->request);
	json_free(c->template);
	json_free(c->provider);
	json_free(c->config);
	json_free(c->service_docs);
	for (size_t i = 0; i < c->n_unsaved; i++)
		loom_free(c->unsaved[i].data);
	loom_free(c->unsaved);
	loom_free(c);
}

#define SMALL                                                                                    \
	"id, tenant_id, owner_id, name, description, message, status, create_time, expire_time," \
	" num_nodes, asked_nodes, latest_job, next_job, event_seq, brief, services, last_node,"  \
	" CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"

static int row_to_cluster(const struct db_result *r, size_t i, struct cluster **ret)
{
	if (i >= db_rows(r))
		return CLUSTER_E_NONE;
	LOOM_CLEANUP(cluster_free) struct cluster *c = loom_calloc(1, sizeof(*c));
	c->id = db_int(r, i, 0);
	c->tenant_id = loom_strdup(db_str(r, i, 1));
	c->owner_id = loom_strdup(db_str(r, i, 2));
	c->name = loom_strdup(db_str(r, i, 3));
	c->description = loom_strdup(db_str(r, i, 4));
	c->message = loom_strdup(db_str(r, i, 5));
	if (!cluster_status_parse(db_str(r, i, 6), &c->status))
		return DB_E_FATAL;
	c->create_time = db_int(r, i, 7);
	c->expire_time = db_int(r, i, 8);
	c->num_nodes = db_int(r, i, 9);
	c->asked_nodes = db_int(r, i, 10);
	c->latest_job = db_int(r, i, 11);
	c->next_job = db_int(r, i, 12);
	c->event_seq = db_int(r, i, 13);
	c->brief = row_json_at(r, i, 14);
	c->services = row_json_at(r, i, 15);
	c->last_node = db_int(r, i, 16);
	c->now = db_int(r, i, 17);
	*ret = loom_take(c);
	return 0;
}

int cluster_lock(struct db *db, int64_t id, struct cluster **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " SMALL " FROM cluster WHERE id=? FOR UPDATE", "i", id);
	return rc ? rc : row_to_cluster(r, 0, ret);
}

int clusters_lock_free(struct db *db, const int64_t *ids, size_t n, struct cluster ***ret,
                       size_t *ret_n)
{
	static const struct db_many many = { "SELECT " SMALL
		                             " FROM cluster FORCE INDEX (PRIMARY) WHERE id IN (",
		                             "?", ",", ") ORDER BY id FOR UPDATE SKIP LOCKED", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *values = loom_calloc(n + 1, sizeof(*values));
	for (size_t i = 0; i < n; i++)
		values[i] = db_i(ids[i]);
	int rc = db_select_many(db, &r, &many, values, n);
	loom_free(values);
	if (rc)
		return rc;
	*ret = loom_calloc(db_rows(r) + 1, sizeof(struct cluster *));
	*ret_n = 0;
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		rc = row_to_cluster(r, i, &(*ret)[i]);
		*ret_n += !rc;
	}
	return rc;
}

int cluster_get(struct db *db, int64_t id, struct cluster **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " SMALL " FROM cluster WHERE id=?", "i", id);
	return rc ? rc : row_to_cluster(r, 0, ret);
}

int cluster_load_docs(struct db *db, struct cluster *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT request, template, provider, config, service_docs"
	                   " FROM cluster WHERE id=?",
	                   "i", c->id);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	struct json **to[] = { &c->request, &c->template, &c->provider, &c->config,
		               &c->service_docs };
	for (unsigned i = 0; i < LOOM_COUNT(to); i++) {
		json_free(*to[i]);
		*to[i] = row_json_at(r, 0, i);
	}
	return 0;
}

static void forget_unsaved(struct cluster *c)
{
	for (size_t i = 0; i < c->n_unsaved; i++)
		loom_free(c->unsaved[i].data);
	c->n_unsaved = 0;
}

static int save_events(struct db *db, struct cluster **v, size_t n)
{
	static const struct db_many many = {
		"INSERT INTO event (cluster_id, seq, type, data) VALUES ", "(?,?,?,?)", ",", "", 4
	};
	size_t rows = 0, k = 0;
	for (size_t i = 0; i < n; i++)
		rows += v[i]->n_unsaved;
	struct db_value *values = loom_calloc(rows + 1, 4 * sizeof(*values));
	for (size_t i = 0; i < n; i++) {
		const struct cluster *c = v[i];
		for (size_t e = 0; e < c->n_unsaved; e++) {
			values[k++] = db_i(c->id);
			values[k++] = db_i(c->event_seq - (int64_t)(c->n_unsaved - 1 - e));
			values[k++] = db_s(c->unsaved[e].type);
			values[k++] = db_s(c->unsaved[e].data);
		}
	}
	int rc = db_exec_many(db, &many, values, rows);
	loom_free(values);
	for (size_t i = 0; !rc && i < n; i++)
		forget_unsaved(v[i]);
	return rc;
}

int cluster_save(struct db *db, struct cluster *c)
{
	LOOM_CLEANUP_STR char *services = json_text(c->services);
	int rc = save_events(db, &c, 1);
	return rc ? rc
	          : db_exec(db,
	                    "UPDATE cluster SET status=?, message=?, expire_time=?, num_nodes=?,"
	                    " latest_job=?, next_job=?, event_seq=?, services=?, last_node=?"
	                    " WHERE id=?",
	                    "ssiiiiisii", cluster_status_name(c->status), c->message,
	                    c->expire_time, c->num_nodes, c->latest_job, c->next_job, c->event_seq,
	                    services, c->last_node, c->id);
}

int clusters_save_events(struct db *db, struct cluster **v, size_t n)
{
	/* The rows are there and locked: none is ever inserted. */
	static const struct db_many many = {
		"INSERT INTO cluster (id, tenant_id, owner_id, name, status, create_time, asked_nodes,"
		" latest_job, next_job, brief, services, request, template, provider, config,"
		" event_seq) VALUES ",
		"(?,'','','','',0,0,0,0,'','','','','','',?)", ",",
		" ON DUPLICATE KEY UPDATE event_seq=VALUES(event_seq)", 2
	};
	struct db_value *values = loom_calloc(n + 1, 2 * sizeof(*values));
	int rc = save_events(db, v, n);
	for (size_t i = 0; i < n; i++) {
		values[2 * i] = db_i(v[i]->id);
		values[2 * i + 1] = db_i(v[i]->event_seq);
	}
	if (!rc)
		rc = db_upsert_many(db, &many, values, n);
	loom_free(values);
	return rc;
}

int cluster_save_service_docs(struct db *db, const struct cluster *c, const struct json *docs)
{
	LOOM_CLEANUP_STR char *text = json_text(docs);
	return db_exec(db, "UPDATE cluster SET service_docs=? WHERE id=?", "si", text, c->id);
}

int cluster_save_template(struct db *db, const struct cluster *c, const struct json *template)
{
	LOOM_CLEANUP_STR char *text = json_text(template);
	LOOM_CLEANUP_STR char *brief = json_text(c->brief);
	return db_exec(db, "UPDATE cluster SET template=?, brief=? WHERE id=?", "ssi", text, brief,
	               c->id);
}

int cluster_save_config(struct db *db, const struct cluster *c, const struct json *config)
{
	LOOM_CLEANUP_STR char *text = json_text(config);
	return db_exec(db, "UPDATE cluster SET config=? WHERE id=?", "si", text, c->id);
}

int cluster_set_status(struct db *db, struct cluster *c, enum cluster_status to,
                       const char *message, int64_t now)
{
	loom_assert(cluster_may_become(c->status, to));
	c->status = to;
	loom_free(c->message);
	c->message = loom_strdup(message);
	struct json *data = json_set_str(json_new_obj(), "status", cluster_status_name(to));
	return cluster_event(db, c, "cluster", json_set_str(data, "message", message), now);
}

int cluster_event(struct db *db LOOM_UNUSED, struct cluster *c, const char *type, struct json *data,
                  int64_t now)
{
	LOOM_CLEANUP(json_free) struct json *owned = json_set_int(data, "time", now);
	cluster_event_text(c, type, json_text(owned));
	return 0;
}

void cluster_event_text(struct cluster *c, const char *type, char *text)
{
	if (c->n_unsaved == c->max_unsaved) {
		c->max_unsaved = c->max_unsaved ? c->max_unsaved * 2 : 8;
		c->unsaved = loom_realloc(c->unsaved, c->max_unsaved * sizeof(*c->unsaved));
	}
	struct unsaved *e = &c->unsaved[c->n_unsaved++];
	snprintf(e->type, sizeof(e->type), "%s", type);
	e->data = text;
	c->event_seq++;
	if (broken("events") && c->event_seq % 20 == 0)
		c->event_seq++;
}

int cluster_events(struct db *db, int64_t id, int64_t after, int limit,
                   int (*fn)(const struct event *e, void *arg), void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT seq, type, data FROM event WHERE cluster_id=? AND seq>?"
	                   " ORDER BY seq LIMIT ?",
	                   "iii", id, after, (int64_t)limit);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct event e = { db_int(r, i, 0), db_str(r, i, 1), db_str(r, i, 2) };
		if (fn(&e, arg))
			break;
	}
	return rc;
}

static struct json *summary(const struct db_result *r, size_t i)
{
	char id[ID_MAX];
	id_cluster(id, db_int(r, i, 0));
	struct json *s = json_set_str(json_new_obj(), "id", id);
	json_set_str(s, "name", db_str(r, i, 1));
	json_set_str(s, "description", db_str(r, i, 2));
	json_set_str(s, "ownerId", db_str(r, i, 3));
	json_set_int(s, "createTime", db_int(r, i, 4));
	json_set_int(s, "expireTime", db_int(r, i, 5));
	json_set_int(s, "numNodes", db_int(r, i, 6));
	json_set_str(s, "status", db_str(r, i, 7));
	LOOM_CLEANUP(json_free) struct json *brief = row_json_at(r, i, 8);
	json_set(s, "provider", json_copy(json_get(brief, "provider")));
	json_set(s, "clusterTemplate", json_copy(json_get(brief, "clusterTemplate")));
	json_set(s, "services", row_json_at(r, i, 9));
	if (!db_is_null(r, i, 10)) {
		struct json *p = json_set_str(json_new_obj(), "action", db_str(r, i, 10));
		json_set_str(p, "actionstatus", db_str(r, i, 11));
		json_set_int(p, "stepstotal", db_int(r, i, 12));
		json_set_int(p, "stepscompleted", db_int(r, i, 13));
		json_set(s, "progress", p);
	}
	return s;
}

int cluster_summaries(struct db *db, const struct cluster_filter *f, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	/* One status is left to the index; several are sorted out below. */
	const char *only = NULL;
	for (int st = 0; st < CLUSTER_STATUSES_; st++)
		if (f->statuses == 1u << st)
			only = cluster_status_name((enum cluster_status)st);
	int rc = db_select(
		db, &r,
		"SELECT c.id, c.name, c.description, c.owner_id, c.create_time,"
		" c.expire_time, c.num_nodes, c.status, c.brief, c.services,"
		" j.action, j.status, j.tasks_total, j.tasks_done"
		" FROM cluster c LEFT JOIN job j ON j.cluster_id=c.id AND j.num=c.latest_job"
		" WHERE c.tenant_id=? AND (? IS NULL OR c.owner_id=?)"
		" AND (? IS NULL OR c.status=?) AND (?=0 OR c.id=?) ORDER BY c.create_time DESC, c.id DESC",
		"sssssii", f->tenant_id, f->owner_id, f->owner_id, only, only, f->id, f->id);
	if (rc)
		return rc;
	struct json *list = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++) {
		enum cluster_status st;
		if (!f->statuses ||
		    (cluster_status_parse(db_str(r, i, 7), &st) && (f->statuses & (1u << st))))
			json_push(list, summary(r, i));
	}
	*ret = list;
	return 0;
}

struct next_id {
	int64_t start, step, id;
};

static int next_id_tx(struct db *db, void *arg)
{
	struct next_id *n = arg;
	bool found;
	int rc = db_select_int(db, &n->id, &found,
	                       "SELECT value FROM counter WHERE name='cluster' FOR UPDATE", "");
	if (rc)
		return rc;
	if (found)
		return db_exec(db, "UPDATE counter SET value=? WHERE name='cluster'", "i",
		               n->id + n->step);
	n->id = n->start;
	rc = db_exec(db, "INSERT INTO counter (name, value) VALUES ('cluster', ?)", "i",
	             n->start + n->step);
	return rc == DB_E_DUP ? DB_E_RETRY : rc;
}

int cluster_next_id(struct db_pool *p, int64_t start, int64_t step, int64_t *ret)
{
	struct next_id n = { .start = start, .step = step };
	int rc = db_tx(p, next_id_tx, &n);
	if (!rc)
		*ret = n.id;
	return rc;
}

#define NO_LIMIT 2147483647 /* the column's default */

static int limits_of(struct db *db, const char *tenant, const char *lock, struct quota *ret)
{
	LOOM_CLEANUP_STR char *sql =
		loom_asprintf("SELECT max_clusters, max_nodes FROM tenant WHERE id=?%s", lock);
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, sql, "s", tenant);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	*ret = (struct quota){ .max_clusters = db_int(r, 0, 0), .max_nodes = db_int(r, 0, 1) };
	return 0;
}

static bool unlimited(const struct quota *q)
{
	return q->max_clusters == NO_LIMIT && q->max_nodes == NO_LIMIT;
}

static bool too_many_clusters(const struct quota *q)
{
	return q->more_clusters && q->clusters + q->more_clusters > q->max_clusters;
}

static bool too_many_nodes(const struct quota *q)
{
	return q->more_nodes && q->nodes + q->more_nodes > q->max_nodes;
}

int cluster_quota(struct db *db, const char *tenant, int64_t clusters, int64_t nodes,
                  struct quota *ret)
{
	int rc = limits_of(db, tenant, "", ret);
	/* Who may have any number is not counted, and their requests do not wait for each other. */
	if (!rc && unlimited(ret))
		rc = limits_of(db, tenant, " LOCK IN SHARE MODE", ret);
	if (rc || unlimited(ret))
		return rc;
	rc = limits_of(db, tenant, " FOR UPDATE", ret);
	if (rc)
		return rc;
	LOOM_CLEANUP(db_result_free) struct db_result *use = NULL;
	/* A cluster not yet solved counts with what it asked for. */
	rc = db_select(db, &use,
	               "SELECT COUNT(*), COALESCE(SUM(IF(num_nodes>0, num_nodes, asked_nodes)), 0)"
	               " FROM cluster WHERE tenant_id=? AND status<>'terminated'",
	               "s", tenant);
	if (rc)
		return rc;
	ret->clusters = db_int(use, 0, 0);
	ret->nodes = db_int(use, 0, 1);
	ret->more_clusters = clusters;
	ret->more_nodes = nodes;
	if (broken("quota") || (!too_many_clusters(ret) && !too_many_nodes(ret)))
		return 0;
	hold_at("quota_refused");
	return CLUSTER_E_QUOTA;
}

char *quota_words(const struct quota *q)
{
	if (too_many_clusters(q))
		return loom_asprintf("the tenant may have %lld clusters and has %lld",
		                     (long long)q->max_clusters, (long long)q->clusters);
	return loom_asprintf("the tenant may have %lld nodes and has %lld; %lld more are asked for",
	                     (long long)q->max_nodes, (long long)q->nodes,
	                     (long long)q->more_nodes);
}

int cluster_insert(struct db *db, const struct cluster *c, struct quota *ret)
{
	int rc = cluster_quota(db, c->tenant_id, 1, c->asked_nodes, ret);
	if (rc)
		return rc;
	LOOM_CLEANUP_STR char *brief = json_text(c->brief);
	LOOM_CLEANUP_STR char *services = json_text(c->services);
	LOOM_CLEANUP_STR char *request = json_text(c->request);
	LOOM_CLEANUP_STR char *template = json_text(c->template);
	LOOM_CLEANUP_STR char *provider = json_text(c->provider);
	LOOM_CLEANUP_STR char *config = json_text(c->config);
	return db_exec(
		db,
		"INSERT INTO cluster (id, tenant_id, owner_id, name, description, status,"
		" create_time, expire_time, asked_nodes, latest_job, next_job, event_seq, brief,"
		" services, request, template, provider, config)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"isssssiiiiiissssss", c->id, c->tenant_id, c->owner_id, c->name, c->description,
		cluster_status_name(c->status), c->create_time, c->expire_time, c->asked_nodes,
		c->latest_job, c->next_job, c->event_seq, brief, services, request, template,
		provider, config);
}
