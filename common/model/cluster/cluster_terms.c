/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of clusters as rows. Whoever writes them holds the cluster's row, or makes it. */
#include "common/model/cluster/cluster_terms.h"

#include "common/base/str.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { PER_ROW = 4 };

/* Append only, as all migrations are. terms_due is set on all existing clusters, and on each that
 * an older service creates or changes. The column is added instantly, whatever the table's size.
 * of_events: index for cluster_list_tally(). */
const char *const cluster_terms_schema[] = {
	"CREATE TABLE IF NOT EXISTS cluster_term ("
	" cluster_id BIGINT NOT NULL, term BIGINT NOT NULL,"
	" create_time BIGINT NOT NULL, name VARCHAR(255) NOT NULL, PRIMARY KEY (cluster_id, term),"
	" KEY by_time (term, create_time, cluster_id), KEY by_name (term, name, cluster_id))"
	" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
	"ALTER TABLE cluster ADD COLUMN IF NOT EXISTS terms_due DATETIME NULL"
	" DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
	"ALTER TABLE cluster ADD INDEX IF NOT EXISTS terms_due (terms_due, tenant_id),"
	" ADD INDEX IF NOT EXISTS of_events (tenant_id, owner_id, event_seq)",
	NULL,
};

int64_t cluster_term_of(const char *tenant, const char *owner, enum cluster_term kind,
                        const char *name, const char *value)
{
	unsigned char sum[crypto_generichash_BYTES];
	uint64_t term = 0;
	char scope[16];
	snprintf(scope, sizeof(scope), "%d %s", (int)kind, owner ? "owner" : "all");
	const char *parts[] = { scope, tenant, owner ? owner : "", name, value };
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, sizeof(sum));
	for (size_t i = 0; i < LOOM_COUNT(parts); i++) /* including the NUL */
		crypto_generichash_update(&state, (const unsigned char *)parts[i],
		                          strlen(parts[i]) + 1);
	crypto_generichash_final(&state, sum, sizeof(sum));
	for (size_t i = 0; i < sizeof(term); i++) /* independent of byte order */
		term = term << 8 | sum[i];
	return term ? (int64_t)term : 1;
}

struct terms {
	struct db_value *values;
	size_t n;
};

static void add(struct terms *w, const struct cluster *c, enum cluster_term kind, const char *name,
                const char *value)
{
	for (int own = 0; name && value && own < 2; own++) {
		struct db_value *row = &w->values[w->n++ * PER_ROW];
		row[0] = db_i(c->id);
		row[1] = db_i(
			cluster_term_of(c->tenant_id, own ? c->owner_id : NULL, kind, name, value));
		row[2] = db_i(c->create_time);
		row[3] = db_s(c->name);
	}
}

static void add_all(struct terms *w, const struct cluster *c)
{
	for (size_t i = 0; i < json_len(c->labels); i++)
		add(w, c, TERM_LABEL, json_key_at(c->labels, i),
		    json_str(json_value_at(c->labels, i)));
	add(w, c, TERM_TEMPLATE, json_get_str(json_get(c->brief, "clusterTemplate"), "name"), "");
	add(w, c, TERM_PROVIDER, json_get_str(json_get(c->brief, "provider"), "name"), "");
}

int cluster_terms_insert(struct db *db, const struct cluster *const *v, size_t n)
{
	static const struct db_many many = {
		"INSERT INTO cluster_term (cluster_id, term, create_time, name) VALUES ",
		"(?,?,?,?)", ",",
		/* A row may remain from a cluster that an older service deleted. */
		" ON DUPLICATE KEY UPDATE create_time=VALUES(create_time), name=VALUES(name)",
		PER_ROW
	};
	struct terms w = { 0 };
	size_t most = 0;
	for (size_t i = 0; i < n; i++)
		most += 2 * (json_len(v[i]->labels) + 2);
	w.values = loom_calloc(most + 1, PER_ROW * sizeof(*w.values));
	for (size_t i = 0; i < n; i++)
		add_all(&w, v[i]);
	int rc = db_exec_many(db, &many, w.values, w.n);
	loom_free(w.values);
	return rc;
}

/* Runs a statement for each cluster, by id. */
static int each(struct db *db, const struct db_many *many, struct cluster *const *v, size_t n)
{
	struct db_value *ids = loom_calloc(n + 1, sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		ids[i] = db_i(v[i]->id);
	int rc = db_exec_many(db, many, ids, n);
	loom_free(ids);
	return rc;
}

int cluster_terms_save(struct db *db, struct cluster *const *v, size_t n)
{
	static const struct db_many drop = { "DELETE FROM cluster_term WHERE cluster_id IN (", "?",
		                             ",", ")", 1 };
	static const struct db_many done = { "UPDATE cluster SET terms_due=NULL WHERE id IN (", "?",
		                             ",", ")", 1 };
	bool due = false;
	for (size_t i = 0; i < n; i++) {
		due = due || v[i]->terms_due;
		loom_free(v[i]->terms_due);
		v[i]->terms_due = NULL;
	}
	int rc = each(db, &drop, v, n);
	if (!rc)
		rc = cluster_terms_insert(db, (const struct cluster *const *)v, n);
	return rc || !due ? rc : each(db, &done, v, n);
}

/* Reads only what terms need: a damaged row must not stop the others. */
static struct cluster *read_one(const struct db_result *r, size_t i)
{
	struct cluster *c = loom_calloc(1, sizeof(*c));
	c->id = db_int(r, i, 0);
	c->create_time = db_int(r, i, 1);
	c->tenant_id = loom_strdup(db_str(r, i, 2));
	c->owner_id = loom_strdup(db_str(r, i, 3));
	c->name = loom_strdup(db_str(r, i, 4));
	c->terms_due = loom_strdup(db_str(r, i, 5));
	c->brief = row_json_at(r, i, 6);
	c->labels = row_json_at(r, i, 7);
	return c;
}

int cluster_terms_renew(struct db *db, size_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id, create_time, tenant_id, owner_id, name, terms_due, brief,"
	                   " labels FROM cluster FORCE INDEX (terms_due)"
	                   " WHERE terms_due IS NOT NULL ORDER BY terms_due LIMIT ?"
	                   " FOR UPDATE SKIP LOCKED",
	                   "i", (int64_t)DB_MANY);
	*ret = rc ? 0 : db_rows(r);
	struct cluster **v = loom_calloc(*ret + 1, sizeof(struct cluster *));
	for (size_t i = 0; i < *ret; i++)
		v[i] = read_one(r, i);
	if (*ret)
		rc = cluster_terms_save(db, v, *ret);
	for (size_t i = 0; i < *ret; i++)
		cluster_free(v[i]);
	loom_free(v);
	return rc;
}
