/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets taken out of texts, however these are cut, beside a plain search as the reference. */
#include "common/json/redact.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#define MASK REDACT_MASK
#define FOUR "0123456789abcdef"
#define LONG FOUR "-1-" FOUR "-2-" FOUR "-3-" FOUR "-4-" FOUR "-5-" FOUR

static struct redact *set_of(const char *const *secrets, size_t n)
{
	struct redact *r = redact_create();
	for (size_t i = 0; i < n && secrets[i]; i++)
		redact_add(r, secrets[i]);
	redact_compile(r);
	return r;
}

static const struct {
	const char *secrets[4];
	const char *text, *want;
} rows[] = {
	{ { "hunter2" }, "the password is hunter2.\n", "the password is " MASK ".\n" },
	{ { "hunter2" }, "hunter2", MASK },
	{ { "hunter2" }, "hunterhunter2hunter", "hunter" MASK "hunter" },
	{ { "hunter2" }, "hunter", "hunter" },
	{ { "hunter2" }, "", "" },
	/* side by side it is one mask, with something between them two */
	{ { "hunter2" }, "hunter2hunter2 hunter2", MASK " " MASK },
	/* of those that overlap, or hold another, all is gone */
	{ { "abcabcab", "cabxyz" }, "<abcabcabcabxyz>", "<" MASK ">" },
	{ { "hunter2", "hunter2-of-root" }, "hunter2-of-root hunter2-of", MASK " " MASK "-of" },
	{ { "unter2", "hunter2-of-root" }, "hunter2-of-roof", "h" MASK "-of-roof" },
	{ { "aaaaaa" }, "aaaaabaaaaaaab", "aaaaab" MASK "b" },
	/* too short to be told from anything else */
	{ { "a", "short", "" }, "a short cat", "a short cat" },
	{ { NULL }, "nothing to hide", "nothing to hide" },
	/* as JSON writes it, too */
	{ { "say \"hi\"\\" },
	  "say \"hi\"\\ or {\"a\":\"say \\\"hi\\\"\\\\\"}",
	  MASK " or {\"a\":\"" MASK "\"}" },
	/* line by line */
	{ { "-----BEGIN\r\nMIIEow\nx\n-----END\n" },
	  "+ MIIEow\n-----BEGIN\\nMIIEow\\nx\\n",
	  "+ " MASK "\n" MASK "\\n" MASK "\\nx\\n" },
	{ { "one\ntwo\n" }, "one\ntwo\n one\\ntwo\\n one", MASK " " MASK " one" },
	/* long ones in pieces */
	{ { LONG }, "(" LONG ")", "(" MASK ")" },
	{ { LONG LONG LONG }, LONG LONG LONG "0", MASK "0" },
	{ { "passwört-für-alle" }, "é passwört-für-alle é", "é " MASK " é" },
};

static char *in_parts(const struct redact *r, const char *text, size_t first, size_t each)
{
	struct redact_stream s = { .of = r };
	struct buf out = BUF_INIT(1u << 16);
	size_t len = strlen(text);
	redact_feed(&s, text, first, &out);
	for (size_t i = first; i < len; i += each)
		redact_feed(&s, text + i, i + each < len ? each : len - i, &out);
	redact_end(&s, &out);
	return buf_take(&out);
}

START_TEST(secrets_are_masked_wherever_the_text_is_cut)
{
	LOOM_CLEANUP(redact_destroy) struct redact *r = set_of(rows[_i].secrets, 4);
	LOOM_CLEANUP_STR char *whole = redact_text(r, rows[_i].text);
	ck_assert_str_eq(whole, rows[_i].want);
	for (size_t first = 0; first <= strlen(rows[_i].text); first++) {
		for (size_t each = 1; each < 4; each++) {
			LOOM_CLEANUP_STR char *out = in_parts(r, rows[_i].text, first, each);
			ck_assert_str_eq(out, rows[_i].want);
		}
	}
}
END_TEST

