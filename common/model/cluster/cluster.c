/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters as rows, their numbered events, the form in lists, and the quota for new ones.
 */
#include "common/model/cluster/cluster.h"

#include "common/base/fault.h"
#include "common/model/cluster/cluster_terms.h"
#include "common/model/identity/tenant.h"
#include "common/model/row.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static bool status_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                        unsigned col)
{
	return cluster_status_parse(db_str(r, row, col), at);
}

static struct db_value status_write(const void *at, char **text LOOM_UNUSED)
{
	return db_s(cluster_status_name(*(const enum cluster_status *)at));
}

static const struct row_type status_type = { 'o', status_read, status_write, NULL, NULL };

/* Groups of columns that are saved separately. */
enum {
	EVENTS = ROW_GROUP,
	TEMPLATE = ROW_GROUP << 1,
	CONFIG = ROW_GROUP << 2,
	SERVICE_DOCS = ROW_GROUP << 3,
	LABELS = ROW_GROUP << 4,
};

/* What each transaction reads ... */
/* clang-format off */
#define CLUSTER_ROW(X, SEP)                                       \
	X(id, row_int, ROW_KEY) SEP                               \
	X(tenant_id, row_str, ROW_NEW) SEP                        \
	X(owner_id, row_str, ROW_NEW) SEP                         \
	X(name, row_str, ROW_NEW) SEP                             \
	X(own_name, row_str, ROW_OPTION | ROW_SAVE) SEP           \
	X(description, row_str, ROW_OPTION) SEP                   \
	X(message, row_str, ROW_SAVE) SEP                         \
	X(status, status_type, ROW_NEW | ROW_SAVE) SEP            \
	X(create_time, row_int, ROW_NEW) SEP                      \
	X(expire_time, row_int, ROW_OPTION | ROW_SAVE) SEP        \
	X(num_nodes, row_int, ROW_SAVE) SEP                       \
	X(asked_nodes, row_int, ROW_NEW) SEP                      \
	X(last_node, row_int, ROW_SAVE) SEP                       \
	X(latest_job, row_int, ROW_NEW | ROW_SAVE) SEP            \
	X(next_job, row_int, ROW_NEW | ROW_SAVE) SEP              \
	X(event_seq, row_int, ROW_OPTION | ROW_SAVE | EVENTS) SEP \
	X(brief, row_json, ROW_NEW | TEMPLATE) SEP                \
	X(services, row_json, ROW_NEW | ROW_SAVE) SEP             \
	X(labels, row_object, ROW_OPTION | LABELS) SEP            \
	X(terms_due, row_str, ROW_OPTION | ROW_KEEP)
/* clang-format on */

/* ... and documents, which may be large. */
/* clang-format off */
#define CLUSTER_DOCS(X, SEP)                          \
	X(request, row_json, ROW_NEW) SEP             \
	X(template, row_json, ROW_NEW | TEMPLATE) SEP \
	X(provider, row_json, ROW_NEW) SEP            \
	X(config, row_json, ROW_NEW | CONFIG) SEP     \
	X(service_docs, row_json, SERVICE_DOCS) SEP   \
	X(sealed, row_int, ROW_OPTION)
/* clang-format on */

#define CLUSTER_COLUMN(col, type, flags) ROW_COLUMN(struct cluster, col, type, flags),
#define ONE(...)                         +1
enum { SMALL = 0 CLUSTER_ROW(ONE, ), DOCS = 0 CLUSTER_DOCS(ONE, ) };

static const struct row_column columns[] = { CLUSTER_ROW(CLUSTER_COLUMN, )
	                                             CLUSTER_DOCS(CLUSTER_COLUMN, ) };
const struct row_table cluster_table = ROW_TABLE("cluster", struct cluster, columns);
static const struct row_table small = { "cluster", columns, SMALL, sizeof(struct cluster) };
static const struct row_table docs = { "cluster", columns + SMALL, DOCS, sizeof(struct cluster) };

static void forget_unsaved(struct cluster *c)
{
	for (size_t i = 0; i < c->n_unsaved; i++)
		loom_free(c->unsaved[i].data);
	c->n_unsaved = 0;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	row_fini(&cluster_table, c);
	forget_unsaved(c);
	loom_free(c->unsaved);
	loom_free(c);
}

