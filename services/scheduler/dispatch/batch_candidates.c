/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_candidates - searches for ready tasks, before a batch's transaction and without locks. As
 * long as few tasks are ready it reads all of them. If there are more than one search can read, it
 * goes by queues: each cluster whose job hands out tasks has one for tasks without a gate, and one
 * for each of its two gates. One look into the index tells whether a queue has tasks. The search
 * reads the first few tasks of some queues, and continues with the other queues next time. Queues
 * whose provider's limit allows no call now are not read at all. The fair queue chooses among the
 * tasks found.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/worker/queue.h"

#include <string.h>

/* A take asks for at most 64 tasks (poll_waiters.c): one search finds enough for two takes. */
#define MAX_LOOK 128
/* Bounds of one search if it cannot read everything; the next one continues where it stopped.
 * Measured by the slow query log of `make bench FIGURES=complete`: looking into a job takes 18 us,
 * reading a queue 43 us. So a search takes about 7 ms at most, and the rare one that finds nothing
 * (all queues without room, or held) about 40 ms. */
#define MAX_JOBS 256
/* The first part looks into at most this many jobs per wanted task: where many jobs have ready
 * tasks, looking into the rest would be in vain. */
#define JOBS_EACH  2
#define MAX_QUEUES 48 /* at least two tasks of each: nearly all of MAX_LOOK */
#define MAX_PARTS  8  /* of MAX_JOBS, until something is found */
/* Tasks found beyond the wanted number, because another scheduler or batch may claim the same
 * ones. */
#define SURPLUS 8
/* Usage data is a hint for fairness, corrected by the tasks given meanwhile. Reading it takes 0.9
 * ms, by the same log: at most a hundredth of a processor. */
#define USE_MS 100
/* A defect is tried again after this time, at the cost of a failing batch and one per cluster in
 * it. */
#define DEFECT_MS 10000

struct search {
	struct db *db;
	struct batch *b;
	struct candidate_cache *o;
	int64_t now, look_at; /* look_at: when a postponed task may start; 0: never */
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
	strs_fini(&o->many_jobs);
	loom_free(o->defects);
	loom_free(o);
}

void candidates_leave_out(struct batch *b, int64_t cluster)
{
	struct candidate_cache *o = b->candidate_cache;
	int64_t now = clock_mono_ms();
	size_t kept = 0;
	for (size_t i = 0; i < o->n_defects; i++) {
		if (o->defects[i].until > now)
			o->defects[kept++] = o->defects[i];
	}
	o->n_defects = kept;
	o->defects = LOOM_GROW(o->defects, o->n_defects);
	o->defects[o->n_defects++] = (struct defect){ cluster, now + DEFECT_MS };
}

