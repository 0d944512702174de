/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through all tables that hold sealed things, and counts them by their keys. */
#include "common/model/keys/census.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/callback/callback_target.h"
#include "common/model/keys/secret.h"
#include "common/model/row.h"

#include <stdio.h>
#include <string.h>

enum {
	PAGE = 200,
	/* A key that no tenant has any more may still be used by a transaction that began
	 * before. */
	UNUSED_MS = 600000,
};

const char *const census_kinds[CENSUS_KINDS_] = {
	[CENSUS_DOCUMENTS] = "documents",  [CENSUS_CLUSTERS] = "clusters",
	[CENSUS_MACHINES] = "machines",    [CENSUS_TARGETS] = "callback targets",
	[CENSUS_RECORDS] = "node records", [CENSUS_PROFILES] = "profiles",
	[CENSUS_ANSWERS] = "answers",      [CENSUS_FILES] = "pieces of files",
};

struct key {
	bool present, used;
};

struct census {
	const struct keyring *ring;
	struct map *keys; /* struct key, by name */
	int at;           /* the kind being read; -1: the keys */
	char *last[4];    /* key of the last row read of this kind; NULL: none yet */
	int64_t n[CENSUS_KEYS_][CENSUS_KINDS_];
	bool seen[CENSUS_KEYS_]; /* in the current row */
	char *stray;
	/* The current row, for reporting the first stray. */
	const struct db_result *r;
	size_t row;
	char direct[SEAL_KEY_NAME]; /* the direct key of documents */
};

static void free_key(void *key)
{
	loom_free(key);
}

struct census *census_create(const struct keyring *ring)
{
	struct keyring_key direct;
	struct census *c = loom_calloc(1, sizeof(*c));
	*c = (struct census){ .ring = ring, .keys = map_create(free_key), .at = -1 };
	keyring_direct(ring, SECRET_USE, &direct);
	snprintf(c->direct, sizeof(c->direct), "%s", direct.id);
	seal_key_fini(&direct.key);
	return c;
}

static void forget_last(struct census *c)
{
	for (size_t i = 0; i < LOOM_COUNT(c->last); i++) {
		loom_free(c->last[i]);
		c->last[i] = NULL;
	}
}

void census_destroy(struct census *c)
{
	if (!c)
		return;
	forget_last(c);
	map_destroy(c->keys);
	loom_free(c->stray);
	loom_free(c);
}

static int read_keys(struct db *db, struct census *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT id, own IS NOT NULL FROM data_key", "");
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct key *k = loom_calloc(1, sizeof(*k));
		k->present = db_int(r, i, 1);
		map_set(c->keys, db_str(r, i, 0), k);
	}
	return rc;
}

/* ---- one row --------------------------------------------------------------------------------- */

static void stray(struct census *c, const char *id)
{
	static const char *const one[] = {
		"document",    "cluster", "machine",           "callback target",
		"node record", "profile", "answer to request", "file piece",
	};
	if (c->stray)
		return;
	LOOM_CLEANUP(strs_fini) struct strs at = { 0 };
	for (unsigned i = 1; i < 4 && db_str(c->r, c->row, i); i++)
		strs_add(&at, db_str(c->r, c->row, i));
	LOOM_CLEANUP_STR char *place = strs_join(&at, "/");
	const char *of = c->at == CENSUS_FILES ? "content" : "tenant";
	c->stray = loom_asprintf("%s %s of %s %s is sealed with key %.16s", one[c->at], place, of,
	                         db_str(c->r, c->row, 0), id);
}

static void note_key(const char *id, void *arg)
{
	struct census *c = arg;
	struct key *k = map_get(c->keys, id);
	if (k)
		k->used = true;
	else if (!str_eq(id, c->direct))
		stray(c, id);
	c->seen[k                       ? k->present ? CENSUS_PRESENT : CENSUS_EARLIER
	        : str_eq(id, c->direct) ? CENSUS_DIRECT
	                                : CENSUS_UNKNOWN] = true;
}