/* The clock is the last column, so that it is read after the row's lock. */
#define COLUMNS ROW_NAMES(CLUSTER_ROW) ", CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"

static int row_to_cluster(const struct db_result *r, size_t i, struct cluster **ret)
{
	if (i >= db_rows(r))
		return CLUSTER_E_NONE;
	LOOM_CLEANUP(cluster_free) struct cluster *c = loom_calloc(1, sizeof(*c));
	int rc = row_read(&small, r, i, c);
	c->now = db_int(r, i, SMALL);
	if (!rc)
		*ret = loom_take(c);
	return rc;
}

int cluster_lock(struct db *db, int64_t id, struct cluster **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r, "SELECT " COLUMNS " FROM cluster WHERE id=? FOR UPDATE", "i", id);
	return rc ? rc : row_to_cluster(r, 0, ret);
}

int clusters_lock_free(struct db *db, const int64_t *ids, size_t n, struct cluster ***ret,
                       size_t *ret_n)
{
	static const struct db_many many = { "SELECT " COLUMNS
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
	int rc = db_select(db, &r, "SELECT " COLUMNS " FROM cluster WHERE id=?", "i", id);
	return rc ? rc : row_to_cluster(r, 0, ret);
}

int cluster_load_docs(struct db *db, struct cluster *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " ROW_NAMES(CLUSTER_DOCS) " FROM cluster WHERE id=?",
	                   "i", c->id);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	row_fini(&docs, c);
	return row_read(&docs, r, 0, c);
}

int cluster_load_task_docs(struct db *db, struct cluster *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT provider, config, service_docs FROM cluster WHERE id=?",
	                   "i", c->id);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	json_free(c->provider);
	json_free(c->config);
	json_free(c->service_docs);
	c->provider = row_json_at(r, 0, 0);
	c->config = row_json_at(r, 0, 1);
	c->service_docs = row_json_at(r, 0, 2);
	return 0;
}

int cluster_config_size(struct db *db, int64_t id, int64_t *ret)
{
	return db_select_int(db, ret, NULL, "SELECT LENGTH(config) FROM cluster WHERE id=?", "i",
	                     id);
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
	int rc = save_events(db, &c, 1);
	return rc ? rc : row_save(db, &cluster_table, ROW_SAVE, c);
}

int clusters_save_events(struct db *db, struct cluster **v, size_t n)
{
	int rc = save_events(db, v, n);
	return rc ? rc : rows_save(db, &cluster_table, EVENTS, (const void *const *)v, n);
}

static int save_doc(struct db *db, struct cluster *c, unsigned group, struct json **member,
                    const struct json *doc)
{
	struct json *copy = json_copy(doc);
	json_free(*member);
	*member = copy;
	return row_save(db, &cluster_table, group, c);
}

int cluster_save_service_docs(struct db *db, struct cluster *c, const struct json *doc)
{
	return save_doc(db, c, SERVICE_DOCS, &c->service_docs, doc);
}

int cluster_save_template(struct db *db, struct cluster *c, const struct json *template)
{
	int rc = save_doc(db, c, TEMPLATE, &c->template, template);
	return rc ? rc : cluster_terms_save(db, &c, 1);
}

int cluster_save_config(struct db *db, struct cluster *c, const struct json *config)
{
	return save_doc(db, c, CONFIG, &c->config, config);
}

int cluster_save_labels(struct db *db, struct cluster *c, const struct json *labels)
{
	int rc = save_doc(db, c, LABELS, &c->labels, labels);
	return rc ? rc : cluster_terms_save(db, &c, 1);
}

void cluster_transition(struct cluster *c, enum cluster_status to, const char *message, int64_t now)
{
	loom_assert(cluster_may_become(c->status, to));
	c->status = to;
	if (to == CLUSTER_TERMINATED) {
		loom_free(c->own_name);
		c->own_name = NULL;
	}
	loom_free(c->message);
	c->message = loom_strdup(message);
	struct json *data = json_set_str(json_new_obj(), "status", cluster_status_name(to));
	cluster_event(c, "cluster", json_set_str(data, "message", message), now);
}