static bool is_left_out(const struct candidate_cache *o, int64_t cluster)
{
	for (size_t i = 0; i < o->n_defects; i++) {
		if (o->defects[i].cluster == cluster)
			return o->defects[i].until > clock_mono_ms();
	}
	return false;
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

/* How many of the tasks found are locked; other searches skip those. So a batch that wants few
 * tasks leaves most clusters to others. When two schedulers each locked ten clusters for one task,
 * three tenants got 125, 87 and 88 of 300 tasks; with this bound, 114, 92 and 94. */
static int64_t may_be_locked(int64_t room)
{
	return room < SURPLUS ? room + (room + 1) / 2 : wanted(room);
}

/* How many tasks of a gate may begin, as far as a look without lock can tell; *why: what holds the
 * rest. */
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

/* Keeps the tasks found since `from` that may begin now. */
static void sift(struct search *s, size_t from)
{
	size_t kept = from;
	for (size_t i = from; i < s->found.n; i++) {
		const struct queued q = s->found.v[i];
		enum hold why = HOLD_PAUSED;
		if (is_left_out(s->o, q.ref.cluster))
			continue;
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

/* ---- by queues --------------------------------------------------------------------------------
 */

struct ready_queues {
	struct ready_queue *v;
	size_t n;
};

static void add_queue(struct search *s, struct ready_queues *to, const struct queue_job *j,
                      const char *task)
{
	struct ready_queue *l = &to->v[to->n];
	l->tenant = j->tenant;
	l->cluster = j->cluster;
	task_gate(task, j->provider, l->gate);
	enum hold why;
	to->n += gate_room(s, l->tenant, l->gate, &why) > 0;
}

/* The queues with tasks that may begin; if more than `most`, those that the fair queue prefers. */
static struct ready_queues queues_of(struct search *s, const struct queue_jobs *jobs, size_t most)
{
	struct ready_queues all = { loom_calloc(3 * jobs->n + 1, sizeof(*all.v)), 0 };
	for (size_t i = 0; i < jobs->n; i++) {
		const struct queue_job *j = &jobs->v[i];
		if (j->free)
			add_queue(s, &all, j, "");
		if (j->call)
			add_queue(s, &all, j, "CONFIRM");
		if (j->create)
			add_queue(s, &all, j, "CREATE");
	}
	if (all.n <= most)
		return all;
	struct ready_queues best = { loom_calloc(most, sizeof(*best.v)), most };
	struct fair_offer *v = loom_calloc(all.n, sizeof(*v));
	for (size_t i = 0; i < all.n; i++)
		v[i] = (struct fair_offer){ all.v[i].tenant, all.v[i].cluster, 0, i };
	fair_queue_order(s->o->fair, v, all.n);
	for (size_t i = 0; i < most; i++)
		best.v[i] = all.v[v[i].index];
	s->b->more = true;
	loom_free(v);
	loom_free(all.v);
	return best;
}

/* How many of the first n queues belong to the tenant of queue i? */
static size_t same_tenant(const struct ready_queues *l, size_t i, size_t n)
{
	size_t same = 0;
	for (size_t k = 0; k < n; k++)
		same += str_eq(l->v[k].tenant, l->v[i].tenant);
	return same;
}

/* Reads twice as many tasks as wanted, in equal shares per tenant and then per queue. Shared per
 * queue alone, a tenant with one cluster would get too few candidates for its share. */
static void share_heads(struct ready_queues *l, int64_t want)
{
	size_t tenants = 0;
	for (size_t i = 0; i < l->n; i++)
		tenants += same_tenant(l, i, i) == 0;
	for (size_t i = 0; i < l->n; i++) {
		size_t shares = tenants * same_tenant(l, i, l->n);
		loom_assert(shares); /* the queue itself is one of its tenant's */
		int64_t heads = 2 * want / (int64_t)shares;
		l->v[i].heads = heads < 2 ? 2 : heads < want ? heads : want;
	}
}

/* Records where each group's next search begins; true: all jobs were looked into. */
static bool note_cursors(struct search *s, const struct queue_jobs *groups,
                         const struct queue_jobs *jobs, int64_t each)
{
	bool all = true;
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
		all = all && n < each && !g->cluster;
		fair_queue_set_cursor(s->o->fair, g, n == each ? last : 0);
	}
	return all;
}

static void set_listed(struct strs *list, const char *tenant, bool listed)
{
	struct strs now = { 0 };
	for (size_t i = 0; i < list->n; i++) {
		if (!str_eq(list->v[i], tenant))
			strs_add(&now, list->v[i]);
	}
	if (listed)
		strs_add(&now, tenant);
	strs_fini(list);
	*list = now;
}

/* There are more jobs than one search can read: reads some of each tenant and provider. */
static int read_some_jobs(struct search *s, const char *tenant, size_t most,
                          struct queue_jobs *jobs)
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
	int64_t each = n && n < most ? (int64_t)(most / n) : 1;
	if (!rc && n)
		rc = queue_jobs_after(s->db, groups.v, n, each, jobs);
	if (!rc) {
		bool all = note_cursors(s, &groups, jobs, each);
		set_listed(&s->o->many_jobs, tenant, !all);
		s->b->more = s->b->more || !all;
	}
	queue_jobs_fini(&groups);
	return rc;
}

/* If there were too many jobs last time, does not ask for all again. */
static int read_jobs(struct search *s, const char *tenant, size_t most, struct queue_jobs *jobs)
{
	if (!strs_has(&s->o->many_jobs, tenant)) {
		int rc = queue_jobs_all(s->db, tenant, (int64_t)most, jobs);
		if (rc || jobs->n < most)
			return rc;
		jobs->n = 0;
	}
	return read_some_jobs(s, tenant, most, jobs);
}

/* Every queue has at least one task, so the first part reads no more queues than tasks are wanted.
 * But all of those may be held, so later parts may read as many queues as a search allows. */
static int read_part(struct search *s, const char *tenant, int part)
{
	struct queue_jobs jobs = { 0 };
	size_t from = s->found.n;
	int64_t want = wanted(room_of(s->b, tenant));
	size_t most = part || want * JOBS_EACH > MAX_JOBS ? MAX_JOBS : (size_t)(want * JOBS_EACH);
	int rc = read_jobs(s, tenant, most, &jobs);
	if (rc) {
		queue_jobs_fini(&jobs);
		return rc;
	}
	struct ready_queues queues =
		queues_of(s, &jobs, part || want > MAX_QUEUES ? MAX_QUEUES : (size_t)want);
	share_heads(&queues, want);
	if (queues.n)
		rc = queue_heads(s->db, queues.v, queues.n, &s->found);
	if (!rc)
		sift(s, from);
	loom_free(queues.v);
	queue_jobs_fini(&jobs);
	return rc;
}

static int read_queues(struct search *s, const char *tenant)
{
	size_t from = s->found.n;
	bool more = s->b->more;
	int rc = 0;
	for (int part = 0; !rc && s->found.n == from && part < MAX_PARTS; part++) {
		s->b->more = false;
		rc = read_part(s, tenant, part);
		if (!s->b->more)
			break;
	}
	if (!rc && !s->b->more && s->found.n - from < MAX_LOOK / 8)
		set_listed(&s->o->over_scan_limit, tenant, false);
	s->b->more = s->b->more || more || s->found.n > from;
	return rc;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* If there were too many tasks last time, does not count them again. */
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
		set_listed(&s->o->over_scan_limit, tenant, true);
	}
	return read_queues(s, tenant);
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

/* Chooses as many tasks as wanted, and per gate no more than may begin. */
static void choose_found(struct search *s)
{
	struct batch *b = s->b;
	struct fair_offer *v = loom_calloc(s->found.n + 1, sizeof(*v));
	const size_t max = (size_t)may_be_locked(room_of(b, NULL));
	for (size_t k = 0; k < s->found.n; k++)
		v[k] = (struct fair_offer){ s->found.v[k].tenant, s->found.v[k].ref.cluster,
			                    s->found.v[k].not_before, k };
	fair_queue_order(s->o->fair, v, s->found.n);
	fair_queue_set_contended(s->o->fair,
	                         (b->more || s->found.n > max) && several_tenants(v, s->found.n));
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
