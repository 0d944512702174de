/* SPDX-License-Identifier: Apache-2.0 */
/* Which take gets which ready task, and what holds the others: tables over rows in memory. */
#include "common/base/str.h"
#include "services/scheduler/dispatch/batch_private.h"
#include "tests/support/unit.h"

#include <string.h>

enum { NOW = 100000, AVOID_MS = 5000, MOST = 16 };

/* clang-format off */
/*
 * A word each:
 *
 *	tasks    "a1": of tenant a's cluster 1, the first one ready for longest; then letters: c it is a
 *	         CREATE, d a DELETE, f it failed at p1 just now, o at p1 long ago, l it may begin later, r it
 *	         failed and may later, n this batch made it ready (only such: there was no search), x its cluster is another's, p its job is
 *	         paused, e its job has ended, R it runs at p1, E it has just ended there, b it comes with a
 *	         big configuration
 *	takes    "ap1:2": of tenant a (* any) at provisioner p1, for two tasks, who has waited longest first;
 *	         then B it is barred, Q it may have a probe, A it comes with a result that is applied, N with
 *	         one that is not
 *	running  "a1:3": tenant a has three tasks running in its cluster 1
 *	limits   "ac1": tenant a's provider allows one CREATE at once; "ar0": no call now; ! another has the
 *	         limit's lock
 *	want     for each task the take that gets it, as its place; or what holds it; - it is no matter
 */
/* clang-format on */
struct choosing {
	const char *what, *tasks, *takes, *running, *limits;
	bool alone, probed; /* no other provisioner is there; the probe is another's */
	bool contended;     /* more is ready, of several tenants */
	const char *want;
	bool more; /* takes went without tasks that may be had soon */
};

