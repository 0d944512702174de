/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of clusters: keys first, then summaries, which are written as text without a tree. */
#include "common/model/cluster/cluster_list.h"

#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/cluster/cluster_terms.h"
#include "common/model/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMMARY_MAX ((size_t)16 << 20)

/* ---- keys ------------------------------------------------------------------------------------ */

/* A single status can use the index. */
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

/* clang-format off */
/* Continues after a place: first as a bound for the index, then exactly. */
#define FROM_BY(of, column, than, id) of "." column than "=? AND (" of "." column than "? OR " id "?)"
#define IN_ORDER(of, column, way, id) " ORDER BY " of "." column " " way ", " id " " way " LIMIT ?"
/* Conditions that hold whichever index is used. */
#define FITS                                                          \
	" AND c.tenant_id=? AND (? IS NULL OR c.owner_id=?)"          \
	" AND (? IS NULL OR c.status=?)"                              \
	" AND (? IS NULL OR FIND_IN_SET(c.status, ?)>0)"              \
	" AND (? IS NULL OR c.name=?)"                                \
	" AND (? IS NULL OR JSON_CONTAINS(c.labels, ?))"              \
	" AND (? IS NULL OR JSON_VALUE(c.brief, '$.clusterTemplate.name')=?)" \
	" AND (? IS NULL OR JSON_VALUE(c.brief, '$.provider.name')=?)"
#define FITS_TYPES "sssssssssssssss"
/* Names with this prefix: between the smallest and the largest one. */
#define BEGINS(of) " AND " of ".name>=? AND " of ".name<=?"

#define KEYS_BY(column, than, way, begins)                                 \
	"SELECT c.id, c.create_time, c.name FROM cluster c WHERE "         \
	FROM_BY("c", column, than, "c.id" than) FITS begins                \
	IN_ORDER("c", column, way, "c.id")
/* The same by a search term, plus clusters whose terms may be wrong. */
#define KEYS_OF_TERM_BY(column, than, way, begins_w, begins)                              \
	"(SELECT c.id, w.create_time, w.name FROM cluster_term w STRAIGHT_JOIN cluster c" \
	" ON c.id=w.cluster_id WHERE w.term=? AND "                                       \
	FROM_BY("w", column, than, "w.cluster_id" than) FITS begins_w                     \
	IN_ORDER("w", column, way, "w.cluster_id") ") UNION"                              \
	" (SELECT c.id, c.create_time, c.name FROM cluster c FORCE INDEX (terms_due)"     \
	" WHERE c.terms_due IS NOT NULL AND "                                             \
	FROM_BY("c", column, than, "c.id" than) FITS begins                               \
	IN_ORDER("c", column, way, "c.id") ")"                                            \
	" ORDER BY " column " " way ", id " way " LIMIT ?"
/* clang-format on */

static const struct {
	const char *sql, *of_term;
	bool by_name;
	struct cluster_place first; /* a place before all others */
} orders[CLUSTER_ORDERS_] = {
	[CLUSTERS_NEWEST] = { KEYS_BY("create_time", "<", "DESC", ""),
	                      KEYS_OF_TERM_BY("create_time", "<", "DESC", "", ""),
	                      false,
	                      { INT64_MAX, "", INT64_MAX } },
	[CLUSTERS_OLDEST] = { KEYS_BY("create_time", ">", "ASC", ""),
	                      KEYS_OF_TERM_BY("create_time", ">", "ASC", "", ""),
	                      false,
	                      { 0, "", 0 } },
	[CLUSTERS_BY_NAME] = { KEYS_BY("name", ">", "ASC", BEGINS("c")),
	                       KEYS_OF_TERM_BY("name", ">", "ASC", BEGINS("w"), BEGINS("c")),
	                       true,
	                       { 0, "", 0 } },
	/* Names are ASCII, without tildes. */
	[CLUSTERS_BY_NAME_DOWN] = { KEYS_BY("name", "<", "DESC", BEGINS("c")),
	                            KEYS_OF_TERM_BY("name", "<", "DESC", BEGINS("w"), BEGINS("c")),
	                            true,
	                            { 0, "~", INT64_MAX } },
};

/* ---- by which index? ------------------------------------------------------------------------- */

#define MANY 1000 /* counting stops here */

/* The rarest term in a filter. */
struct rarest {
	struct db *db;
	const struct cluster_filter *f;
	int64_t term; /* 0: none, or none that helps */
	int64_t n;    /* clusters that have it */
};

static int offer(struct rarest *r, enum cluster_term kind, const char *name, const char *value)
{
	int64_t n = MANY;
	if (!name)
		return 0;
	int64_t term = cluster_term_of(r->f->tenant_id, r->f->owner_id, kind, name, value);
	int rc = db_select_int(r->db, &n, NULL,
	                       "SELECT COUNT(*) FROM (SELECT 1 FROM cluster_term w WHERE term=?"
	                       " LIMIT ?) n",
	                       "ii", term, (int64_t)MANY);
	if (rc || n >= r->n)
		return rc;
	r->n = n;
	r->term = term;
	return 0;
}

/* The status may be rarer than the term. */
static int offer_status(struct rarest *r, const char *only)
{
	int64_t n = MANY;
	int rc = db_select_int(r->db, &n, NULL,
	                       "SELECT COUNT(*) FROM (SELECT 1 FROM cluster c"
	                       " FORCE INDEX (of_status) WHERE tenant_id=? AND status=? LIMIT ?) n",
	                       "ssi", r->f->tenant_id, only, (int64_t)MANY);
	if (!rc && n < r->n)
		r->term = 0;
	return rc;
}