void cluster_event(struct cluster *c, const char *type, struct json *data, int64_t now)
{
	LOOM_CLEANUP(json_free) struct json *owned = json_set_int(data, "time", now);
	cluster_event_text(c, type, json_text(owned));
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
	if (fault_enabled("events") && c->event_seq % 20 == 0)
		c->event_seq++;
}

static void walk_events(const struct db_result *r, int (*fn)(const struct event *e, void *arg),
                        void *arg)
{
	for (size_t i = 0; i < db_rows(r); i++) {
		struct event e = { db_int(r, i, 0), db_str(r, i, 1), db_str(r, i, 2) };
		if (fn(&e, arg))
			break;
	}
}

void cluster_tag(char tag[TAG_MAX], const struct cluster *c, const char *rest)
{
	unsigned char sum[16];
	char hex[33];
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)rest, strlen(rest), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	snprintf(tag, TAG_MAX, "\"%lld.%.16s\"", (long long)c->event_seq, hex);
}

int cluster_events(struct db *db, int64_t id, int64_t after, int limit,
                   int (*fn)(const struct event *e, void *arg), void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT seq, type, data FROM event WHERE cluster_id=? AND seq>?"
	                   " ORDER BY seq LIMIT ?",
	                   "iii", id, after, (int64_t)limit);
	if (!rc)
		walk_events(r, fn, arg);
	return rc;
}

int cluster_events_but_tasks(struct db *db, int64_t id, int64_t upto,
                             int (*fn)(const struct event *e, void *arg), void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT seq, type, data FROM event WHERE cluster_id=? AND seq<=?"
	                   " AND type<>'task' ORDER BY seq",
	                   "ii", id, upto);
	if (!rc)
		walk_events(r, fn, arg);
	return rc;
}

struct json *cluster_shown(const struct cluster *c)
{
	char id[ID_MAX];
	id_cluster(id, c->id);
	struct json *o = json_set_str(json_new_obj(), "id", id);
	json_set_str(o, "name", c->name);
	json_set_str(o, "description", c->description);
	json_set_int(o, "createTime", c->create_time);
	json_set_int(o, "expireTime", c->expire_time);
	json_set_str(o, "status", cluster_status_name(c->status));
	json_set(o, "labels", json_copy(c->labels));
	return json_set(o, "services", json_copy(c->services));
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
		return TENANT_E_NONE;
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
	/* Unlimited tenants are not counted, and their requests do not wait for each other. */
	if (!rc && unlimited(ret))
		rc = limits_of(db, tenant, " LOCK IN SHARE MODE", ret);
	if (rc || unlimited(ret))
		return rc;
	rc = limits_of(db, tenant, " FOR UPDATE", ret);
	if (rc)
		return rc;
	LOOM_CLEANUP(db_result_free) struct db_result *use = NULL;
	/* A cluster without a layout yet counts with the number requested. */
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
	if (fault_enabled("quota") || (!too_many_clusters(ret) && !too_many_nodes(ret)))
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

int cluster_named(struct db *db, const char *tenant, const char *name, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r, "SELECT id, status FROM cluster WHERE tenant_id=? AND own_name=?",
	                  "ss", tenant, name);
	*ret = !rc && db_rows(r) ? db_int(r, 0, 0) : 0;
	if (!*ret || !str_eq(db_str(r, 0, 1), cluster_status_name(CLUSTER_TERMINATED)))
		return rc;
	int64_t ended = *ret;
	*ret = 0;
	return db_exec(db,
	               "UPDATE cluster SET own_name=NULL, terms_due=terms_due WHERE id=?"
	               " AND status='terminated'",
	               "i", ended);
}

int cluster_insert(struct db *db, const struct cluster *c, struct quota *ret)
{
	/* Count last, to hold the locks of counting as short as possible. */
	int rc = cluster_terms_insert(db, &c, 1);
	if (!rc)
		rc = cluster_quota(db, c->tenant_id, 1, c->asked_nodes, ret);
	return rc ? rc : row_insert(db, &cluster_table, c);
}
