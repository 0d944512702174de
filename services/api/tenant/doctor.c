/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor - diagnoses this installation, with a remedy for each finding: from the database, and from
 * what this process sees of schedulers, ZooKeeper, the writer and clocks. Disks, certificates and
 * the servers around it can only be checked on their machines: loom-datacenter doctor.
 */
#include "services/api/resources.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/base/version.h"
#include "common/model/health.h"
#include "services/api/request/request.h"

#include <inttypes.h>
#include <stdlib.h>

#define MOST_SKEW_MS   1000
#define MOST_CHANGES   4 /* of the writer, within CHANGES_MS; as in loom-datacenter doctor */
#define CHANGES_MS     600000
#define MOST_BACKUP_MS ((int64_t)26 * 3600 * 1000) /* a nightly backup, and time to make it */

struct facts {
	struct api *a;
	struct health db;
	int64_t clock_ahead; /* of the database, ms */
};

static void add(struct json *found, const char *level, const char *where, const char *to_do,
                char *what)
{
	struct json *o = json_set_str(json_new_obj(), "level", level);
	json_set_str(o, "where", where);
	json_set_str(o, "what", what);
	json_push(found, json_set_str(o, "do", to_do));
	loom_free(what);
}
#define ERROR   "error"
#define WARNING "warning"

/* ---- the checks -------------------------------------------------------------------------------
 */

static void check_schedulers(const struct facts *f, struct json *found)
{
	if (peers_unheard(f->a))
		add(found, ERROR, "schedulers",
		    "start loom-scheduler; where one runs: the network between, the ports of the bus",
		    loom_strdup("no scheduler is heard by this API: requests go by way of the "
		                "database, slowly, or wait"));
}

static void check_janitor(const struct facts *f, struct json *found)
{
	if (f->db.overdue)
		add(found, ERROR, "leases",
		    "is a scheduler ready, and ZooKeeper well? Else restart the schedulers, one after "
		    "the other",
		    loom_asprintf("%" PRId64
		                  " tasks run by leases that ended over %d s ago: nobody ends them",
		                  f->db.overdue, HEALTH_OVERDUE_MS / 1000));
}

static void check_quorum(const struct facts *f, struct json *found)
{
	if (!coord_connected(f->a->coord))
		add(found, ERROR, "zookeeper",
		    "start its servers; work goes on, but nobody takes over from a service that dies",
		    loom_strdup("this API reaches no quorum"));
}

static void check_group(const struct facts *f, struct json *found)
{
	const struct health *h = &f->db;
	if (h->members < h->wanted_members)
		add(found, WARNING, "database",
		    "bring the missing node back (deploy/mariadb/README.md): the next loss may stop all",
		    loom_asprintf("%" PRId64 " of the %" PRId64 " nodes of its group are there",
		                  h->members, h->wanted_members));
}

static void check_writer(const struct facts *f, struct json *found)
{
	unsigned changes = db_pool_writer_changes(f->a->db, CHANGES_MS);
	if (changes >= MOST_CHANGES)
		add(found, WARNING, "writer",
		    "journalctl -u loom-galera-check on all machines says why; a busy machine, a bad link",
		    loom_asprintf(
			    "another node of the database became it %u times in ten minutes, as "
			    "far as this API has seen",
			    changes));
}

static void check_clocks(const struct facts *f, struct json *found)
{
	static const char chrony[] = "chronyc tracking on both machines";
	struct bus_skew skew;
	if (bus_clocks_apart(f->a->bus, &skew))
		add(found, WARNING, "clocks", chrony, bus_skew_words(&skew));
	if (llabs(f->clock_ahead) > MOST_SKEW_MS)
		add(found, WARNING, "clocks", chrony,
		    loom_asprintf("the database's clock is %.1f s %s this API's",
		                  (double)llabs(f->clock_ahead) / 1000,
		                  f->clock_ahead < 0 ? "behind" : "ahead of"));
}

static void check_certificate(const struct facts *f LOOM_UNUSED, struct json *found)
{
	LOOM_CLEANUP(strs_fini) struct strs notes = { 0 };
	tls_notes(&notes);
	for (size_t i = 0; i < notes.n; i++)
		add(found, WARNING, "this API",
		    "write a new certificate and its key over the old: they are read within seconds",
		    loom_strdup(notes.v[i]));
}

static void check_twins(const struct facts *f, struct json *found)
{
	for (size_t i = 0; i < json_len(f->db.provisioners); i++) {
		const struct json *p = json_at(f->db.provisioners, i);
		if (json_get_int(p, "refused", 0) < f->db.now - HEALTH_REFUSED_MS)
			continue;
		LOOM_CLEANUP_STR char *where =
			loom_asprintf("provisioner %s", json_get_str(p, "id"));
		add(found, ERROR, where,
		    "give the other one another provisioner_id, or none: its log says that it is refused",
		    loom_strdup("another process is started with its id, as on a copied machine, "
		                "and does no work"));
	}
}