/* clang-format off */
static const struct choosing cases[] = {
	{ .what = "whoever waits longest is served first", .tasks = "a1 a1", .takes = "*p1:1 *p2:1", .want = "0 1" },
	{ .what = "a take gets as many as it wants", .tasks = "a1 a1 a1", .takes = "*p1:2", .want = "0 0 busy" },
	{ .what = "one take after the other", .tasks = "a1 a1 a1", .takes = "*p1:1 *p2:2", .want = "0 1 1" },
	{ .what = "what this batch made ready counts, too", .tasks = "a1n a1", .takes = "*p1:2", .want = "0 0" },
	{ .what = "nobody asks", .tasks = "a1", .takes = "bp1:1", .want = "busy" },

	/* a provisioner of one tenant */
	{ .what = "a tenant's own take has its tasks only", .tasks = "b2 a1", .takes = "ap1:2", .want = "busy 0" },
	{ .what = "and leaves the others to who takes any", .tasks = "b2 a1", .takes = "ap1:2 *p2:2", .want = "1 0" },

	/* what results bring */
	{ .what = "a result brings the next task", .tasks = "a1n", .takes = "*p1:1A", .want = "0" },
	{ .what = "as many as it asks for", .tasks = "a1n a1 a1", .takes = "*p1:2A", .want = "0 0 busy" },
	{ .what = "one that is not applied brings nothing", .tasks = "a1", .takes = "*p1:1N", .want = "busy" },
	{ .what = "who waits goes before", .tasks = "a1 a1", .takes = "*p2:1 *p1:1A", .want = "0 1" },
	{ .what = "what it made ready is others', if they have less", .tasks = "a1n b2", .takes = "*p1:1A",
	  .running = "a1:2", .want = "busy 0" },
	{ .what = "while tenants compete what is ready is found by a search", .tasks = "a1n", .takes = "*p1:1A",
	  .contended = true, .want = "-", .more = true },
	{ .what = "for those who wait, too", .tasks = "a1n a1n", .takes = "*p2:2", .contended = true, .want = "- -",
	  .more = true },
	{ .what = "which knows of the others", .tasks = "a1n a1", .takes = "*p1:1A *p2:1", .contended = true,
	  .want = "0 1" },
	{ .what = "limits hold, too", .tasks = "a1c a1c", .takes = "*p1:2A", .limits = "ac1",
	  .want = "0 provider_creates" },
	{ .what = "and quarantines", .tasks = "a1", .takes = "*p1:1AB", .want = "quarantine" },

	/* fair shares */
	{ .what = "tenants take turns", .tasks = "a1 a1 b2", .takes = "*p1:2", .want = "0 busy 0" },
	{ .what = "who has less running is first", .tasks = "a1 b2", .takes = "*p1:1", .running = "a1:2", .want = "busy 0" },
	{ .what = "until it has as many", .tasks = "a1 b2 b2 b2", .takes = "*p1:3", .running = "a1:2", .want = "0 0 0 busy" },
	{ .what = "clusters of a tenant, too", .tasks = "a1 a1 a2", .takes = "*p1:2", .want = "0 busy 0" },
	{ .what = "a small cluster does not stand behind a large one", .tasks = "a1 a1 a2", .takes = "*p1:1",
	  .running = "a1:5", .want = "busy busy 0" },
	{ .what = "among equals the one that waits longest", .tasks = "b2 a1", .takes = "*p1:1", .want = "0 busy" },

	/* large configurations */
	{ .what = "a large one like any other", .tasks = "a1b a2b b3", .takes = "*p1:3", .want = "0 0 0" },
	{ .what = "where others wait one is enough", .tasks = "a1b a2b b3", .takes = "*p1:3", .contended = true,
	  .want = "0 busy 0", .more = true },
	{ .what = "and the others have the places", .tasks = "a1b b3 a2b b4", .takes = "*p1:3", .contended = true,
	  .want = "0 0 busy 0", .more = true },
	{ .what = "small ones of the same tenant, too", .tasks = "a1b a2b a3", .takes = "*p1:2", .contended = true,
	  .want = "0 busy 0", .more = true },

	/* what holds a task from whoever asks */
	{ .what = "a paused job", .tasks = "a1p a2", .takes = "*p1:2", .want = "paused 0" },
	{ .what = "addresses that are not known yet", .tasks = "a1l a1", .takes = "*p1:2", .want = "addresses 0" },
	{ .what = "the wait before a retry", .tasks = "a1r", .takes = "*p1:1", .want = "retry" },
	{ .what = "a job that has ended hands out nothing", .tasks = "a1e", .takes = "*p1:1", .want = "-" },
	{ .what = "what runs is not given again", .tasks = "a1R a1", .takes = "*p1:2", .want = "- 0" },
	{ .what = "a cluster that another holds is left for soon", .tasks = "b2x a1", .takes = "*p1:2", .want = "- 0",
	  .more = true },

	/* limits of providers */
	{ .what = "so many CREATEs at once", .tasks = "a1c a1c a1", .takes = "*p1:3", .limits = "ac1",
	  .want = "0 provider_creates 0" },
	{ .what = "one that ends in this batch makes room", .tasks = "a1cE a1c a1c", .takes = "*p1:3", .limits = "ac1",
	  .want = "- 0 provider_creates" },
	{ .what = "of that tenant's provider only", .tasks = "a1c a1c b2c b2c", .takes = "*p1:4", .limits = "ac1",
	  .want = "0 provider_creates 0 0" },
	{ .what = "so many calls in a time", .tasks = "a1d a1", .takes = "*p1:2", .limits = "ar0", .want = "provider_calls 0" },
	{ .what = "a limit that another counts is left for soon", .tasks = "a1c a1", .takes = "*p1:2", .limits = "ac1!",
	  .want = "contended 0", .more = true },
	{ .what = "what is held does not use up a take", .tasks = "a1c a1c a1c a2", .takes = "*p1:3", .limits = "ac1",
	  .want = "0 provider_creates provider_creates 0" },

	/* a failed task is for another provisioner */
	{ .what = "not where it failed just now", .tasks = "a1f", .takes = "*p1:1", .want = "avoided" },
	{ .what = "but anywhere else", .tasks = "a1f", .takes = "*p1:1 *p2:1", .want = "1" },
	{ .what = "there, if there is no other", .tasks = "a1f", .takes = "*p1:1", .alone = true, .want = "0" },
	{ .what = "there, after a while", .tasks = "a1o", .takes = "*p1:1", .want = "0" },
	{ .what = "what held it first is said", .tasks = "a1f", .takes = "*p1:1 *p2:1B", .want = "avoided" },
	{ .what = "meanwhile it gets something else", .tasks = "a1f a1", .takes = "*p1:1", .want = "avoided 0" },

	/* quarantine */
	{ .what = "who is barred gets nothing", .tasks = "a1", .takes = "*p1:1B", .want = "quarantine" },
	{ .what = "the others do", .tasks = "a1", .takes = "*p1:1B *p2:1", .want = "1" },
	{ .what = "a probe is one task", .tasks = "a1 a1", .takes = "*p1:2Q", .want = "0 quarantine" },
	{ .what = "and there is one at a time", .tasks = "a1", .takes = "*p1:1Q", .probed = true, .want = "quarantine" },
	{ .what = "which is left to the next take then", .tasks = "a1", .takes = "*p1:1Q *p2:1", .probed = true, .want = "1" },
	{ .what = "no probe is spent on what is held", .tasks = "a1c a1", .takes = "*p1:1Q", .limits = "ac0!",
	  .want = "contended 0", .more = true },
};
/* clang-format on */

