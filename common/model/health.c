/* SPDX-License-Identifier: Apache-2.0 */
/* Facts in the database about common problems. Each query uses an index or the server's own
 * statistics, so that a check costs nothing noticeable. */
#include "common/model/health.h"

#include "common/base/str.h"
#include "common/model/worker/provisioner.h"

#include <string.h>

void health_fini(struct health *h)
{
	json_free(h->tokens);
	json_free(h->tables);
	json_free(h->provisioners);
	*h = (struct health){ 0 };
}

/* Rows as objects; a field name that starts with '#' marks a number. */
static int list(struct db *db, const char *const *fields, struct json **ret, const char *sql,
                int64_t from, int64_t to)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, sql, "ii", from, to);
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *o = json_new_obj();
		for (unsigned k = 0; fields[k]; k++) {
			if (*fields[k] == '#')
				json_set_int(o, fields[k] + 1, db_int(r, i, k));
			else
				json_set_str(o, fields[k], db_str(r, i, k));
		}
		json_push(*ret, o);
	}
	return rc;
}

static int read_lists(struct db *db, struct health *h)
{
	static const char *const token[] = { "id", "name", "user", "tenant", "#expireTime", NULL };
	static const char *const table[] = { "name", "#bytes", "#rows", NULL };
	static const char *const provisioner[] = { "id", "version", "#refused", NULL };
	int rc = list(db, token, &h->tokens,
	              "SELECT k.id, k.name, k.user, COALESCE(t.name, k.tenant_id), k.expire_time"
	              " FROM token k LEFT JOIN tenant t ON t.id=k.tenant_id"
	              " WHERE k.expire_time>? AND k.expire_time<? AND k.kind<>'session'"
	              " ORDER BY k.expire_time LIMIT 20",
	              h->now, h->now + HEALTH_TOKEN_MS);
	if (!rc)
		rc = list(db, table, &h->tables,
		          "SELECT table_name, data_length+index_length, table_rows FROM"
		          " information_schema.tables WHERE table_schema=DATABASE() AND"
		          " data_length+index_length BETWEEN ? AND ? ORDER BY 2 DESC LIMIT 20",
		          HEALTH_TABLE_BYTES, INT64_MAX);
	if (!rc)
		rc = list(db, provisioner, &h->provisioners,
		          "SELECT id, version, " PROVISIONER_REFUSED_SQL " FROM provisioner WHERE"
		          " version<>'' AND heartbeat BETWEEN ? AND ? ORDER BY id LIMIT 10000",
		          0, INT64_MAX);
	return rc;
}

/* "gcomm://a:4567,b:4567,c:4567" names three; an empty list means no group. */
static int read_group(struct db *db, struct health *h)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	static const char scheme[] = "gcomm://";
	int rc = db_select(db, &r,
	                   "SELECT @@wsrep_cluster_address, CAST(variable_value AS SIGNED) FROM"
	                   " information_schema.global_status WHERE"
	                   " variable_name='wsrep_cluster_size'",
	                   "");
	h->members = h->wanted_members = 0;
	const char *names = !rc && db_rows(r) ? db_str(r, 0, 0) : NULL;
	if (!names || !str_starts(names, scheme) || !names[sizeof(scheme) - 1])
		return rc;
	h->members = db_int(r, 0, 1);
	h->wanted_members = 1;
	for (const char *at = names; (at = strchr(at, ',')); at++)
		h->wanted_members++;
	return 0;
}

int health_read(struct db *db, struct health *h)
{
	static const struct {
		size_t at;
		const char *sql;
	} counts[] = {
		{ offsetof(struct health, dead_callbacks),
		  "SELECT COUNT(*) FROM callback WHERE state='dead'" },
		{ offsetof(struct health, quarantined), "SELECT COUNT(*) FROM quarantine" },
		{ offsetof(struct health, backup),
		  "SELECT COALESCE(MAX(value), 0) FROM counter WHERE name='" HEALTH_BACKUP "'" },
	};
	health_fini(h);
	int rc = db_now(db, &h->now);
	if (!rc)
		rc = db_select_int(db, &h->overdue, NULL,
		                   "SELECT COUNT(*) FROM task WHERE state='running' AND"
		                   " lease_until BETWEEN 1 AND ?",
		                   "i", h->now - HEALTH_OVERDUE_MS);
	for (size_t i = 0; !rc && i < LOOM_COUNT(counts); i++)
		rc = db_select_int(db, (int64_t *)((char *)h + counts[i].at), NULL, counts[i].sql,
		                   "");
	if (!rc)
		rc = read_group(db, h);
	return rc ? rc : read_lists(db, h);
}
