/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of clusters: keys first, then summaries, which are written as text without a tree. */
#include "common/model/cluster_list.h"

#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMMARY_MAX ((size_t)16 << 20)

/* ---- keys ------------------------------------------------------------------------------------ */

/* One status is left to the index. */
static const char *only_status(unsigned statuses)
{
	for (int st = 0; st < CLUSTER_STATUSES_; st++) {
		if (statuses == 1u << st)
			return cluster_status_name((enum cluster_status)st);
	}
	return NULL;
}

/* "active,pending"; NULL for all. Owned. */
static char *several_statuses(unsigned statuses)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (int st = 0; st < CLUSTER_STATUSES_; st++) {
		if (statuses & 1u << st)
			strs_add(&names, cluster_status_name((enum cluster_status)st));
	}
	return names.n ? strs_join(&names, ",") : NULL;
}

/* From a place on in one order: first as a bound of the index, then exactly. */
#define KEYS_BY(column, than, way, bounds)                                      \
	"SELECT c.id, c.create_time, c.name FROM cluster c WHERE c.tenant_id=?" \
	" AND c." column than "=? AND (c." column than "? OR c.id" than "?)"    \
	" AND (? IS NULL OR c.owner_id=?) AND (? IS NULL OR c.status=?)"        \
	" AND (? IS NULL OR FIND_IN_SET(c.status, ?)>0)"                        \
	" AND (? IS NULL OR c.name=?)"                                          \
	" AND (? IS NULL OR JSON_CONTAINS(c.labels, ?))"                        \
	" AND (? IS NULL OR JSON_VALUE(c.brief, '$.clusterTemplate.name')=?)"   \
	" AND (? IS NULL OR JSON_VALUE(c.brief, '$.provider.name')=?)" bounds   \
	" ORDER BY c." column " " way ", c.id " way " LIMIT ?"
/* Between the least and the greatest name that begins so. */
#define BOUNDS       " AND c.name>=? AND c.name<=?"
#define FILTER_TYPES "ssssssssssssss"

static const struct {
	const char *sql;
	bool by_name;
	struct cluster_place first; /* before all others */
} orders[CLUSTER_ORDERS_] = {
	[CLUSTERS_NEWEST] = { KEYS_BY("create_time", "<", "DESC", ""),
	                      false,
	                      { INT64_MAX, "", INT64_MAX } },
	[CLUSTERS_OLDEST] = { KEYS_BY("create_time", ">", "ASC", ""), false, { 0, "", 0 } },
	[CLUSTERS_BY_NAME] = { KEYS_BY("name", ">", "ASC", BOUNDS), true, { 0, "", 0 } },
	/* Names are of ASCII, and none has a tilde. */
	[CLUSTERS_BY_NAME_DOWN] = { KEYS_BY("name", "<", "DESC", BOUNDS),
	                            true,
	                            { 0, "~", INT64_MAX } },
};

static int keys_read(struct db *db, const struct cluster_filter *f, struct db_result **ret)
{
	const struct cluster_place *from = f->after.id ? &f->after : &orders[f->order].first;
	const char *sql = orders[f->order].sql, *only = only_status(f->statuses);
	LOOM_CLEANUP_STR char *several = only ? NULL : several_statuses(f->statuses);
	LOOM_CLEANUP_STR char *labels = json_len(f->labels) ? json_text(f->labels) : NULL;
	int64_t limit = f->limit ? f->limit + 1 : INT64_MAX; /* one more: is there a next page? */
#define FILTERED                                                                            \
	from->id, f->owner_id, f->owner_id, only, only, several, several, f->name, f->name, \
		labels, labels, f->template_name, f->template_name, f->provider_name,       \
		f->provider_name
	if (!orders[f->order].by_name)
		return db_select(db, ret, sql, "siii" FILTER_TYPES "i", f->tenant_id,
		                 from->create_time, from->create_time, FILTERED, limit);
	const char *least = f->begins ? f->begins : "";
	/* Names are of ASCII, and none has a tilde. */
	LOOM_CLEANUP_STR char *greatest = loom_asprintf("%s~", least);
	return db_select(db, ret, sql, "sssi" FILTER_TYPES "ssi", f->tenant_id, from->name,
	                 from->name, FILTERED, least, greatest, limit);
#undef FILTERED
}

int cluster_list_keys(struct db *db, const struct cluster_filter *f, struct cluster_keys *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = keys_read(db, f, &r);
	if (rc)
		return rc;
	size_t n = db_rows(r);
	*ret = (struct cluster_keys){ .more = f->limit && n > (size_t)f->limit };
	ret->n = n - ret->more;
	ret->ids = loom_calloc(n + 1, sizeof(*ret->ids));
	for (size_t i = 0; i < ret->n; i++)
		ret->ids[i] = db_int(r, i, 0);
	if (!ret->n)
		return 0;
	ret->last.id = db_int(r, ret->n - 1, 0);
	ret->last.create_time = db_int(r, ret->n - 1, 1);
	snprintf(ret->last.name, sizeof(ret->last.name), "%s", db_str(r, ret->n - 1, 2));
	return 0;
}