/* ---- a batch in memory ----------------------------------------------------------------------- */

static int beside(struct db *db, const char *provisioner LOOM_UNUSED,
                  const char *tenant LOOM_UNUSED, int64_t *ret)
{
	*ret = ((const struct choosing *)db)->alone ? 0 : 1;
	return 0;
}

static int probe(struct db *db, const char *provisioner LOOM_UNUSED,
                 const struct task_ref *ref LOOM_UNUSED, int64_t attempt, int64_t now, bool *ret)
{
	ck_assert(attempt == 1 && now == NOW);
	*ret = !((const struct choosing *)db)->probed;
	return 0;
}

static int lock_limits(struct db *db, const struct limits *which, struct limits **ret)
{
	const struct choosing *c = (const struct choosing *)db;
	struct limits *l = loom_calloc(1, sizeof(*l));
	l->v = loom_calloc(which->n + 1, sizeof(*l->v));
	for (size_t i = 0; i < which->n && !strchr(c->limits, '!'); i++) {
		l->v[l->n] = which->v[i];
		l->v[l->n++].calls = loom_strdup(which->v[i].calls);
	}
	*ret = l;
	return 0;
}

static const struct unit_store store = { .provisioners_beside = beside,
	                                 .probe = probe,
	                                 .lock_limits = lock_limits };

static void words_of(const char *text, struct strs *ret)
{
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " ");
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		strs_add(ret, word);
		p += n + (p[n] == ' ');
	}
}

struct bench {
	struct batch b;
	struct claims k;
	struct strs words, takes; /* what the case says; and their texts */
	struct take asked[MOST];
	struct batch_take offered[MOST];
	struct quarantine_config quarantine;
	struct task *newly_ready[MOST];
};

static void add_cluster(struct bench *s, const char *word)
{
	int64_t id = word[1] - '0';
	if (strchr(word, 'x') || unit_cluster(&s->b.unit, id))
		return;
	struct cluster *c = loom_calloc(1, sizeof(*c));
	*c = (struct cluster){ .id = id,
		               .tenant_id = loom_strndup(word, 1),
		               .brief = unit_json("{'provider':{'name':'cloud'}}"),
		               .now = NOW };
	struct cached_cluster *at = cached_cluster_create();
	at->config_job = 1;
	at->config_size = strchr(word, 'b') == word + 2 ? 2 * LARGE_CONFIG : 2;
	s->b.cached[s->b.unit.n_clusters] = at;
	(void)unit_add_cluster(&s->b.unit, c, &at->rows);
	const struct job j = { .cluster_id = id,
		               .num = 1,
		               .status = strchr(word, 'p')   ? JOB_PAUSED
		                         : strchr(word, 'e') ? JOB_FAILED
		                                             : JOB_RUNNING };
	(void)unit_add_job(&s->b.unit, &j);
}

static void add_task(struct bench *s, struct tasks *to, size_t i)
{
	const char *word = s->words.v[i];
	bool failed = strpbrk(word, "for"), later = strpbrk(word, "lr");
	struct task *t = &to->v[to->n++];
	*t = (struct task){ .cluster_id = word[1] - '0',
		            .job_num = 1,
		            .num = (int64_t)i + 1,
		            .tenant_id = loom_strndup(word, 1),
		            .service = loom_strdup(""),
		            .failures = failed,
		            .not_before = later               ? NOW + 1000
		                          : strchr(word, 'o') ? NOW - AVOID_MS
		                                              : NOW - MOST + (int64_t)i,
		            .state = strpbrk(word, "RE") ? TASK_RUNNING : TASK_READY };
	if (failed || strpbrk(word, "RE"))
		t->provisioner_id = loom_strdup("p1");
	snprintf(t->name, sizeof(t->name), "%s",
	         strchr(word, 'c')   ? "CREATE"
	         : strchr(word, 'd') ? "DELETE"
	                             : "INSTALL");
}

