/* SPDX-License-Identifier: Apache-2.0 */
/* Elections: one leader at most, through cuts and lost sessions. */
#include "tests/integration/coord_case.h"

START_TEST(test_election_moves_on)
{
	static const char *const ids[] = { "a", "a-b", "c" }; /* one begins with another */
	struct coord *c[3];
	struct post p[3] = { { 0 } };

	for (int i = 0; i < 3; i++) {
		c[i] = direct();
		coord_elect(c[i], "boss", ids[i], on_leader, &p[i]);
		WAIT(p[0].leader && coord_connected(c[i]));
	}
	run_for(100);
	ck_assert(coord_is_leader(c[0], "boss") && !coord_is_leader(c[0], "unknown"));
	ck_assert(!p[1].leader && !p[2].leader && !coord_is_leader(c[1], "boss"));
	coord_destroy(c[0]);
	WAIT(p[1].leader || p[2].leader);
	int now = p[1].leader ? 1 : 2;
	run_for(100);
	ck_assert(p[now].leader && !p[3 - now].leader);
	coord_destroy(c[3 - now]); /* one that does not lead */
	run_for(100);
	ck_assert(coord_is_leader(c[now], "boss") && p[now].changes == 1);
	coord_destroy(c[now]);
	ck_assert_int_eq(p[now].changes, 1); /* no callback from destroying */
}
END_TEST

START_TEST(test_leader_cut_off)
{
	static const enum relay_mode faults[] = { CUT, STALL };
	struct coord *a = make(relay.address, 2000), *b = direct();
	struct post pa = { 0 }, pb = { 0 };

	coord_elect(a, "boss", "a", on_leader, &pa);
	WAIT(pa.leader);
	coord_elect(b, "boss", "b", on_leader, &pb);
	run_for(100);
	ck_assert(!pb.leader);
	int64_t cut = clock_mono_ms();
	relay_set(&relay, faults[_i]);
	WAIT(!pa.leader);
	ck_assert(!coord_is_leader(a, "boss"));
	ck_assert_int_ge(pa.at - cut,
	                 500); /* two thirds of 2 s, a quarter of a second after the last answer */
	ck_assert(!pb.leader);
	WAIT(pb.leader);
	ck_assert_int_gt(pb.at, pa.at); /* never two at once */
	relay_set(&relay, PASS);
	WAIT(coord_connected(a));
	run_for(200);
	ck_assert(!pa.leader && pb.leader && pb.changes == 1);
	coord_destroy(b);
	WAIT(pa.leader);
	coord_destroy(a);
}
END_TEST

START_TEST(test_leader_survives_short_loss)
{
	struct coord *a = make(relay.address, 8000);
	struct post p = { 0 };

	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader);
	relay_set(&relay, CUT);
	WAIT(!coord_connected(a));
	ck_assert(coord_is_leader(a, "boss"));
	relay_set(&relay, PASS);
	WAIT(coord_connected(a));
	run_for(100);
	ck_assert(p.changes == 1 && coord_is_leader(a, "boss"));
	coord_destroy(a);
}
END_TEST

START_TEST(test_leadership_regained)
{
	struct coord *a = make(relay.address, 3000);
	struct post p = { 0 };

	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader);
	relay_set(&relay, STALL);
	WAIT(!p.leader);
	relay_set(&relay, PASS);
	WAIT(p.leader);
	coord_destroy(a);
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("coord election");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_election_moves_on);
	tcase_add_loop_test(tc, test_leader_cut_off, 0, 2);
	tcase_add_test(tc, test_leader_survives_short_loss);
	tcase_add_test(tc, test_leadership_regained);
	return tc;
}

int main(void)
{
	if (!getenv("LOOM_TEST_ZK")) {
		(void)fprintf(stderr, "test_coord_election: set LOOM_TEST_ZK=127.0.0.1:PORT\n");
		return 1;
	}
	return UNIT_RUN("coord election", cases());
}
