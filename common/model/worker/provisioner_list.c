/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provisioners as superadmins see them: the rows of a part of the list, and what other tables have
 * on these and the tenants that they work for.
 */
#include "common/model/worker/provisioner.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/row.h"
#include "common/model/worker/quarantine.h"
#include "common/model/worker/worker_share.h"

#include <string.h>

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

struct shown {
	struct db_result *rows, *served;
	struct quarantines *bad;
	struct json *shares;
	struct map *names; /* of the tenants in these, by id */
};

/* ---- names of tenants ------------------------------------------------------------------------ */

static void note_keys(struct map *names, const struct json *by_tenant)
{
	for (size_t i = 0; i < json_len(by_tenant); i++)
		map_set(names, json_key_at(by_tenant, i), NULL);
}

/* Owned. */
static struct json *usage_at(const struct shown *s, size_t i)
{
	struct json *live = row_json_at(s->rows, i, 4);
	json_del(live, PROVISIONER_HOLDER_KEY);
	return live;
}

static void note_tenants(const struct shown *s)
{
	for (size_t i = 0; i < db_rows(s->rows); i++) {
		LOOM_CLEANUP(json_free) struct json *usage = usage_at(s, i);
		note_keys(s->names, usage);
	}
	for (size_t i = 0; i < json_len(s->shares); i++)
		note_keys(s->names, json_value_at(s->shares, i));
	for (size_t i = 0; i < db_rows(s->served); i++)
		map_set(s->names, db_str(s->served, i, 1), NULL);
}

static int names_read(struct db *db, struct shown *s)
{
	static const struct db_many many = { "SELECT id, name FROM tenant WHERE id IN (", "?", ",",
		                             ")", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const char *id;
	void *unused;
	size_t n = 0;
	s->names = map_create(loom_free);
	note_tenants(s);
	struct db_value *ids = loom_calloc(map_count(s->names) + 1, sizeof(*ids));
	for (size_t it = 0; map_next(s->names, &it, &id, &unused);)
		ids[n++] = db_s(id);
	int rc = n ? db_select_many(db, &r, &many, ids, n) : 0;
	for (size_t i = 0; !rc && n && i < db_rows(r); i++)
		map_set(s->names, db_str(r, i, 0), loom_strdup(db_str(r, i, 1)));
	loom_free(ids);
	return rc;
}

/* Of ids to numbers one of names to numbers; adds them up. */
static struct json *named(const struct shown *s, const struct json *in, int64_t *sum)
{
	struct json *out = json_new_obj();
	*sum = 0;
	for (size_t i = 0; i < json_len(in); i++) {
		const char *id = json_key_at(in, i), *name = map_get(s->names, id);
		int64_t n = json_get_int(in, id, 0);
		json_set_int(out, name ? name : id, n);
		*sum += n;
	}
	return out;
}

/* ---- one ------------------------------------------------------------------------------------- */

static struct json *strikes_of(struct db *db, const char *id)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct json *list = json_new_arr();
	if (db_select(
		    db, &r,
		    "SELECT cluster_id, job_num, task_num, done_by, failed_time, message FROM"
		    " provisioner_strike WHERE provisioner_id=? ORDER BY failed_time DESC LIMIT 10",
		    "s", id))
		return list;
	for (size_t i = 0; i < db_rows(r); i++) {
		char task[ID_MAX];
		id_task(task, db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2));
		struct json *o = json_set_str(json_new_obj(), "taskId", task);
		json_set_str(o, "doneBy", db_str(r, i, 3));
		json_set_int(o, "failedTime", db_int(r, i, 4));
		json_push(list, json_set_str(o, "message", db_str(r, i, 5)));
	}
	return list;
}

static void show_quarantine(struct db *db, struct json *o, const struct quarantine *q)
{
	struct json *s = json_set_int(json_new_obj(), "since", q->since);
	json_set_str(s, "reason", q->reason);
	if (q->probe_attempt) {
		char task[ID_MAX];
		id_task(task, q->probe.cluster, q->probe.job, q->probe.task);
		json_set_str(s, "probe", task);
	} else {
		json_set_int(s, "nextProbe", q->next_probe);
	}
	json_set_int(s, "failedProbes", q->failed_probes);
	json_set(o, "quarantine", json_set(s, "strikes", strikes_of(db, q->provisioner)));
}

