/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "common/model/worker/limit.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	bool ok;
	int64_t creates, calls, window;
} documents[] = {
	{ "{}", true, 0, 0, 0 },
	{ "{\"concurrentCreates\":3}", true, 3, 0, 0 },
	{ "{\"concurrentCreates\":null,\"callsPerSecond\":null}", true, 0, 0, 0 },
	{ "{\"callsPerSecond\":5}", true, 0, 5, 1000 },
	{ "{\"callsPerSecond\":\"5\",\"concurrentCreates\":\"2\"}", true, 2, 5, 1000 },
	{ "{\"callsPerSecond\":0.5}", true, 0, 1, 2000 },
	{ "{\"callsPerSecond\":0.3}", true, 0, 1, 3334 },
	{ "{\"callsPerSecond\":0.001}", true, 0, 1, 1000000 },
	{ "{\"callsPerSecond\":0.0001}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":1.5}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":0}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":-1}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":1001}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":true}", false, 0, 0, 0 },
	{ "{\"callsPerSecond\":\"many\"}", false, 0, 0, 0 },
	{ "{\"concurrentCreates\":0}", false, 0, 0, 0 },
	{ "{\"concurrentCreates\":1.5}", false, 0, 0, 0 },
	{ "{\"concurrentCreates\":[]}", false, 0, 0, 0 },
};

START_TEST(parse)
{
	struct json *doc;
	int64_t creates, calls, window;
	ck_assert_int_eq(json_parse_str(documents[_i].text, &doc, NULL), 0);
	bool ok = limit_parse(doc, &creates, &calls, &window);
	ck_assert_msg(ok == documents[_i].ok, "%s", documents[_i].text);
	if (ok) {
		ck_assert_int_eq(creates, documents[_i].creates);
		ck_assert_int_eq(calls, documents[_i].calls);
		ck_assert_int_eq(window, documents[_i].window);
	}
	json_free(doc);
}
END_TEST

static const struct {
	int64_t creates, running, calls, window;
	const char *log;
	bool create;
	int64_t room, at; /* at 1000000 */
} rooms[] = {
	{ 0, 99, 0, 0, "", true, INT32_MAX, 0 },
	{ 3, 0, 0, 0, "", true, 3, 0 },
	{ 3, 2, 0, 0, "", true, 1, 0 },
	{ 3, 3, 0, 0, "", true, 0, 0 },
	{ 3, 5, 0, 0, "", true, 0, 0 }, /* made smaller meanwhile */
	{ 3, 3, 0, 0, "", false, INT32_MAX, 0 },
	{ 0, 0, 5, 1000, "", false, 5, 0 },
	{ 0, 0, 5, 1000, "999500:3", false, 2, 0 },
	{ 0, 0, 5, 1000, "999500:3,999600:2", false, 0, 1000500 },
	{ 0, 0, 5, 1000, "999000:3,999600:2", false, 3, 0 }, /* a second ago is over */
	{ 0, 0, 5, 1000, "999001:3,999600:2", false, 0, 1000001 },
	{ 0, 0, 5, 1000, "1000100:5", false, 5, 0 }, /* of a clock that was set back */
	{ 0, 0, 1, 2000, "998500:1", false, 0, 1000500 },
	{ 4, 1, 5, 1000, "999500:3", true, 2, 0 },
	{ 4, 3, 5, 1000, "999500:3", true, 1, 0 },
	{ 4, 4, 5, 1000, "999500:5", true, 0, 1000500 },
	{ 0, 0, 5, 1000, "nonsense", false, 5, 0 },
};

START_TEST(room)
{
	LOOM_CLEANUP_STR char *log = loom_strdup(rooms[_i].log);
	struct limit l = { .creates = rooms[_i].creates,
		           .running = rooms[_i].running,
		           .calls_max = rooms[_i].calls,
		           .window_ms = rooms[_i].window,
		           .calls = log };
	int64_t at;
	ck_assert_int_eq(limit_room(&l, rooms[_i].create, 1000000, &at), rooms[_i].room);
	ck_assert_int_eq(at, rooms[_i].at);
}
END_TEST

/* Whatever comes when: never more than five in any window, and never fewer than could be. */
START_TEST(never_more)
{
	struct limit l = { .calls_max = 5, .window_ms = 1000 };
	int64_t begun[4000], n = 0, at, full = 0;
	srand(7);
	for (int64_t now = 1; now < 20000; now += rand() % 40) {
		int64_t want = rand() % 3, can = limit_room(&l, false, now, &at);
		int64_t recent = 0;
		for (int64_t i = 0; i < n; i++)
			recent += begun[i] > now - 1000;
		ck_assert_int_eq(can, 5 - recent);
		full += !can;
		if (!can)
			ck_assert_int_eq(at, begun[n - 5] + 1000);
		for (int64_t i = 0; i < want && i < can; i++) {
			limit_note(&l, now, 1);
			begun[n++] = now;
		}
	}
	ck_assert_int_gt(n, 80);
	ck_assert_int_gt(full, 80);
	ck_assert_uint_lt(strlen(l.calls), 200);
	loom_free(l.calls);
}
END_TEST

START_TEST(gates)
{
	struct limit v[] = { { .tenant = "A", .provider = "x:y" },
		             { .tenant = "B", .provider = "z" } };
	struct limits ls = { v, 2 };
	char gate[TASK_GATE_MAX];
	task_gate("CREATE", "x:y", gate);
	ck_assert_str_eq(gate, "create:x:y");
	ck_assert_ptr_eq(limits_of_gate(&ls, "A", gate), &v[0]);
	ck_assert_ptr_null(limits_of_gate(&ls, "B", gate));
	task_gate("CONFIRM", "z", gate);
	ck_assert_ptr_eq(limits_of_gate(&ls, "B", gate), &v[1]);
	task_gate("DELETE", "z", gate);
	ck_assert_str_eq(gate, "call:z");
	task_gate("INSTALL", "z", gate);
	ck_assert_str_eq(gate, "");
	task_gate("CREATE", NULL, gate);
	ck_assert_str_eq(gate, "");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("limit");
	tcase_add_loop_test(t, parse, 0, (int)LOOM_COUNT(documents));
	tcase_add_loop_test(t, room, 0, (int)LOOM_COUNT(rooms));
	tcase_add_test(t, never_more);
	tcase_add_test(t, gates);
	return UNIT_RUN("limit", t);
}
