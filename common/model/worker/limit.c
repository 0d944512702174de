/* SPDX-License-Identifier: Apache-2.0 */
/* Providers' limits, kept for all schedulers together in one row each. */
#include "common/model/worker/limit.h"

#include "common/base/buf.h"
#include "common/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LOG (1u << 20)

void limits_free(struct limits *l)
{
	for (size_t i = 0; l && i < l->n; i++)
		loom_free(l->v[i].calls);
	if (l)
		loom_free(l->v);
	loom_free(l);
}

struct limit *limits_find(const struct limits *l, const char *tenant, const char *provider)
{
	for (size_t i = 0; l && i < l->n; i++) {
		if (str_eq(l->v[i].tenant, tenant) && str_eq(l->v[i].provider, provider))
			return &l->v[i];
	}
	return NULL;
}

struct limit *limits_of_gate(const struct limits *l, const char *tenant, const char *gate)
{
	const char *name = strchr(gate, ':');
	return name ? limits_find(l, tenant, name + 1) : NULL;
}

bool limit_parse(const struct json *limits, int64_t *creates, int64_t *calls_max,
                 int64_t *window_ms)
{
	const struct json *c = json_get(limits, "concurrentCreates");
	const struct json *r = json_get(limits, "callsPerSecond");
	*creates = *calls_max = *window_ms = 0;
	if (c && !json_is(c, JSON_NULL) &&
	    (!json_int(c, creates) || *creates < 1 || *creates > INT32_MAX))
		return false;
	if (!r || json_is(r, JSON_NULL))
		return true;
	if (json_int(r, calls_max)) {
		*window_ms = 1000;
		return *calls_max >= 1 && *calls_max <= LIMIT_MAX_CALLS;
	}
	const char *text = json_str(r);
	char *end = NULL;
	double per_second = text ? strtod(text, &end) : 0;
	if (!text || end == text || *end || !(per_second >= 0.001 && per_second < 1))
		return false;
	*calls_max = 1;
	*window_ms = (int64_t)ceil(1000 / per_second);
	return true;
}

/* Parses "ms:number" and advances; false at the end. */
static bool next_call(const char **p, int64_t *at, int64_t *n)
{
	char *end;
	*at = strtoll(*p, &end, 10);
	if (end == *p || *end != ':')
		return false;
	*n = strtoll(end + 1, &end, 10);
	*p = *end == ',' ? end + 1 : end;
	return true;
}

/* A call counts until the window has passed; a call in the future, from a clock that was set back,
 * does not count. */
static bool counts(const struct limit *l, int64_t at, int64_t now)
{
	return at > now - l->window_ms && at <= now;
}

int64_t limit_room(const struct limit *l, bool create, int64_t now, int64_t *ret_at)
{
	int64_t room = INT32_MAX, at, n, used = 0, first = 0;
	*ret_at = 0;
	if (create && l->creates)
		room = l->creates > l->running ? l->creates - l->running : 0;
	if (!l->calls_max)
		return room;
	for (const char *p = l->calls; p && next_call(&p, &at, &n);) {
		if (!counts(l, at, now))
			continue;
		used += n;
		first = first ? first : at;
	}
	if (used >= l->calls_max) {
		*ret_at = first + l->window_ms;
		return 0;
	}
	return room < l->calls_max - used ? room : l->calls_max - used;
}

void limit_note(struct limit *l, int64_t now, int64_t n)
{
	if (!l->calls_max || !n)
		return;
	struct buf b = BUF_INIT(MAX_LOG);
	int64_t at, k;
	for (const char *p = l->calls; p && next_call(&p, &at, &k);) {
		if (!counts(l, at, now))
			continue;
		if (at == now)
			n += k;
		else
			buf_addf(&b, "%lld:%lld,", (long long)at, (long long)k);
	}
	buf_addf(&b, "%lld:%lld", (long long)now, (long long)n);
	loom_free(l->calls);
	l->calls = buf_take(&b);
}

/* ---- rows ------------------------------------------------------------------------------------ */

#define COLUMNS "l.tenant_id, l.provider, l.creates, l.calls_max, l.window_ms, l.calls"
#define RUNNING                                                                         \
	"SELECT COUNT(*) FROM task t FORCE INDEX (shares) WHERE t.state='running' AND " \
	"t.tenant_id=l.tenant_id AND t.gate=CONCAT('" TASK_GATE_CREATE "', l.provider)"