/* Of one that is not told how many workers to run for whom: each may have all of them. */
static struct json *asked_for(const struct shown *s, const char *id, int64_t capacity)
{
	LOOM_CLEANUP(json_free) struct json *of = json_new_obj();
	int64_t sum;
	for (size_t i = 0; i < db_rows(s->served); i++) {
		if (str_eq(db_str(s->served, i, 0), id))
			json_set_int(of, db_str(s->served, i, 1), capacity);
	}
	return named(s, of, &sum);
}

static struct json *one(struct db *db, const struct shown *s, size_t i)
{
	const char *id = db_str(s->rows, i, 0), *version = db_str(s->rows, i, 6);
	int64_t capacity = db_int(s->rows, i, 3), busy = 0;
	LOOM_CLEANUP(json_free) struct json *stored = usage_at(s, i);
	struct json *usage = named(s, stored, &busy);
	const struct quarantine *q = quarantines_find(s->bad, id);
	const struct json *share = json_get(s->shares, id);
	struct json *assigned = share ? named(s, share, &busy) : asked_for(s, id, capacity);
	struct json *o = json_set_str(json_new_obj(), "id", id);
	json_set_str(o, "host", db_str(s->rows, i, 1));
	json_set_int(o, "port", db_int(s->rows, i, 2));
	json_set_int(o, "capacityTotal", capacity);
	json_set_int(o, "capacityFree", capacity > busy ? capacity - busy : 0);
	json_set(o, "assignments", assigned);
	json_set(o, "usage", usage);
	json_set_int(o, "heartbeat", db_int(s->rows, i, 5));
	json_set_str(o, "version", *version ? version : NULL);
	if (q)
		show_quarantine(db, o, q);
	return o;
}

/* ---- the list -------------------------------------------------------------------------------- */

/* What other tables have on these rows. */
static int others_read(struct db *db, struct shown *s)
{
	const char *a = db_str(s->rows, 0, 0), *b = db_str(s->rows, db_rows(s->rows) - 1, 0);
	bool down = strcmp(a, b) > 0;
	const char *least = down ? b : a, *greatest = down ? a : b;
	int rc = db_select(
		db, &s->served,
		"SELECT provisioner_id, tenant_id FROM provisioner_tenant WHERE provisioner_id>=?"
		" AND provisioner_id<=? AND seen>" NOW "-" PROVISIONER_SEEN_MS
		" ORDER BY provisioner_id, tenant_id",
		"ss", least, greatest);
	if (!rc)
		rc = quarantines_load(db, NULL, &s->bad);
	if (!rc)
		rc = shares_list(db, least, greatest, &s->shares);
	return rc ? rc : names_read(db, s);
}

int provisioners_list(struct db *db, const struct list_part *part, struct json **ret)
{
	static const char *const parts[] =
		LIST_PARTS("SELECT id, host, port, capacity, live, heartbeat, version"
	                   " FROM provisioner WHERE TRUE",
	                   "id");
	struct shown s = { 0 };
	int rc = db_select(db, &s.rows, parts[part->down], LIST_PART_TYPES, LIST_PART_VALUES(part));
	if (!rc && db_rows(s.rows))
		rc = others_read(db, &s);
	if (!rc)
		*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(s.rows); i++)
		json_push(*ret, one(db, &s, i));
	db_result_free(s.rows);
	db_result_free(s.served);
	quarantines_free(s.bad);
	json_free(s.shares);
	map_destroy(s.names);
	return rc;
}

int provisioners_tally(struct db *db, int64_t *ret)
{
	return db_select_int(
		db, ret, NULL,
		LIST_TALLY("p.id,p.host,p.port,p.capacity,p.version,"
	                   "COALESCE(q.since,0)") "provisioner p LEFT JOIN quarantine q"
						  " ON q.provisioner_id=p.id",
		"");
}
