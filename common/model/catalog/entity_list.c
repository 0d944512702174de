/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of documents: names and versions first, then the documents of some of them. */
#include "common/model/catalog/entity_list.h"

#include "common/base/str.h"
#include "common/model/list_part.h"

#include <stdio.h>
#include <string.h>

/* ---- keys ------------------------------------------------------------------------------------ */

/* clang-format off */
#define KEYS(than, way)                                                    \
	"SELECT name, MAX(version) FROM entity FORCE INDEX (PRIMARY)"      \
	" WHERE tenant_id=? AND kind=? AND name" than "? GROUP BY name"    \
	" ORDER BY name " way " LIMIT ?"
/* clang-format on */

/* A text with the same position among names, whose characters are greater than '!' and less than
 * '~'. The database refuses text that is not UTF-8, and ignores trailing blanks. Owned. */
static char *place_of(const char *after)
{
	size_t n = 0;
	while (after[n] > ' ' && after[n] < '\x7f')
		n++;
	if (!after[n])
		return loom_strdup(after);
	bool low = (unsigned char)after[n] <= ' ';
	return loom_asprintf("%.*s%c", (int)n, after, low ? '!' : '~');
}

int entity_list_keys(struct db *db, const struct entity_range *r, struct entity_keys *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *rows = NULL;
	/* Names are ASCII, without tildes. */
	LOOM_CLEANUP_STR char *place =
		r->after ? place_of(r->after) : loom_strdup(r->down ? "~" : "");
	int rc = db_select(db, &rows, r->down ? KEYS("<", "DESC") : KEYS(">", "ASC"), "sssi",
	                   r->tenant, entity_collection(r->kind), place,
	                   r->limit + 1); /* one more, to find out whether another page follows */
	if (rc)
		return rc;
	size_t n = db_rows(rows);
	*ret = (struct entity_keys){ .more = n > (size_t)r->limit };
	ret->n = n - ret->more;
	ret->v = loom_calloc(ret->n + 1, sizeof(*ret->v));
	for (size_t i = 0; i < ret->n; i++) {
		struct entity_key *k = &ret->v[i];
		snprintf(k->name, sizeof(k->name), "%s", db_str(rows, i, 0));
		k->version = db_int(rows, i, 1);
	}
	return 0;
}

/* ---- documents ------------------------------------------------------------------------------- */

static int add(const struct db_result *rows, size_t row, const struct entity_key *key,
               struct json *list)
{
	struct json *doc;
	if (json_parse(db_str(rows, row, 1), db_len(rows, row, 1), 0, &doc, NULL))
		return DB_E_FATAL;
	json_push(list, json_set_int(doc, "version", key->version));
	return 0;
}

int entity_list_docs(struct db *db, const struct entity_range *r, const struct entity_key *v,
                     size_t n, struct json *list)
{
	static const struct db_many m = {
		"SELECT name, doc FROM entity FORCE INDEX (PRIMARY) WHERE ",
		"(tenant_id=? AND kind=? AND name=? AND version=?)", " OR ", " ORDER BY name", 4
	};
	LOOM_CLEANUP(db_result_free) struct db_result *rows = NULL;
	struct db_value values[4 * DB_MANY];
	loom_assert(n <= DB_MANY);
	for (size_t i = 0; i < n; i++) {
		values[4 * i] = db_s(r->tenant);
		values[4 * i + 1] = db_s(entity_collection(r->kind));
		values[4 * i + 2] = db_s(v[i].name);
		values[4 * i + 3] = db_i(v[i].version);
	}
	int rc = n ? db_select_many(db, &rows, &m, values, n) : 0;
	size_t found = n && !rc ? db_rows(rows) : 0, at = 0;
	for (size_t i = 0; !rc && i < n && at < found; i++) {
		size_t row = r->down ? found - 1 - at : at;
		if (!str_eq(db_str(rows, row, 0), v[i].name))
			continue;
		rc = add(rows, row, &v[i], list);
		at++;
	}
	return rc;
}

/* ---- has anything changed? ------------------------------------------------------------------- */

int entity_list_tally(struct db *db, const char *tenant, enum entity_kind k, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("name,version,create_time") "entity FORCE INDEX (PRIMARY)"
	                                                            " WHERE tenant_id=? AND kind=?",
	                     "ss", tenant, entity_collection(k));
}