/* What was found ready is a candidate, but for what this batch made ready itself. */
static void add_candidates(struct bench *s)
{
	struct unit *u = &s->b.unit;
	s->b.candidates = loom_calloc(s->words.n + 1, sizeof(*s->b.candidates));
	for (size_t i = 0; i < s->words.n; i++) {
		const struct task_ref ref = { s->words.v[i][1] - '0', 1, (int64_t)i + 1 };
		if (strchr(s->words.v[i], 'n'))
			s->newly_ready[u->n_newly_ready++] = unit_task(u, &ref);
		else
			s->b.candidates[s->b.n_candidates++] = ref;
	}
	s->b.search = s->b.n_candidates;
	u->newly_ready = loom_malloc(sizeof(s->newly_ready));
	memcpy(u->newly_ready, s->newly_ready, sizeof(s->newly_ready));
}

static void add_takes(struct bench *s, const char *takes)
{
	static const struct batch_result applied = { .status = 200 }, refused = { .status = 417 };
	words_of(takes, &s->takes);
	for (size_t i = 0; i < s->takes.n; i++) {
		const char *word = s->takes.v[i];
		LOOM_CLEANUP_STR char *tenant = loom_strndup(word, 1);
		LOOM_CLEANUP_STR char *provisioner = loom_strndup(word + 1, 2);
		s->asked[i] = (struct take){ .tenant = loom_take(tenant),
			                     .provisioner = loom_take(provisioner),
			                     .worker = "w",
			                     .max = word[4] - '0' };
		s->offered[i] = (struct batch_take){ .take = &s->asked[i],
			                             .with = strchr(word, 'A')   ? &applied
			                                     : strchr(word, 'N') ? &refused
			                                                         : NULL,
			                             .barred = strchr(word, 'B'),
			                             .probe = strchr(word, 'Q') };
	}
	s->b.takes = s->offered;
	s->b.n_takes = s->takes.n;
}

static void add_rules(struct bench *s, const struct choosing *c)
{
	struct candidate_cache *o = candidate_cache_create(fair_queue_create());
	if (c->running) {
		struct queue_use use = { .cluster = c->running[1] - '0',
			                 .running = c->running[3] - '0' };
		use.tenant[0] = c->running[0];
		fair_queue_use(o->fair, &use, 1, 1);
	}
	if (c->limits) {
		o->limits = loom_calloc(1, sizeof(*o->limits));
		o->limits->v = loom_calloc(1, sizeof(*o->limits->v));
		struct limit *l = &o->limits->v[o->limits->n++];
		bool creates = c->limits[1] == 'c';
		*l = (struct limit){ .tenant = { c->limits[0] },
			             .provider = "cloud",
			             .creates = creates ? c->limits[2] - '0' : 0,
			             .calls_max = !creates,
			             .window_ms = 1000,
			             .running = strchr(c->tasks, 'E') != NULL,
			             .calls = creates ? loom_strdup("")
			                              : loom_asprintf("%d:1", NOW - 1) };
	}
	fair_queue_set_contended(o->fair, c->contended);
	s->b.candidate_cache = o;
	s->quarantine.quarantine_avoid_ms = AVOID_MS;
	s->b.policy.quarantine = &s->quarantine;
}

static void bench_init(struct bench *s, const struct choosing *c)
{
	*s = (struct bench){ .b = { .look_ms = -1 } };
	struct tasks *ts = loom_calloc(1, sizeof(*ts));
	words_of(c->tasks, &s->words);
	unit_init(&s->b.unit, &store, (struct db *)(uintptr_t)c, &s->b.policy, NULL, MOST);
	s->b.cached = loom_calloc(MOST + 1, sizeof(*s->b.cached));
	ts->v = loom_calloc(s->words.n + 1, sizeof(*ts->v));
	for (size_t i = 0; i < s->words.n; i++) {
		add_cluster(s, s->words.v[i]);
		if (!strchr(s->words.v[i], 'x'))
			add_task(s, ts, i);
	}
	unit_add_tasks(&s->b.unit, ts);
	for (size_t i = 0; i < s->words.n; i++) {
		const struct task_ref ref = { s->words.v[i][1] - '0', 1, (int64_t)i + 1 };
		if (strchr(s->words.v[i], 'E'))
			unit_task(&s->b.unit, &ref)->state = TASK_COMPLETE;
	}
	add_candidates(s);
	add_takes(s, c->takes);
	add_rules(s, c);
	s->k = (struct claims){ .b = &s->b, .u = &s->b.unit };
}

