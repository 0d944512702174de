/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of clusters' rows: when they are right, and which make room. */
#include "services/scheduler/dispatch/cluster_cache.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

static struct cached_cluster *cluster_of(int64_t cluster, int64_t seq, size_t nodes)
{
	struct cached_cluster *p = cached_cluster_create();
	p->rows.cluster = cluster;
	p->rows.seq = seq;
	p->rows.nodes = loom_calloc(1, sizeof(*p->rows.nodes));
	p->rows.nodes->v = loom_calloc(nodes + 1, sizeof(*p->rows.nodes->v));
	p->rows.nodes->n = nodes;
	return p;
}

static bool has(struct cluster_cache *b, int64_t cluster, int64_t seq)
{
	struct cached_cluster *p = cluster_cache_take(b, cluster, seq);
	bool found = p;
	if (p)
		cluster_cache_put(b, p);
	return found;
}

START_TEST(rows_are_right_until_another_event)
{
	struct cluster_cache *b = cluster_cache_create();
	cluster_cache_put(b, cluster_of(7, 3, 1));
	ck_assert(!has(b, 8, 3));
	ck_assert(has(b, 7, 3));
	ck_assert(!has(b, 7, 4)); /* somebody else wrote: it is forgotten */
	ck_assert(!has(b, 7, 3));
	cluster_cache_destroy(b);
}
END_TEST

START_TEST(rows_replace_those_of_before)
{
	struct cluster_cache *b = cluster_cache_create();
	cluster_cache_put(b, cluster_of(7, 3, 1));
	cluster_cache_put(b, cluster_of(7, 5, 2));
	struct cached_cluster *p = cluster_cache_take(b, 7, 5);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->rows.nodes->n, 2);
	cached_cluster_free(p);
	ck_assert(!has(b, 7, 5)); /* it was taken out */
	cluster_cache_destroy(b);
}
END_TEST

START_TEST(those_not_used_for_longest_make_room)
{
	struct cluster_cache *b = cluster_cache_create();
	for (int64_t c = 1; c <= 512; c++)
		cluster_cache_put(b, cluster_of(c, 1, 1));
	ck_assert(has(b, 1, 1)); /* used: now 2 is the oldest */
	cluster_cache_put(b, cluster_of(1000, 1, 1));
	ck_assert(has(b, 1, 1));
	ck_assert(!has(b, 2, 1));
	ck_assert(has(b, 3, 1));
	cluster_cache_put(b, cluster_of(1001, 1, 100000)); /* however large, the last one stays */
	ck_assert(has(b, 1001, 1));
	ck_assert(!has(b, 3, 1));
	cluster_cache_put(b, cluster_of(1002, 1, 1));
	ck_assert(!has(b, 1001, 1));
	cluster_cache_destroy(b);
}
END_TEST

/* What counts is what they take, and a machine's results are most of that. */
START_TEST(large_documents_make_room)
{
	struct cluster_cache *b = cluster_cache_create();
	LOOM_CLEANUP_STR char *text = loom_malloc(1 << 20);
	size_t bytes;
	memset(text, 'x', (1 << 20) - 1);
	text[(1 << 20) - 1] = '\0';
	for (int64_t c = 1; c <= 40; c++) {
		struct cached_cluster *p = cluster_of(c, 1, 1);
		p->rows.nodes->v[0].results = json_set_str(json_new_obj(), "log", text);
		cluster_cache_put(b, p);
		size_t n = cluster_cache_count(b, &bytes);
		ck_assert_uint_le(bytes, CLUSTER_CACHE_MAX);
		ck_assert_uint_ge(bytes, n << 20);
	}
	ck_assert(has(b, 40, 1));
	ck_assert(!has(b, 20, 1));
	cluster_cache_destroy(b);
}
END_TEST

/* Of a job, what its user has sent: a configuration may be as large as a request. */
static void give_job(struct cached_cluster *p, const char *text)
{
	p->rows.jobs = loom_calloc(1, sizeof(*p->rows.jobs));
	p->rows.n_jobs = 1;
	p->rows.jobs->params.config = json_set_str(json_new_obj(), "a", text);
	p->rows.jobs->params.before = json_set_str(json_new_obj(), "a", text);
	p->rows.jobs->message = loom_strdup(text);
}

static void give_tasks(struct cached_cluster *p, const char *text)
{
	p->rows.tasks = loom_calloc(1, sizeof(*p->rows.tasks));
	p->rows.tasks->v = loom_calloc(3, sizeof(*p->rows.tasks->v));
	for (p->rows.tasks->n = 0; p->rows.tasks->n < 3; p->rows.tasks->n++)
		p->rows.tasks->v[p->rows.tasks->n].message = loom_strdup(text);
}

static void give_loaded(struct cached_cluster *p, const char *text LOOM_UNUSED)
{
	char id[24];
	p->rows.nodes_loaded = map_create(NULL);
	for (int i = 0; i < 20000; i++) {
		snprintf(id, sizeof(id), "%d", i);
		map_set(p->rows.nodes_loaded, id, id);
	}
}

static void (*const given[])(struct cached_cluster *p, const char *text) = { give_job, give_tasks,
	                                                                     give_loaded };

START_TEST(all_that_is_kept_is_counted)
{
	struct cluster_cache *b = cluster_cache_create();
	LOOM_CLEANUP_STR char *text = loom_malloc(1 << 20);
	size_t bytes;
	memset(text, 'x', (1 << 20) - 1);
	text[(1 << 20) - 1] = '\0';
	for (int64_t c = 1; c <= 20; c++) {
		struct cached_cluster *p = cluster_of(c, 1, 1);
		given[_i](p, text);
		cluster_cache_put(b, p);
		size_t n = cluster_cache_count(b, &bytes);
		ck_assert_uint_ge(bytes, n * 3 << 20);
		ck_assert_uint_le(bytes, CLUSTER_CACHE_MAX);
	}
	ck_assert(has(b, 20, 1));
	ck_assert(!has(b, 10, 1));
	cluster_cache_destroy(b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("cluster_cache");
	tcase_add_test(t, rows_are_right_until_another_event);
	tcase_add_test(t, rows_replace_those_of_before);
	tcase_add_test(t, those_not_used_for_longest_make_room);
	tcase_add_test(t, large_documents_make_room);
	tcase_add_loop_test(t, all_that_is_kept_is_counted, 0, LOOM_COUNT(given));
	return UNIT_RUN("cluster_cache", t);
}
