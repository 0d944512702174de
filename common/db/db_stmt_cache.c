/* SPDX-License-Identifier: Apache-2.0 */
/* db_stmt_cache - prepares statements once per connection. Worker threads, blocking. */
#include "common/db/db_private.h"

#include <string.h>

static uint32_t hash_text(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static void count(struct db *db, int64_t bytes)
{
	db->cached_bytes = (size_t)((int64_t)db->cached_bytes + bytes);
	metric_add(&db_metrics[DB_M_STMT_BYTES], bytes);
}

static void forget(struct db *db, size_t i)
{
	(void)mysql_stmt_close(db->cache[i].stmt);
	loom_free(db->cache[i].sql);
	count(db, -(int64_t)db->cache[i].bytes);
	db->cache[i] = db->cache[--db->cached];
}

void db_stmt_forget_all(struct db *db)
{
	while (db->cached)
		forget(db, db->cached - 1);
}

static size_t least_used(const struct db *db)
{
	size_t least = 0;
	for (size_t i = 1; i < db->cached; i++) {
		if (db->cache[i].used < db->cache[least].used)
			least = i;
	}
	return least;
}

int db_stmt_fail(struct db *db, MYSQL_STMT *stmt, const char *sql)
{
	return db_fail(db, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), sql);
}

/* Estimates the library's memory for a statement: its own blocks, a binding for each parameter, and
 * a description of each column. */
static size_t size_of(MYSQL_STMT *stmt, const char *sql)
{
	const size_t blocks = 10240, column = 512;
	return blocks + 2 * strlen(sql) + mysql_stmt_param_count(stmt) * sizeof(MYSQL_BIND) +
	       mysql_stmt_field_count(stmt) * column;
}

static struct db_stmt *find(struct db *db, const char *sql, uint32_t hash)
{
	for (size_t i = 0; i < db->cached; i++) {
		if (db->cache[i].hash == hash && strcmp(db->cache[i].sql, sql) == 0)
			return &db->cache[i];
	}
	return NULL;
}

void db_unprepare(struct db *db, const char *sql)
{
	const struct db_stmt *s = find(db, sql, hash_text(sql));
	if (s)
		forget(db, (size_t)(s - db->cache));
}

struct db_stmt *db_stmt_prepare(struct db *db, const char *sql, int *ret_r)
{
	uint32_t hash = hash_text(sql);
	*ret_r = DB_E_RETRY;
	if (db->dead || db->broken)
		return NULL;
	struct db_stmt *s = find(db, sql, hash);
	if (s) {
		s->used = ++db->ticks;
		return s;
	}
	MYSQL_STMT *stmt = mysql_stmt_init(db->mysql);
	loom_assert(stmt);
	if (mysql_stmt_prepare(stmt, sql, strlen(sql))) {
		*ret_r = db_stmt_fail(db, stmt, sql);
		(void)mysql_stmt_close(stmt);
		return NULL;
	}
	size_t bytes = size_of(stmt, sql);
	while (db->cached &&
	       (db->cached == DB_STMT_CACHE || db->cached_bytes + bytes > DB_STMT_BYTES))
		forget(db, least_used(db));
	s = &db->cache[db->cached++];
	*s = (struct db_stmt){ .hash = hash,
		               .sql = loom_strdup(sql),
		               .stmt = stmt,
		               .bytes = bytes,
		               .used = ++db->ticks };
	count(db, (int64_t)bytes);
	return s;
}
