/* SPDX-License-Identifier: Apache-2.0 */
/* What a feed remembers of clusters, and what its readers that are behind have yet to get. */
#include "services/api/watch/feed_known.h"
#include "services/api/watch/feed_late.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#define SUMMARY(status) "{\"id\":\"00000001\",\"name\":\"a\",\"status\":\"" status "\"}"

START_TEST(only_what_differs_is_news)
{
	struct feed_known *k = feed_known_create();
	ck_assert(feed_known_note(k, "1", SUMMARY("pending")));
	ck_assert(!feed_known_note(k, "1", SUMMARY("pending")));
	ck_assert(feed_known_note(k, "2", SUMMARY("pending")));
	ck_assert(feed_known_note(k, "1", SUMMARY("active")));
	ck_assert(!feed_known_note(k, "1", SUMMARY("active")));
	ck_assert(feed_known_note(k, "1", SUMMARY("pending")));
	ck_assert_uint_eq(feed_known_count(k), 2);
	feed_known_destroy(k);
}
END_TEST

START_TEST(clusters_that_have_ended_are_forgotten)
{
	struct feed_known *k = feed_known_create();
	char id[24];
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "%08d", i);
		ck_assert(feed_known_note(k, id, SUMMARY("active")));
		ck_assert(feed_known_note(k, id, SUMMARY("terminated")));
	}
	ck_assert_uint_eq(feed_known_count(k), 0);
	feed_known_destroy(k);
}
END_TEST

/* A user's text or label does not make a cluster what it says. */
static const struct {
	const char *summary;
	bool pending, ended;
} said[] = {
	{ SUMMARY("pending"), true, false },
	{ SUMMARY("active"), false, false },
	{ SUMMARY("terminated"), false, true },
	{ SUMMARY("pendingX"), false, false },
	{ "{\"description\":\"\\\"status\\\":\\\"terminated\\\"\",\"status\":\"pending\"}", true,
	  false },
	{ "{\"status\":\"active\",\"labels\":{\"status\":\"terminated\"}}", false, false },
	{ "{\"status\":\"active\",\"labels\":{\"status\":\"pending\"}}", false, false },
	{ "{}", false, false },
};

START_TEST(the_status_is_the_clusters)
{
	static char there;
	struct feed_known *k = feed_known_create();
	struct map *set = map_create(NULL);
	ck_assert(feed_known_note(k, "1", said[_i].summary));
	feed_known_pending(k, set, &there);
	ck_assert_uint_eq(map_count(set), said[_i].pending);
	ck_assert_uint_eq(feed_known_count(k), !said[_i].ended);
	map_destroy(set);
	feed_known_destroy(k);
}
END_TEST

/* ---- readers that are behind ----------------------------------------------------------------- */

static bool join(const char *json, void *arg)
{
	struct strs *got = arg;
	strs_add(got, json);
	return got->n < 3;
}

static bool put(struct feed_late *l, const char *id, const char *json)
{
	LOOM_CLEANUP(feed_text_unref) struct feed_text *t = feed_text_create(json, strlen(json));
	return feed_late_put(l, id, t);
}

START_TEST(a_late_reader_gets_the_newest_of_each)
{
	struct feed_late *l = feed_late_create();
	LOOM_CLEANUP(strs_fini) struct strs got = { 0 };
	ck_assert(put(l, "1", "one"));
	ck_assert(put(l, "2", "two"));
	ck_assert(put(l, "1", "one, newer"));
	feed_late_give(l, join, &got);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_str_eq(got.v[0], "one, newer");
	ck_assert_str_eq(got.v[1], "two");
	feed_late_give(l, join, &got);
	ck_assert_uint_eq(got.n, 2);
	feed_late_destroy(l);
}
END_TEST

START_TEST(what_is_not_taken_stays)
{
	struct feed_late *l = feed_late_create();
	LOOM_CLEANUP(strs_fini) struct strs got = { 0 };
	char id[24];
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "%d", i);
		ck_assert(put(l, id, id));
	}
	feed_late_give(l, join, &got); /* takes three */
	ck_assert_uint_eq(got.n, 3);
	strs_fini(&got);
	got = (struct strs){ 0 };
	feed_late_give(l, join, &got);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_str_eq(got.v[0], "3");
	feed_late_destroy(l);
}
END_TEST

START_TEST(a_reader_waits_for_so_many_clusters)
{
	struct feed_late *l = feed_late_create();
	char id[24];
	for (int i = 0; i < FEED_LATE_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		ck_assert(put(l, id, "x"));
	}
	ck_assert(!put(l, "another", "x"));
	ck_assert(put(l, "0", "newer"));
	feed_late_destroy(l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("feed");
	tcase_add_test(t, only_what_differs_is_news);
	tcase_add_test(t, clusters_that_have_ended_are_forgotten);
	tcase_add_loop_test(t, the_status_is_the_clusters, 0, LOOM_COUNT(said));
	tcase_add_test(t, a_late_reader_gets_the_newest_of_each);
	tcase_add_test(t, what_is_not_taken_stays);
	tcase_add_test(t, a_reader_waits_for_so_many_clusters);
	return UNIT_RUN("api_feed", t);
}
