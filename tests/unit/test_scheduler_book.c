/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/book.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct page *page_of(int64_t cluster, int64_t seq, size_t machines)
{
	struct page *p = page_create(cluster);
	p->seq = seq;
	p->nodes = loom_calloc(1, sizeof(*p->nodes));
	p->nodes->v = loom_calloc(machines + 1, sizeof(*p->nodes->v));
	p->nodes->n = machines;
	for (size_t i = 0; i < machines; i++) {
		p->nodes->v[i].num = 1000 + (int64_t)i;
		snprintf(p->nodes->v[i].id, sizeof(p->nodes->v[i].id), "id-%zu", i);
	}
	return p;
}

static bool has(struct book *b, int64_t cluster, int64_t seq)
{
	struct page *p = book_take(b, cluster, seq);
	bool found = p;
	if (p)
		book_put(b, p);
	return found;
}

START_TEST(a_page_is_right_until_another_event)
{
	struct book *b = book_create();
	book_put(b, page_of(7, 3, 1));
	ck_assert(!has(b, 8, 3));
	ck_assert(has(b, 7, 3));
	ck_assert(!has(b, 7, 4)); /* somebody else wrote: it is forgotten */
	ck_assert(!has(b, 7, 3));
	book_destroy(b);
}
END_TEST

START_TEST(a_page_replaces_the_one_before)
{
	struct book *b = book_create();
	book_put(b, page_of(7, 3, 1));
	book_put(b, page_of(7, 5, 2));
	struct page *p = book_take(b, 7, 5);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->nodes->n, 2);
	page_free(p);
	ck_assert(!has(b, 7, 5)); /* it was taken out */
	book_destroy(b);
}
END_TEST

START_TEST(those_not_used_for_longest_make_room)
{
	struct book *b = book_create();
	for (int64_t c = 1; c <= 512; c++)
		book_put(b, page_of(c, 1, 1));
	ck_assert(has(b, 1, 1)); /* used: now 2 is the oldest */
	book_put(b, page_of(1000, 1, 1));
	ck_assert(has(b, 1, 1));
	ck_assert(!has(b, 2, 1));
	ck_assert(has(b, 3, 1));
	book_put(b, page_of(1001, 1, 100000)); /* however large, the last one stays */
	ck_assert(has(b, 1001, 1));
	ck_assert(!has(b, 3, 1));
	book_put(b, page_of(1002, 1, 1));
	ck_assert(!has(b, 1001, 1));
	book_destroy(b);
}
END_TEST

START_TEST(a_machine_is_found_by_number_and_id)
{
	struct page *p = page_of(1, 1, 9);
	struct task t = { .node_num = 1004, .node_id = "id-4" };
	ck_assert_ptr_eq(page_node(p, &t), &p->nodes->v[4]);
	t.node_num = 1005; /* its number was another machine's before */
	ck_assert_ptr_null(page_node(p, &t));
	t.node_num = 1;
	ck_assert_ptr_null(page_node(p, &t));
	page_free(p);
	p = page_create(2);
	ck_assert_ptr_null(page_node(p, &t));
	page_free(p);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("book");
	tcase_add_test(t, a_page_is_right_until_another_event);
	tcase_add_test(t, a_page_replaces_the_one_before);
	tcase_add_test(t, those_not_used_for_longest_make_room);
	tcase_add_test(t, a_machine_is_found_by_number_and_id);
	return UNIT_RUN("book", t);
}
