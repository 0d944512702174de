/* SPDX-License-Identifier: Apache-2.0 */
/* When leases may end, by what sweeps see: a sweep each second, for a letter each.
 *
 * .  quick and well
 * s  slow
 * f  no answer
 * w  its writes fail
 * +  the database's clock was set forward
 *
 * In capitals nobody's heartbeat is stored.
 */
#include "services/scheduler/job/renewals.h"
#include "tests/support/unit.h"

#include <ctype.h>
#include <string.h>

enum { LEASE = 8000, LONG = 100 };

/* Sees one sweep, and returns whether it may end leases. */
static bool sweep(struct renewals *r, char what, int64_t *now)
{
	char kind = (char)tolower(what);
	struct renewals_look look = { .asked = *now,
		                      .answered = *now + (kind == 's' ? 1500 : 10),
		                      .failed = kind == 'f',
		                      .step = kind == '+' ? 3600000 : 0,
		                      .silence = what == kind ? 2000 : 600000 };
	renewals_see(r, &look, LEASE);
	r->write_failed = kind == 'w';
	*now += 1000;
	return renewals_for(r, look.answered, LEASE);
}

/* After `before`, `again` repeated: the number of sweeps until leases may end; -1: never. */
static const struct {
	const char *before, *again;
	int from, to;
} cases[] = {
	{ "", ".", 0, 0 },
	{ "f", ".", 7, 8 },
	{ "ffffffffff", ".", 7, 8 },
	{ "s", ".", 7, 9 }, /* a stall: all have a whole lease */
	{ "sss", ".", 7, 9 },
	{ "w.", ".", 7, 8 },
	{ "..+", ".", 7, 8 },
	{ "", "f", -1, -1 },        /* away: nobody can renew */
	{ "s", "s", 31, 42 },       /* slow for ever, but heartbeats come */
	{ "s", "s......", 31, 46 }, /* often enough to be never over */
	{ "w", "w", 31, 42 },       /* one cluster stays locked */
	{ "S", "S", -1, -1 },       /* slow, and nobody is heard */
	{ "W", "W", -1, -1 },       /* a full disk */
	{ "ssssssssssssssssssssssssssssssssssssssssssff", ".", 7, 8 }, /* an outage after that */
	{ "ssssssssssssssssssssssssssssssssssssssssssff", "s", 31, 42 },
	{ "ffffffffffffffffffffffffffffffffffffffffffff", "s", 31,
	  42 }, /* a slow start after one */
};

START_TEST(leases_end_when_they_could_be_renewed)
{
	struct renewals r = { 0 };
	int64_t now = 1000000;
	int n = 0;
	for (const char *at = cases[_i].before; *at; at++)
		(void)sweep(&r, *at, &now);
	while (n < LONG && !sweep(&r, cases[_i].again[(size_t)n % strlen(cases[_i].again)], &now))
		n++;
	n = n == LONG ? -1 : n;
	ck_assert_msg(n >= cases[_i].from && n <= cases[_i].to, "\"%s\" and then \"%s\": %d",
	              cases[_i].before, cases[_i].again, n);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("renewals");
	tcase_add_loop_test(tc, leases_end_when_they_could_be_renewed, 0,
	                    sizeof(cases) / sizeof(cases[0]));
	return UNIT_RUN("scheduler_renewals", tc);
}