static void check_versions(const struct facts *f, struct json *found)
{
	for (size_t i = 0; i < json_len(f->db.provisioners); i++) {
		const struct json *p = json_at(f->db.provisioners, i);
		const char *version = json_get_str(p, "version");
		if (str_eq(version, loom_version))
			continue;
		LOOM_CLEANUP_STR char *where =
			loom_asprintf("provisioner %s", json_get_str(p, "id"));
		add(found, WARNING, where, "finish the upgrade, or go back",
		    loom_asprintf("its version is %s, this API's %s", version, loom_version));
	}
}

static void check_quarantine(const struct facts *f, struct json *found)
{
	if (f->db.quarantined)
		add(found, WARNING, "provisioners",
		    "loom provisioner list says at what they failed; mend it, then loom provisioner "
		    "release ID",
		    loom_asprintf("%" PRId64 " get no work", f->db.quarantined));
}

static void check_callbacks(const struct facts *f, struct json *found)
{
	if (f->db.dead_callbacks)
		add(found, WARNING, "callbacks",
		    "loom callback list --dead; mend the receiver, then loom callback replay ID",
		    loom_asprintf("%" PRId64 " were given up", f->db.dead_callbacks));
}

static void check_tokens(const struct facts *f, struct json *found)
{
	for (size_t i = 0; i < json_len(f->db.tokens); i++) {
		const struct json *t = json_at(f->db.tokens, i);
		char time[32];
		clock_format(json_get_int(t, "expireTime", 0), time);
		LOOM_CLEANUP_STR char *where = loom_asprintf("token %s", json_get_str(t, "id"));
		add(found, WARNING, where,
		    "loom token create, give the new one to whoever shows it, loom token delete",
		    loom_asprintf("'%s' of %s in %s ends at %.19sZ", json_get_str(t, "name"),
		                  json_get_str(t, "user"), json_get_str(t, "tenant"), time));
	}
}

/* What limits the size of a table. */
static const char *hold_back(const char *table)
{
	static const char *const known[][2] = {
		{ "audit", "audit_keep of loom-api says how long its rows are kept" },
		{ "callback", "loom callback list --dead: those that were given up are kept" },
		{ "request_key", "request_keys_ms of loom-scheduler says how long keys are kept" },
		{ "event", "events_keep of loom-scheduler says how long they are kept" },
		{ "task_log", "logs_keep of loom-scheduler says how long they are kept" },
		{ "task",
		  "jobs_keep and clusters_keep of loom-scheduler say how long they are kept" },
	};
	for (size_t i = 0; i < LOOM_COUNT(known); i++) {
		if (str_eq(known[i][0], table))
			return known[i][1];
	}
	return "it grows with clusters and what is done to them: room on the database's disks";
}

static void check_tables(const struct facts *f, struct json *found)
{
	for (size_t i = 0; i < json_len(f->db.tables); i++) {
		const struct json *t = json_at(f->db.tables, i);
		const char *name = json_get_str(t, "name");
		LOOM_CLEANUP_STR char *where = loom_asprintf("table %s", name);
		add(found, WARNING, where, hold_back(name),
		    loom_asprintf("it has %.1f GiB in some %" PRId64 " rows",
		                  (double)json_get_int(t, "bytes", 0) / (1 << 30),
		                  json_get_int(t, "rows", 0)));
	}
}

static void check_backup(const struct facts *f, struct json *found)
{
	int64_t age = f->db.now - f->db.backup;
	if (!f->db.backup)
		add(found, WARNING, "backup", "loom-datacenter backup, each night from a timer",
		    loom_strdup("none was made"));
	else if (age > MOST_BACKUP_MS)
		add(found, WARNING, "backup", "loom-datacenter backup says what fails",
		    loom_asprintf("the newest one is %" PRId64 " h old", age / 3600000));
}

static void (*const checks[])(const struct facts *f, struct json *found) = {
	/* checks of what stops all work come first */
	check_schedulers, check_janitor,     check_quorum, check_group,    check_writer,
	check_clocks,     check_certificate, check_twins,  check_versions, check_quarantine,
	check_callbacks,  check_tokens,      check_tables, check_backup,
};

/* ---- the answer -------------------------------------------------------------------------------
 */

static int read_facts(struct db *db, void *arg)
{
	struct facts *f = arg;
	int64_t began = clock_wall_ms();
	int rc = health_read(db, &f->db);
	/* The database read its clock at some time between the two. */
	int64_t ended = clock_wall_ms();
	f->clock_ahead = f->db.now < began   ? f->db.now - began
	                 : f->db.now > ended ? f->db.now - ended
	                                     : 0;
	return rc;
}

void doctor_get(struct http_req *req, void *ctx)
{
	struct facts f = { .a = ctx };
	int rc = db_read(f.a->db, read_facts, &f);
	if (rc) {
		api_reply_db(req, rc);
	} else {
		struct json *found = json_new_arr();
		for (size_t i = 0; i < LOOM_COUNT(checks); i++)
			checks[i](&f, found);
		LOOM_CLEANUP(json_free) struct json *answer = json_new_obj();
		http_reply_json(req, 200, json_set(answer, "findings", found));
	}
	health_fini(&f.db);
}