/* ---- summaries ------------------------------------------------------------------------------- */

enum {
	ID,
	TENANT,
	OWNER,
	NAME,
	DESCRIPTION,
	MESSAGE,
	STATUS,
	CREATED,
	EXPIRES,
	NODES,
	BRIEF,
	SERVICES,
	LABELS,
	ACTION,
	JOB_STATUS,
	TOTAL,
	DONE,
	JOB_MESSAGE,
};

#define SHOWN                                                                               \
	"SELECT c.id, c.tenant_id, c.owner_id, c.name, c.description, c.message, c.status," \
	" c.create_time, c.expire_time, c.num_nodes, c.brief, c.services, c.labels,"        \
	" j.action, j.status, j.tasks_total, j.tasks_done, j.message"                       \
	" FROM cluster c LEFT JOIN job j ON j.cluster_id=c.id AND j.num=c.latest_job"       \
	" WHERE c.id IN ("

/* What a list shows of provider and template is kept as the members of one object. */
static void emit_brief(struct buf *out, const char *brief)
{
	size_t n = brief ? strlen(brief) : 0;
	if (n <= 2)
		return;
	buf_addc(out, ',');
	buf_add(out, brief + 1, n - 2);
}

static void emit_progress(struct buf *out, const struct db_result *r, size_t i)
{
	if (db_is_null(r, i, ACTION))
		return;
	buf_adds(out, ",\"progress\":{");
	json_emit_str(out, "action", db_str(r, i, ACTION));
	json_emit_str(out, "actionstatus", db_str(r, i, JOB_STATUS));
	json_emit_int(out, "stepstotal", db_int(r, i, TOTAL));
	json_emit_int(out, "stepscompleted", db_int(r, i, DONE));
	buf_addc(out, '}');
}

static bool unwell(const char *status)
{
	return str_eq(status, cluster_status_name(CLUSTER_INCOMPLETE)) ||
	       str_eq(status, cluster_status_name(CLUSTER_INCONSISTENT));
}

static void emit_summary(struct buf *out, const struct db_result *r, size_t i)
{
	char id[ID_MAX];
	id_cluster(id, db_int(r, i, ID));
	buf_addc(out, '{');
	json_emit_str(out, "id", id);
	json_emit_str(out, "name", db_str(r, i, NAME));
	json_emit_str(out, "description", db_str(r, i, DESCRIPTION));
	json_emit_int(out, "createTime", db_int(r, i, CREATED));
	json_emit_int(out, "expireTime", db_int(r, i, EXPIRES));
	json_emit_str(out, "status", db_str(r, i, STATUS));
	json_emit_text(out, "labels", db_str(r, i, LABELS));
	json_emit_text(out, "services", db_str(r, i, SERVICES));
	json_emit_str(out, "ownerId", db_str(r, i, OWNER));
	json_emit_int(out, "numNodes", db_int(r, i, NODES));
	emit_brief(out, db_str(r, i, BRIEF));
	if (unwell(db_str(r, i, STATUS)))
		json_emit_str(out, "message",
		              db_str(r, i, db_is_null(r, i, MESSAGE) ? JOB_MESSAGE : MESSAGE));
	emit_progress(out, r, i);
	buf_addc(out, '}');
}

static bool may_see(const struct cluster_filter *f, const struct db_result *r, size_t i)
{
	return str_eq(db_str(r, i, TENANT), f->tenant_id) &&
	       (!f->owner_id || str_eq(db_str(r, i, OWNER), f->owner_id));
}

struct found {
	int64_t id;
	size_t row;
};

static int by_id(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Rows by their ids; owned. */
static struct found *found_rows(const struct db_result *r)
{
	size_t n = db_rows(r);
	struct found *v = loom_calloc(n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct found){ db_int(r, i, ID), i };
	qsort(v, n, sizeof(*v), by_id);
	return v;
}

int cluster_list_summaries(struct db *db, const struct cluster_filter *f, const int64_t *ids,
                           size_t n, cluster_summary_fn fn, void *arg)
{
	static const struct db_many many = { SHOWN, "?", ",",
		                             ") ORDER BY c.create_time DESC, c.id DESC", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *values = loom_calloc(n + 1, sizeof(*values));
	for (size_t i = 0; i < n; i++)
		values[i] = db_i(ids[i]);
	int rc = n ? db_select_many(db, &r, &many, values, n) : 0;
	loom_free(values);
	if (rc || !n)
		return rc;
	struct found *found = found_rows(r);
	for (size_t i = 0; i < n; i++) {
		struct buf text = BUF_INIT(SUMMARY_MAX);
		const struct found key = { .id = ids[i] };
		const struct found *at = bsearch(&key, found, db_rows(r), sizeof(*found), by_id);
		if (at && may_see(f, r, at->row)) {
			emit_summary(&text, r, at->row);
			loom_assert(!text.full);
			fn(ids[i], text.data, text.len, arg);
		}
		buf_fini(&text);
	}
	loom_free(found);
	return 0;
}
