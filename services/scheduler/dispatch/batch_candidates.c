/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for ready tasks, before a batch's transaction and without a lock. While little is
 * ready all of it is read and looked at. When more is ready than one look takes in, it goes by
 * lines: of each cluster whose job hands out tasks those without a gate, and those of its two
 * gates. Which lines have tasks is one look into the index for each. The first few of each of some
 * lines are read, and those of others next time. Lines whose provider's limit allows nothing now
 * are not read at all. Out of what was found the fair queue chooses.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/queue.h"

#include <string.h>

/* One take asks for at most 64 tasks (poll_waiters.c): a look finds enough for two of them. */
#define MAX_LOOK 128
/* Bounds of one look where more is ready; what it leaves out the next one begins with. Measured by
 * the slow query log of `make bench FIGURES=complete`: a job looked into takes 18 us, a line read
 * 43 us, so a look takes some 7 ms at most, and the rare one that finds nothing (all lines without
 * room, or held) some 40 ms. */
#define MAX_JOBS  256
#define MAX_LINES 48 /* two heads of each and more: nearly all of MAX_LOOK */
#define MAX_PARTS 8  /* of MAX_JOBS, until something is found */
/* Found beyond what is wanted: another scheduler or batch may be claiming the same. */
#define SURPLUS 8
/* What is known of running tasks is a hint of fairness, corrected by what is given meanwhile. It
 * takes 0.9 ms to ask, by the same log: a hundredth of a processor at most. */
#define USE_MS 100

struct search {
	struct db *db;
	struct batch *b;
	struct candidate_cache *o;
	int64_t now, look_at; /* when what waits for a time may begin; 0 never */
	struct queued_list found;
};

struct candidate_cache *candidate_cache_create(struct fair_queue *fair)
{
	struct candidate_cache *o = loom_calloc(1, sizeof(*o));
	o->fair = fair;
	return o;
}

void candidate_cache_destroy(struct candidate_cache *o)
{
	if (!o)
		return;
	limits_free(o->limits);
	quarantines_free(o->quarantined);
	strs_fini(&o->over_scan_limit);
	loom_free(o);
}

void batch_look_at(struct batch *b, int64_t at, int64_t now)
{
	if (at && (b->look_ms < 0 || at - now < b->look_ms))
		b->look_ms = at > now ? at - now : 0;
}

static int64_t room_of(const struct batch *b, const char *tenant)
{
	int64_t n = 0;
	for (size_t i = 0; i < b->n_takes; i++) {
		if (!b->takes[i].barred && (!tenant || str_eq(b->takes[i].take->tenant, tenant)))
			n += b->takes[i].take->max;
	}
	return n;
}

static int64_t wanted(int64_t room)
{
	return room + SURPLUS < MAX_LOOK ? room + SURPLUS : MAX_LOOK;
}

/* How many of a gate may begin, as far as a look without lock can tell; *why: what holds others. */
static int64_t gate_room(struct search *s, const char *tenant, const char *gate, enum hold *why)
{
	const struct limit *l =
		s->o->limits && *gate ? limits_of_gate(s->o->limits, tenant, gate) : NULL;
	int64_t at = 0, room = MAX_LOOK;
	if (l)
		room = limit_room(l, str_starts(gate, TASK_GATE_CREATE), s->now, &at);
	batch_look_at(s->b, at, s->now);
	*why = at ? HOLD_PROVIDER_CALLS : HOLD_PROVIDER_CREATES;
	return room;
}

/* Of what was found since `from`, what may begin now. */
static void sift(struct search *s, size_t from)
{
	size_t kept = from;
	for (size_t i = from; i < s->found.n; i++) {
		const struct queued q = s->found.v[i];
		enum hold why = HOLD_PAUSED;
		if (!q.held && q.not_before > s->now) {
			batch_look_at(s->b, q.not_before, s->now);
			why = HOLD_LATER;
		} else if (!q.held && gate_room(s, q.tenant, q.gate, &why) > 0) {
			s->found.v[kept++] = q;
			continue;
		}
		batch_decided(s->b, &q.ref, NULL, why);
	}
	s->found.n = kept;
}

/* ---- by lines -------------------------------------------------------------------------------- */

struct lines {
	struct queue_line *v;
	size_t n;
};

static void add_line(struct search *s, struct lines *to, const struct queue_job *j,
                     const char *task)
{
	struct queue_line *l = &to->v[to->n];
	l->tenant = j->tenant;
	l->cluster = j->cluster;
	task_gate(task, j->provider, l->gate);
	enum hold why;
	to->n += gate_room(s, l->tenant, l->gate, &why) > 0;
}

/* Those that have tasks which may begin; if they are too many, those that the fair queue prefers.
 */
