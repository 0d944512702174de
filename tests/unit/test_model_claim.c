/* SPDX-License-Identifier: Apache-2.0 */
/* What a row keeps of a claim's secret, of services of before as well, and whom it lets in. */
#include "common/model/worker/claim.h"

#include "tests/support/unit.h"

#include <string.h>

#define MINE  "0123456789abcdef0123456789abcdef"
#define OTHER "0123456789abcdef0123456789abcdee"

START_TEST(secrets_are_random_and_kept_as_a_hash)
{
	char a[CLAIM_SECRET], b[CLAIM_SECRET], hash[CLAIM_HASH], of_next[CLAIM_HASH];
	claim_secret(a);
	claim_secret(b);
	ck_assert_uint_eq(strlen(a), 32);
	ck_assert_str_ne(a, b);
	claim_hash(a, INT64_MAX, hash);
	claim_hash(a, 1, of_next);
	ck_assert_ptr_null(strstr(hash, a));
	ck_assert_int_eq(strncmp(hash, "9223372036854775807:", 20), 0);
	ck_assert_str_eq(strchr(hash, ':'), strchr(of_next, ':'));
	claim_hash("", 1, hash);
	ck_assert_str_eq(hash, "");
	claim_hash(NULL, 1, hash);
	ck_assert_str_eq(hash, "");
}
END_TEST

/* The hash of the row: of which secret, at which attempt; 0: there is none. */
static const struct {
	const char *plain, *of;
	int64_t at, attempt;
	const char *said;
	bool is;
} rows[] = {
	{ "", MINE, 2, 2, MINE, true },
	{ "", MINE, 2, 2, OTHER, false },
	{ "", MINE, 2, 2, "", false },
	{ "", MINE, 2, 2, NULL, false },
	{ "", MINE, 2, 2, MINE "0", false },
	/* its worker knows none */
	{ "", "", 0, 2, NULL, true },
	{ "", "", 0, 2, "", true },
	{ "", "", 0, 2, OTHER, false },
	/* an older service claimed it since */
	{ "", MINE, 1, 2, NULL, true },
	{ "", MINE, 1, 12, NULL, true },
	{ "", MINE, 1, 2, MINE, false },
	{ OTHER, MINE, 1, 2, OTHER, true },
	{ OTHER, MINE, 1, 2, MINE, false },
	{ OTHER, "", 0, 2, NULL, false },
	{ OTHER, "", 0, 2, "", false },
	{ OTHER, "", 0, 2, OTHER "0", false },
};

START_TEST(a_row_lets_in_who_knows_its_secret)
{
	char hash[CLAIM_HASH];
	claim_hash(rows[_i].of, rows[_i].at, hash);
	const struct claim_kept kept = { rows[_i].plain, hash, rows[_i].attempt };
	ck_assert_int_eq(claim_is(&kept, rows[_i].said), rows[_i].is);
}
END_TEST

START_TEST(what_a_row_keeps_is_no_secret)
{
	char hash[CLAIM_HASH];
	claim_hash(MINE, 3, hash);
	const struct claim_kept kept = { "", hash, 3 };
	ck_assert(!claim_is(&kept, hash));
	ck_assert(!claim_is(&kept, strchr(hash, ':') + 1));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("claim");
	tcase_add_test(t, secrets_are_random_and_kept_as_a_hash);
	tcase_add_loop_test(t, a_row_lets_in_who_knows_its_secret, 0, LOOM_COUNT(rows));
	tcase_add_test(t, what_a_row_keeps_is_no_secret);
	return UNIT_RUN("model_claim", t);
}