/* Right after the migration many clusters may have no terms, or wrong ones. */
static int check_terms(struct rarest *r)
{
	int64_t n = 0;
	int rc = db_select_int(r->db, &n, NULL,
	                       "SELECT COUNT(*) FROM (SELECT 1 FROM cluster c"
	                       " FORCE INDEX (terms_due) WHERE terms_due IS NOT NULL LIMIT ?) n",
	                       "i", (int64_t)MANY);
	if (n >= MANY)
		r->term = 0;
	return rc;
}

static int rarest_find(struct rarest *r, const char *only)
{
	const struct cluster_filter *f = r->f;
	int rc = 0;
	if (f->name) /* few clusters share a name */
		return 0;
	for (size_t i = 0; !rc && i < json_len(f->labels); i++)
		rc = offer(r, TERM_LABEL, json_key_at(f->labels, i),
		           json_str(json_value_at(f->labels, i)));
	if (!rc)
		rc = offer(r, TERM_TEMPLATE, f->template_name, "");
	if (!rc)
		rc = offer(r, TERM_PROVIDER, f->provider_name, "");
	if (!rc && r->term && only)
		rc = offer_status(r, only);
	return rc || !r->term ? rc : check_terms(r);
}

static int keys_read(struct db *db, const struct cluster_filter *f, struct db_result **ret)
{
	const struct cluster_place *from = f->after.id ? &f->after : &orders[f->order].first;
	const char *only = only_status(f->statuses);
	LOOM_CLEANUP_STR char *several = only ? NULL : several_statuses(f->statuses);
	LOOM_CLEANUP_STR char *labels = json_len(f->labels) ? json_text(f->labels) : NULL;
	int64_t limit = f->limit ? f->limit + 1 : INT64_MAX; /* one more than asked, to find out
	                                                      * whether another page follows */
	struct rarest r = { .db = db, .f = f, .n = INT64_MAX };
	int rc = rarest_find(&r, only);
	if (rc)
		return rc;
	const char *sql = r.term ? orders[f->order].of_term : orders[f->order].sql;
#define FILTERED                                                                                \
	f->tenant_id, f->owner_id, f->owner_id, only, only, several, several, f->name, f->name, \
		labels, labels, f->template_name, f->template_name, f->provider_name,           \
		f->provider_name
#define BY_TIME    from->create_time, from->create_time, from->id, FILTERED, limit
#define BY_NAME    from->name, from->name, from->id, FILTERED, least, greatest, limit
#define TIME_TYPES "iii" FITS_TYPES "i"
#define NAME_TYPES "ssi" FITS_TYPES "ssi"
	if (!orders[f->order].by_name)
		return r.term ? db_select(db, ret, sql, "i" TIME_TYPES TIME_TYPES "i", r.term,
		                          BY_TIME, BY_TIME, limit)
		              : db_select(db, ret, sql, TIME_TYPES, BY_TIME);
	const char *least = f->begins ? f->begins : "";
	/* Names are ASCII, without tildes. */
	LOOM_CLEANUP_STR char *greatest = loom_asprintf("%s~", least);
	return r.term ? db_select(db, ret, sql, "i" NAME_TYPES NAME_TYPES "i", r.term, BY_NAME,
	                          BY_NAME, limit)
	              : db_select(db, ret, sql, NAME_TYPES, BY_NAME);
#undef BY_TIME
#undef BY_NAME
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

#define TALLY                                                                   \
	"SELECT CAST(1+COALESCE(SUM(event_seq+1), 0) AS SIGNED) FROM cluster c" \
	" FORCE INDEX (of_events) WHERE tenant_id=?"

int cluster_list_tally(struct db *db, const char *tenant, const char *owner, int64_t *ret)
{
	return owner ? db_select_int(db, ret, NULL, TALLY " AND owner_id=?", "ss", tenant, owner)
	             : db_select_int(db, ret, NULL, TALLY, "s", tenant);
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

/* Parameters are the columns that may be long, or their substitutes. */
#define SHOWN(description, message, brief, services, labels, job_message)                         \
	"SELECT c.id, c.tenant_id, c.owner_id, c.name, " description ", " message                 \
	", c.status, c.create_time, c.expire_time, c.num_nodes, " brief ", " services ", " labels \
	", j.action, j.status, j.tasks_total, j.tasks_done, " job_message                         \
	" FROM cluster c LEFT JOIN job j ON j.cluster_id=c.id AND j.num=c.latest_job"             \
	" WHERE c.id IN ("
#define SHOWN_END ") ORDER BY c.create_time DESC, c.id DESC"

/* Writes the members of provider and template, which are stored as one object. */
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

/* Rows sorted by id; owned. */
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
	static const struct db_many whole = { SHOWN("c.description", "c.message", "c.brief",
		                                    "c.services", "c.labels", "j.message"),
		                              "?", ",", SHOWN_END, 1 };
	static const struct db_many brief = { SHOWN("''", "''", "''", "'[]'", "'{}'", "''"), "?",
		                              ",", SHOWN_END, 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *values = loom_calloc(n + 1, sizeof(*values));
	for (size_t i = 0; i < n; i++)
		values[i] = db_i(ids[i]);
	int rc = n ? db_select_many(db, &r, f->brief ? &brief : &whole, values, n) : 0;
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