/* A limit that was requested more than once appears once. */
static struct limits *rows_to_limits(const struct db_result *r)
{
	struct limits *ls = loom_calloc(1, sizeof(*ls));
	ls->v = loom_calloc(db_rows(r) + 1, sizeof(*ls->v));
	for (size_t i = 0; i < db_rows(r); i++) {
		bool there = false;
		for (size_t k = 0; k < ls->n; k++)
			there = there || (str_eq(ls->v[k].tenant, db_str(r, i, 0)) &&
			                  str_eq(ls->v[k].provider, db_str(r, i, 1)));
		if (there)
			continue;
		struct limit *l = &ls->v[ls->n++];
		snprintf(l->tenant, sizeof(l->tenant), "%s", db_str(r, i, 0));
		snprintf(l->provider, sizeof(l->provider), "%s", db_str(r, i, 1));
		l->creates = db_int(r, i, 2);
		l->calls_max = db_int(r, i, 3);
		l->window_ms = db_int(r, i, 4);
		l->calls = loom_strdup(db_str(r, i, 5));
		l->running = db_int(r, i, 6);
	}
	return ls;
}

int limits_load(struct db *db, const char *tenant, struct limits **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT " COLUMNS ", IF(l.creates=0, 0, (" RUNNING "))"
	                   " FROM provider_limit l WHERE (? IS NULL OR l.tenant_id=?)",
	                   "ss", tenant, tenant);
	if (!rc)
		*ret = rows_to_limits(r);
	return rc;
}

/* Count after locking, so that calls begun by previous holders are included. */
static int count_running(struct db *db, struct limit *l)
{
	char gate[TASK_GATE_MAX];
	task_gate("CREATE", l->provider, gate);
	return !l->creates ? 0
	                   : db_select_int(db, &l->running, NULL,
	                                   "SELECT COUNT(*) FROM task FORCE INDEX (shares)"
	                                   " WHERE state='running' AND tenant_id=? AND gate=?",
	                                   "ss", l->tenant, gate);
}

int limits_lock(struct db *db, const struct limits *which, struct limits **ret)
{
	static const struct db_many many = { "SELECT " COLUMNS ", 0 FROM provider_limit l WHERE ",
		                             "(l.tenant_id=? AND l.provider=?)", " OR ",
		                             " ORDER BY l.tenant_id, l.provider"
		                             " FOR UPDATE SKIP LOCKED",
		                             2 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(which->n + 1, 2 * sizeof(*v));
	for (size_t i = 0; i < which->n; i++) {
		v[2 * i] = db_s(which->v[i].tenant);
		v[2 * i + 1] = db_s(which->v[i].provider);
	}
	int rc = db_select_many(db, &r, &many, v, which->n);
	loom_free(v);
	if (rc)
		return rc;
	LOOM_CLEANUP(limits_free) struct limits *ls = rows_to_limits(r);
	for (size_t i = 0; !rc && i < ls->n; i++)
		rc = count_running(db, &ls->v[i]);
	if (!rc)
		*ret = loom_take(ls);
	return rc;
}

int limit_save(struct db *db, const struct limit *l)
{
	/* Always changes the row, so that concurrent begins conflict, on whichever server. */
	return db_exec(db,
	               "UPDATE provider_limit SET calls=?, changes=changes+1"
	               " WHERE tenant_id=? AND provider=?",
	               "sss", l->calls, l->tenant, l->provider);
}

int limit_set(struct db *db, const char *tenant, const char *provider, const struct json *doc)
{
	int64_t creates, calls_max, window_ms;
	if (!limit_parse(json_get(doc, "limits"), &creates, &calls_max, &window_ms) ||
	    (!creates && !calls_max))
		return db_exec(db, "DELETE FROM provider_limit WHERE tenant_id=? AND provider=?",
		               "ss", tenant, provider);
	return db_exec(db,
	               "INSERT INTO provider_limit (tenant_id, provider, creates, calls_max,"
	               " window_ms, calls) VALUES (?,?,?,?,?,'') ON DUPLICATE KEY UPDATE"
	               " creates=VALUES(creates), calls_max=VALUES(calls_max),"
	               " window_ms=VALUES(window_ms)",
	               "ssiii", tenant, provider, creates, calls_max, window_ms);
}

int limits_suspend(struct db *db, const char *tenant)
{
	return db_exec(db, "UPDATE provider_limit SET creates=0, calls_max=0 WHERE tenant_id=?",
	               "s", tenant);
}

int limits_drop_suspended(struct db *db, const char *tenant)
{
	return db_exec(db,
	               "DELETE FROM provider_limit WHERE tenant_id=? AND creates=0 AND calls_max=0",
	               "s", tenant);
}