static struct lines lines_of(struct search *s, const struct queue_jobs *jobs)
{
	struct lines all = { loom_calloc(3 * jobs->n + 1, sizeof(*all.v)), 0 };
	for (size_t i = 0; i < jobs->n; i++) {
		const struct queue_job *j = &jobs->v[i];
		if (j->free)
			add_line(s, &all, j, "");
		if (j->call)
			add_line(s, &all, j, "CONFIRM");
		if (j->create)
			add_line(s, &all, j, "CREATE");
	}
	if (all.n <= MAX_LINES)
		return all;
	struct lines best = { loom_calloc(MAX_LINES, sizeof(*best.v)), MAX_LINES };
	struct fair_offer *v = loom_calloc(all.n, sizeof(*v));
	for (size_t i = 0; i < all.n; i++)
		v[i] = (struct fair_offer){ all.v[i].tenant, all.v[i].cluster, 0, i };
	fair_queue_order(s->o->fair, v, all.n);
	for (size_t i = 0; i < MAX_LINES; i++)
		best.v[i] = all.v[v[i].index];
	s->b->more = true;
	loom_free(v);
	loom_free(all.v);
	return best;
}

/* Of the first n lines, how many are of the tenant of line i? */
static size_t same_tenant(const struct lines *l, size_t i, size_t n)
{
	size_t same = 0;
	for (size_t k = 0; k < n; k++)
		same += str_eq(l->v[k].tenant, l->v[i].tenant);
	return same;
}

/* Twice as many as are wanted, in equal shares of the tenants and then of their lines: shared by
 * lines alone, a tenant of one cluster would be found too few tasks of to have its share. */
static void share_heads(struct lines *l, int64_t want)
{
	size_t tenants = 0;
	for (size_t i = 0; i < l->n; i++)
		tenants += same_tenant(l, i, i) == 0;
	for (size_t i = 0; i < l->n; i++) {
		size_t shares = tenants * same_tenant(l, i, l->n);
		loom_assert(shares); /* the line itself is one of its tenant's */
		int64_t heads = 2 * want / (int64_t)shares;
		l->v[i].heads = heads < 2 ? 2 : heads < want ? heads : want;
	}
}

/* Where each group's next look begins. */
static void note_cursors(struct search *s, const struct queue_jobs *groups,
                         const struct queue_jobs *jobs, int64_t each)
{
	for (size_t i = 0; i < groups->n; i++) {
		const struct queue_job *g = &groups->v[i];
		int64_t n = 0, last = 0;
		for (size_t k = 0; k < jobs->n; k++) {
			const struct queue_job *j = &jobs->v[k];
			if (!str_eq(j->tenant, g->tenant) || !str_eq(j->provider, g->provider))
				continue;
			n++;
			last = j->cluster;
		}
		if (n == each || g->cluster)
			s->b->more = true;
		fair_queue_set_cursor(s->o->fair, g, n == each ? last : 0);
	}
}

/* More jobs than one look takes in: some of each tenant and provider. */
static int read_some_jobs(struct search *s, const char *tenant, struct queue_jobs *jobs)
{
	struct queue_jobs groups = { 0 };
	int rc = queue_groups(s->db, &groups);
	size_t n = 0;
	for (size_t i = 0; i < groups.n; i++) {
		if (str_eq(tenant, "*") || str_eq(tenant, groups.v[i].tenant)) {
			groups.v[n] = groups.v[i];
			groups.v[n].cluster = fair_queue_cursor(s->o->fair, &groups.v[n]);
			n++;
		}
	}
	groups.n = n;
	int64_t each = n && n < MAX_JOBS ? (int64_t)(MAX_JOBS / n) : 1;
	if (!rc && n)
		rc = queue_jobs_after(s->db, groups.v, n, each, jobs);
	if (!rc)
		note_cursors(s, &groups, jobs, each);
	queue_jobs_fini(&groups);
	return rc;
}

static int read_part(struct search *s, const char *tenant)
{
	struct queue_jobs jobs = { 0 };
	size_t from = s->found.n;
	int rc = queue_jobs_all(s->db, tenant, MAX_JOBS, &jobs);
	if (!rc && jobs.n >= MAX_JOBS) {
		jobs.n = 0;
		rc = read_some_jobs(s, tenant, &jobs);
	}
	if (rc) {
		queue_jobs_fini(&jobs);
		return rc;
	}
	struct lines lines = lines_of(s, &jobs);
	share_heads(&lines, wanted(room_of(s->b, tenant)));
	if (lines.n)
		rc = queue_heads(s->db, lines.v, lines.n, &s->found);
	if (!rc)
		sift(s, from);
	loom_free(lines.v);
	queue_jobs_fini(&jobs);
	return rc;
}

