/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/cluster_cache.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct cached_cluster *cluster_of(int64_t cluster, int64_t seq, size_t nodes)
{
	struct cached_cluster *p = cached_cluster_create(cluster);
	p->seq = seq;
	p->nodes = loom_calloc(1, sizeof(*p->nodes));
	p->nodes->v = loom_calloc(nodes + 1, sizeof(*p->nodes->v));
	p->nodes->n = nodes;
	for (size_t i = 0; i < nodes; i++) {
		p->nodes->v[i].num = 1000 + (int64_t)i;
		snprintf(p->nodes->v[i].id, sizeof(p->nodes->v[i].id), "id-%zu", i);
	}
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

START_TEST(a_page_is_right_until_another_event)
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

START_TEST(a_page_replaces_the_one_before)
{
	struct cluster_cache *b = cluster_cache_create();
	cluster_cache_put(b, cluster_of(7, 3, 1));
	cluster_cache_put(b, cluster_of(7, 5, 2));
	struct cached_cluster *p = cluster_cache_take(b, 7, 5);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->nodes->n, 2);
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

START_TEST(a_machine_is_found_by_number_and_id)
{
	struct cached_cluster *p = cluster_of(1, 1, 9);
	struct task t = { .node_num = 1004, .node_id = "id-4" };
	ck_assert_ptr_eq(cached_cluster_node(p, &t), &p->nodes->v[4]);
	t.node_num = 1005; /* its number was another machine's before */
	ck_assert_ptr_null(cached_cluster_node(p, &t));
	t.node_num = 1;
	ck_assert_ptr_null(cached_cluster_node(p, &t));
	cached_cluster_free(p);
	p = cached_cluster_create(2);
	ck_assert_ptr_null(cached_cluster_node(p, &t));
	cached_cluster_free(p);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("cluster_cache");
	tcase_add_test(t, a_page_is_right_until_another_event);
	tcase_add_test(t, a_page_replaces_the_one_before);
	tcase_add_test(t, those_not_used_for_longest_make_room);
	tcase_add_test(t, a_machine_is_found_by_number_and_id);
	return UNIT_RUN("cluster_cache", t);
}