/* Columns from 4 on: JSON up to machines, else the start of the sealed text. */
static void count_row(struct census *c)
{
	memset(c->seen, 0, sizeof(c->seen));
	if (c->at <= CENSUS_MACHINES) {
		for (unsigned col = 4; col < 6; col++) {
			LOOM_CLEANUP(json_free) struct json *doc = row_json_at(c->r, c->row, col);
			secrets_keys(doc, note_key, c);
		}
	} else {
		const char *text = db_str(c->r, c->row, 4);
		char id[SEAL_KEY_NAME];
		bool named = strcspn(text, ":") == SEAL_KEY_NAME - 1 && text[SEAL_KEY_NAME - 1];
		snprintf(id, sizeof(id), "%.16s", text);
		note_key(named ? id : c->direct, c);
	}
	for (int k = 0; k < CENSUS_KEYS_; k++)
		c->n[k][c->at] += c->seen[k];
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* The tenant, and up to three columns that identify the row; sealed data in the last two. */
static const char *const pages[CENSUS_KINDS_] = {
	[CENSUS_DOCUMENTS] = "SELECT tenant_id, kind, name, version, doc, NULL FROM entity"
			     " WHERE kind IN ('providers','services') AND doc LIKE '%\"$sealed\"%'"
			     " AND (tenant_id, kind, name, version) > (?,?,?,CAST(? AS SIGNED))"
			     " ORDER BY tenant_id, kind, name, version LIMIT ?",
	[CENSUS_CLUSTERS] = "SELECT tenant_id, id, NULL, NULL, provider, service_docs FROM cluster"
			    " WHERE id > CAST(? AS SIGNED) AND (provider LIKE '%\"$sealed\"%'"
			    " OR service_docs LIKE '%\"$sealed\"%') ORDER BY id LIMIT ?",
	[CENSUS_MACHINES] =
		"SELECT c.tenant_id, n.id, NULL, NULL, n.results, NULL FROM node n"
		" JOIN cluster c ON c.id=n.cluster_id"
		" WHERE n.results LIKE '%\"$sealed\"%' AND n.id > ? ORDER BY n.id LIMIT ?",
	[CENSUS_TARGETS] = "SELECT tenant_id, name, NULL, NULL, LEFT(secret, 17), NULL"
			   " FROM callback_target WHERE secret<>'' AND (tenant_id, name) > (?,?)"
			   " ORDER BY tenant_id, name LIMIT ?",
	[CENSUS_RECORDS] = "SELECT tenant_id, id, NULL, NULL, LEFT(doc, 17), NULL"
			   " FROM node_record WHERE doc NOT LIKE '{%' AND (tenant_id, id) > (?,?)"
			   " ORDER BY tenant_id, id LIMIT ?",
	[CENSUS_PROFILES] = "SELECT tenant_id, user, NULL, NULL, LEFT(doc, 17), NULL"
			    " FROM profile WHERE doc NOT LIKE '{%' AND (tenant_id, user) > (?,?)"
			    " ORDER BY tenant_id, user LIMIT ?",
	[CENSUS_FILES] = "SELECT content, num, NULL, NULL, CONCAT(seal_key, ':'), NULL"
			 " FROM plugin_piece WHERE seal_key<>'' AND"
			 " (content, num) > (?, CAST(? AS SIGNED)) ORDER BY content, num LIMIT ?",
	[CENSUS_ANSWERS] =
		"SELECT tenant_id, user, name, NULL, LEFT(answer, 17), NULL FROM request_key"
		" WHERE sealed AND answer IS NOT NULL AND (tenant_id, user, name) > (?,?,?)"
		" ORDER BY tenant_id, user, name LIMIT ?",
};

static int select_page(struct db *db, struct census *c, struct db_result **ret)
{
	const char *sql = pages[c->at];
	const char *at[4];
	for (size_t i = 0; i < LOOM_COUNT(at); i++)
		at[i] = c->last[i] ? c->last[i] : i == 3 ? "0" : "";
	switch ((enum census_kind)c->at) {
	case CENSUS_DOCUMENTS:
		return db_select(db, ret, sql, "ssssi", at[0], at[1], at[2], at[3], (int64_t)PAGE);
	case CENSUS_CLUSTERS:
		return db_select(db, ret, sql, "si", c->last[1] ? at[1] : "0", (int64_t)PAGE);
	case CENSUS_MACHINES:
		return db_select(db, ret, sql, "si", at[1], (int64_t)PAGE);
	case CENSUS_FILES:
		return db_select(db, ret, sql, "ssi", at[0], c->last[1] ? at[1] : "-1",
		                 (int64_t)PAGE);
	case CENSUS_TARGETS:
	case CENSUS_RECORDS:
	case CENSUS_PROFILES:
		return db_select(db, ret, sql, "ssi", at[0], at[1], (int64_t)PAGE);
	case CENSUS_ANSWERS:
	case CENSUS_KINDS_:
		break;
	}
	return db_select(db, ret, sql, "sssi", at[0], at[1], at[2], (int64_t)PAGE);
}

int census_page(struct db *db, struct census *c, bool *ret_more)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = c->at < 0 ? read_keys(db, c) : select_page(db, c, &r);
	if (rc)
		return rc;
	size_t n = c->at < 0 ? 0 : db_rows(r);
	c->r = r;
	for (c->row = 0; c->row < n; c->row++)
		count_row(c);
	forget_last(c);
	for (unsigned i = 0; n == PAGE && i < LOOM_COUNT(c->last); i++)
		c->last[i] = loom_strdup(db_str(r, n - 1, i));
	if (n < PAGE)
		c->at++;
	*ret_more = c->at < CENSUS_KINDS_;
	return 0;
}

/* ---- what it comes to ------------------------------------------------------------------------ */

int64_t census_count(const struct census *c, enum census_key key, enum census_kind kind)
{
	return c->n[key][kind];
}

const char *census_stray(const struct census *c)
{
	return c->stray;
}

int census_prune(struct db *db, const struct census *c, int64_t *ret)
{
	const char *id;
	void *value;
	int rc = 0;
	*ret = 0;
	for (size_t it = 0; !rc && map_next(c->keys, &it, &id, &value);) {
		const struct key *k = value;
		if (k->present || k->used)
			continue;
		rc = db_exec(db,
		             "DELETE FROM data_key WHERE id=? AND own IS NULL AND retire_time <"
		             " CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED) - ?",
		             "si", id, (int64_t)UNUSED_MS);
		*ret += rc ? 0 : db_affected(db);
	}
	return rc;
}