static int read_lines(struct search *s, const char *tenant)
{
	size_t from = s->found.n;
	bool more = s->b->more;
	int rc = 0;
	for (int part = 0; !rc && s->found.n == from && part < MAX_PARTS; part++) {
		s->b->more = false;
		rc = read_part(s, tenant);
		if (!s->b->more)
			break;
	}
	s->b->more = s->b->more || more || s->found.n > from;
	return rc;
}

/* ---- the search ------------------------------------------------------------------------------ */

static void set_over_scan_limit(struct candidate_cache *o, const char *tenant, bool over_scan_limit)
{
	struct strs now = { 0 };
	for (size_t i = 0; i < o->over_scan_limit.n; i++) {
		if (!str_eq(o->over_scan_limit.v[i], tenant))
			strs_add(&now, o->over_scan_limit.v[i]);
	}
	if (over_scan_limit)
		strs_add(&now, tenant);
	strs_fini(&o->over_scan_limit);
	o->over_scan_limit = now;
}

/* Where there was a crowd the last time it is not counted again. */
static int search_tenant(struct search *s, const char *tenant)
{
	size_t from = s->found.n;
	bool over_scan_limit = strs_has(&s->o->over_scan_limit, tenant);
	int rc = 0;
	if (!over_scan_limit) {
		rc = queue_some(s->db, tenant, MAX_LOOK, &s->found);
		over_scan_limit = s->found.n - from >= MAX_LOOK;
		if (over_scan_limit)
			s->found.n = from;
		else if (!rc)
			sift(s, from);
		if (rc || !over_scan_limit)
			return rc;
		set_over_scan_limit(s->o, tenant, true);
	}
	rc = read_lines(s, tenant);
	if (!rc && s->found.n - from < MAX_LOOK / 8)
		set_over_scan_limit(s->o, tenant, false);
	return rc;
}

static bool has_tenant_before(const struct batch *b, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (!b->takes[k].barred &&
		    str_eq(b->takes[k].take->tenant, b->takes[i].take->tenant))
			return true;
	}
	return false;
}

static int read_in_use(struct search *s)
{
	int64_t mono = clock_mono_ms();
	struct queue_use *use = NULL;
	size_t n = 0;
	if (!fair_queue_stale(s->o->fair, mono, USE_MS))
		return 0;
	int rc = queue_in_use(s->db, &use, &n);
	if (!rc)
		fair_queue_use(s->o->fair, use, n, mono);
	loom_free(use);
	return rc;
}

static bool several_tenants(const struct fair_offer *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (!str_eq(v[i].tenant, v[0].tenant))
			return true;
	}
	return false;
}

/* As many as are wanted, and of each gate no more than may begin. */
static void choose_found(struct search *s)
{
	struct batch *b = s->b;
	struct fair_offer *v = loom_calloc(s->found.n + 1, sizeof(*v));
	size_t max = (size_t)wanted(room_of(b, NULL));
	for (size_t k = 0; k < s->found.n; k++)
		v[k] = (struct fair_offer){ s->found.v[k].tenant, s->found.v[k].ref.cluster,
			                    s->found.v[k].not_before, k };
	fair_queue_order(s->o->fair, v, s->found.n);
	atomic_store(&s->o->shared, s->found.n > max && several_tenants(v, s->found.n));
	b->candidates = loom_realloc(b->candidates, (s->found.n + 1) * sizeof(*b->candidates));
	size_t i = 0;
	for (; i < s->found.n && b->n_candidates < max; i++) {
		const struct queued *q = &s->found.v[v[i].index];
		int64_t begun = 0;
		for (size_t k = 0; *q->gate && k < i; k++) {
			const struct queued *o = &s->found.v[v[k].index];
			begun += str_eq(o->gate, q->gate) && str_eq(o->tenant, q->tenant);
		}
		enum hold why = HOLD_NOT;
		if (!*q->gate || begun < gate_room(s, q->tenant, q->gate, &why))
			b->candidates[b->n_candidates++] = q->ref;
		else
			batch_decided(b, &q->ref, NULL, why);
	}
	b->more = b->more || i < s->found.n;
	loom_free(v);
}

static int search_read(struct db *db, void *arg)
{
	struct batch *b = arg;
	struct search s = { .db = db, .b = b, .o = b->candidate_cache };
	s.now = b->candidate_cache->now;
	b->n_candidates = 0;
	b->more = false;
	int rc = 0;
	for (size_t i = 0; !rc && i < b->n_takes; i++) {
		if (!b->takes[i].barred && !has_tenant_before(b, i))
			rc = search_tenant(&s, b->takes[i].take->tenant);
	}
	if (!rc && (int64_t)s.found.n > room_of(b, NULL))
		rc = read_in_use(&s);
	if (!rc)
		choose_found(&s);
	queued_fini(&s.found);
	return rc;
}

int candidates_find(struct batch *b)
{
	int rc = batch_find_rules(b);
	return rc ? rc : db_read(b->db, search_read, b);
}