/* What a plain search finds, in the same form. */
static char *reference(const char *const *secrets, size_t n, const char *text)
{
	size_t len = strlen(text);
	char *covered = loom_calloc(len + 1, 1);
	struct buf out = BUF_INIT(1u << 16);
	for (size_t i = 0; i < n; i++) {
		for (const char *at = text; (at = strstr(at, secrets[i])); at++)
			memset(covered + (at - text), 1, strlen(secrets[i]));
	}
	for (size_t i = 0; i < len; i++) {
		if (!covered[i])
			buf_addc(&out, text[i]);
		else if (!i || !covered[i - 1])
			buf_adds(&out, MASK);
	}
	loom_free(covered);
	return buf_take(&out);
}

static char *random_text(unsigned *seed, size_t len)
{
	char *s = loom_calloc(len + 1, 1);
	for (size_t i = 0; i < len; i++)
		s[i] = (char)('a' + rand_r(seed) % 2);
	return s;
}

START_TEST(finds_what_a_plain_search_finds)
{
	unsigned seed = (unsigned)_i;
	char *secrets[5];
	for (size_t i = 0; i < LOOM_COUNT(secrets); i++)
		secrets[i] = random_text(&seed, REDACT_MIN + (size_t)rand_r(&seed) % 6);
	LOOM_CLEANUP_STR char *text = random_text(&seed, 400);
	const char *const *all = (const char *const *)secrets;
	LOOM_CLEANUP(redact_destroy) struct redact *r = set_of(all, LOOM_COUNT(secrets));
	LOOM_CLEANUP_STR char *want = reference(all, LOOM_COUNT(secrets), text);
	LOOM_CLEANUP_STR char *out =
		in_parts(r, text, (size_t)rand_r(&seed) % 300, 1 + (size_t)rand_r(&seed) % 50);
	ck_assert_str_eq(out, want);
	for (size_t i = 0; i < LOOM_COUNT(secrets); i++)
		loom_free(secrets[i]);
}
END_TEST

START_TEST(documents_are_copied_without_them)
{
	LOOM_CLEANUP(json_free)
	struct json *secret =
		unit_json("{'a':'hunter2','b':['letmein',12345678,true,'no'],'c':null}");
	LOOM_CLEANUP(redact_destroy) struct redact *r = redact_create();
	redact_add_json(r, secret);
	redact_add_json(r, NULL);
	redact_compile(r);
	LOOM_CLEANUP(json_free)
	struct json *v = unit_json("{'x':['is hunter2','no',{'letmein':'12345678'}],'n':12345678,"
	                           "'login':{'password':'hunter2'}}");
	LOOM_CLEANUP(json_free) struct json *out = redact_json(r, v, "login");
	LOOM_CLEANUP(json_free)
	struct json *want = unit_json("{'x':['is ********','no',{'********':'********'}],"
	                              "'n':12345678,'login':{'password':'hunter2'}}");
	ck_assert(json_equal(out, want));
	LOOM_CLEANUP_STR char *nothing = redact_text(NULL, NULL);
	ck_assert_ptr_null(nothing);
	ck_assert(redact_is_empty(NULL) && !redact_is_empty(r));
}
END_TEST

/* What is beyond the limit is left as it is, and costs nothing. */
START_TEST(secrets_have_a_limit)
{
	LOOM_CLEANUP(redact_destroy) struct redact *r = redact_create();
	char *text = loom_calloc(REDACT_BYTES + 1, 1);
	for (size_t i = 0; i < REDACT_BYTES; i++)
		text[i] = (char)('0' + (i * i / 64) % 64);
	redact_add(r, "hunter2");
	redact_add(r, text);
	redact_add(r, text);
	redact_compile(r);
	LOOM_CLEANUP_STR char *out = redact_text(r, "hunter2");
	ck_assert_str_eq(out, MASK);
	loom_free(text);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("redact");
	tcase_add_loop_test(t, secrets_are_masked_wherever_the_text_is_cut, 0, LOOM_COUNT(rows));
	tcase_add_loop_test(t, finds_what_a_plain_search_finds, 0, 200);
	tcase_add_test(t, documents_are_copied_without_them);
	tcase_add_test(t, secrets_have_a_limit);
	return UNIT_RUN("json_redact", t);
}