static void bench_fini(struct bench *s)
{
	for (size_t i = 0; i < s->takes.n; i++) {
		loom_free((char *)(uintptr_t)s->asked[i].tenant);
		loom_free((char *)(uintptr_t)s->asked[i].provisioner);
	}
	limits_hold_fini(&s->k.limits);
	loom_free(s->k.v);
	fair_queue_destroy(s->b.candidate_cache->fair);
	candidate_cache_destroy(s->b.candidate_cache);
	s->b.n_takes = 0;
	batch_fini(&s->b);
	strs_fini(&s->words);
	strs_fini(&s->takes);
}

/* What became of each task, as the case says it; owned. */
static char *outcome(const struct bench *s)
{
	LOOM_CLEANUP(strs_fini) struct strs out = { 0 };
	for (size_t i = 0; i < s->words.n; i++) {
		const struct task_ref ref = { s->words.v[i][1] - '0', 1, (int64_t)i + 1 };
		const struct unit_task *it = unit_item(&s->b.unit, &ref);
		size_t k = 0;
		while (k < s->k.n && s->k.v[k].t != (it ? it->t : NULL))
			k++;
		if (k < s->k.n)
			strs_addf(&out, "%zu", s->k.v[k].take);
		else
			strs_add(&out, it && it->hold ? hold_name(it->hold) : "-");
	}
	return strs_join(&out, " ");
}

START_TEST(chooses)
{
	const struct choosing *c = &cases[_i];
	struct bench s;
	bench_init(&s, c);
	ck_assert_int_eq(batch_choose(&s.k), 0);
	LOOM_CLEANUP_STR char *got = outcome(&s);
	ck_assert_msg(str_eq(got, c->want), "%s: %s is not %s", c->what, got, c->want);
	ck_assert_msg(s.b.more == c->more, "%s: more", c->what);
	bench_fini(&s);
}
END_TEST

/* ---- an answer that was lost ----------------------------------------------------------------- */

static const struct {
	const char *task; /* "a1R" runs at p1 */
	int64_t attempt;  /* that was handed out */
	const char *provisioner, *worker;
	bool again;
} handed[] = {
	{ "a1R", 0, "p1", "w", true },
	{ "a1R", 1, "p1", "w", false }, /* another attempt */
	{ "a1R", 0, "p2", "w", false }, /* another's by now */
	{ "a1R", 0, "p1", "v", false },
	{ "a1", 0, "p1", "w", false }, /* the earlier run was not committed: it is ready */
	{ "a1x", 0, "p1", "w", false },
};

START_TEST(gives_what_it_gave_again)
{
	const struct choosing c = { .tasks = handed[_i].task, .takes = "bp1:1" };
	struct bench s;
	bench_init(&s, &c);
	const struct task_ref ref = { 1, 1, 1 };
	struct task *t = unit_task(&s.b.unit, &ref);
	if (t)
		t->worker_id = loom_strdup(handed[_i].worker);
	if (t && t->state == TASK_RUNNING) {
		loom_free(t->provisioner_id);
		t->provisioner_id = loom_strdup(handed[_i].provisioner);
	}
	s.b.handed = loom_calloc(1, sizeof(*s.b.handed));
	s.b.handed[s.b.n_handed++] = (struct handed){ 0, ref, handed[_i].attempt, "secret" };
	ck_assert_int_eq(batch_choose(&s.k), 0);
	ck_assert_uint_eq(s.k.n, handed[_i].again);
	ck_assert(!s.k.n || (s.k.v[0].again && str_eq(s.k.v[0].claim, "secret")));
	bench_fini(&s);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_loop_test(c, chooses, 0, LOOM_COUNT(cases));
	tcase_add_loop_test(c, gives_what_it_gave_again, 0, LOOM_COUNT(handed));
	return UNIT_RUN("scheduler_choose", c);
}
