/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ui-gateway/cookie.h"
#include "services/ui-gateway/idtoken.h"
#include "services/ui-gateway/rules.h"
#include "services/ui-gateway/ticket.h"
#include "tests/support/unit.h"

#include <sodium.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

/* ---- cookies --------------------------------------------------------------------------------- */

static const struct {
	const char *header, *value;
} cookies[] = {
	{ NULL, NULL },          { "", NULL },
	{ "c=abc", "abc" },      { "a=b; c=x.y-z_0; d=e", "x.y-z_0" },
	{ "a=b;c=x", "x" },      { "cc=abc", NULL },
	{ "a=c=abc", NULL },     { "c=", NULL },
	{ "c", NULL },           { "c=a b", NULL },
	{ "c=\"abc\"", NULL },   { "c=a%0d", NULL },
	{ "c=a\xc3\xbc", NULL }, { "c=1234567", "1234567" },
	{ "c=12345678", NULL }, /* longer than is asked for */
	{ ";;; c=q;", "q" },     { "c=a; c=b", "a" },
};

START_TEST(finds_cookies)
{
	LOOM_CLEANUP_STR char *value = cookie_get(cookies[_i].header, "c", 7);
	ck_assert_pstr_eq(value, cookies[_i].value);
}
END_TEST

static const struct {
	const char *header, *value;
} pieces[] = {
	{ "c=1.abc", "abc" },
	{ "c=1.abc; c_2=left.over", "abc" },
	{ "c=2.abc; c_2=def", "abcdef" },
	{ "c_3=3; c_2=2; c=3.1", "123" },
	{ "c=2.abc", NULL },
	{ "c=3.a; c_3=b", NULL },
	{ "c=4.a; c_2=b; c_3=c; c_4=d", NULL },
	{ "c=0.abc", NULL },
	{ "c=abc", NULL },
	{ "c=1abc", NULL },
	{ "c=.abc", NULL },
	{ "c_2=abc", NULL },
	{ NULL, NULL },
};

START_TEST(finds_long_cookies)
{
	LOOM_CLEANUP_STR char *value = cookie_get_long(pieces[_i].header, "c");
	ck_assert_pstr_eq(value, pieces[_i].value);
}
END_TEST

/* As a browser sends them back: name=value of each that has one. */
static char *sent_back(const struct strs *set)
{
	struct buf b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < set->n; i++) {
		if (!strstr(set->v[i], "Max-Age=0"))
			buf_add(&b, set->v[i], strcspn(set->v[i], ";") + 1);
	}
	return buf_take(&b);
}

static const size_t lengths[] = { 1, COOKIE_PIECE, COOKIE_PIECE + 1, 2 * COOKIE_PIECE,
	                          COOKIE_MOST };

START_TEST(cuts_long_cookies)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	char value[COOKIE_MOST + 1];
	size_t n = lengths[_i];
	for (size_t i = 0; i < n; i++)
		value[i] = (char)('a' + i % 26);
	value[n] = '\0';
	ck_assert(cookie_put_long(&set, "loom_login", value, "Path=/"));
	ck_assert_uint_eq(set.n, COOKIE_PIECES); /* one that is not needed is forgotten */
	for (size_t i = 0; i < set.n; i++) {
		ck_assert_uint_le(strcspn(set.v[i], ";"), 4096);
		ck_assert_ptr_nonnull(strstr(set.v[i], "; Path=/"));
	}
	LOOM_CLEANUP_STR char *header = sent_back(&set);
	LOOM_CLEANUP_STR char *back = cookie_get_long(header, "loom_login");
	ck_assert_pstr_eq(back, value);
}
END_TEST

START_TEST(refuses_what_is_too_long)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	char value[COOKIE_MOST + 2];
	memset(value, 'a', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	ck_assert(!cookie_put_long(&set, "c", value, "Path=/"));
	ck_assert(!cookie_put_long(&set, "c", "", "Path=/"));
	ck_assert_uint_eq(set.n, 0);
}
END_TEST

/* ---- where one may be sent to ---------------------------------------------------------------- */

static const struct {
	const char *path;
	bool ok;
} paths[] = {
	{ "/", true },
	{ "/#/clusters/00000001", true },
	{ "/index.html?a=//b#c", true },
	{ "/%5cevil.example", true },
	{ "", false },
	{ "index.html", false },
	{ "//evil.example", false },
	{ "/\\evil.example", false },
	{ "\\\\evil.example", false },
	{ "/a\\..\\b", false },
	{ "https://evil.example/", false },
	{ "javascript:alert(1)", false },
	{ "/\t/evil.example", false },
	{ "/a\r\nSet-Cookie: a=b", false },
	{ " /", false },
	{ "/\xc3\xbc", false },
};

START_TEST(stays_on_its_site)
{
	ck_assert_msg(rules_is_local(paths[_i].path) == paths[_i].ok, "%s", paths[_i].path);
}
END_TEST

START_TEST(refuses_long_paths)
{
	char path[RULES_PATH_MAX + 2];
	memset(path, '/', 1);
	memset(path + 1, 'a', RULES_PATH_MAX);
	path[RULES_PATH_MAX] = '\0';
	ck_assert(rules_is_local(path));
	path[RULES_PATH_MAX] = 'a';
	path[RULES_PATH_MAX + 1] = '\0';
	ck_assert(!rules_is_local(path));
}
END_TEST

/* ---- ID tokens ------------------------------------------------------------------------------- */

static char *token_of(const char *claims)
{
	size_t n = strlen(claims);
	size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	LOOM_CLEANUP_STR char *text = loom_malloc(room);
	sodium_bin2base64(text, room, (const unsigned char *)claims, n,
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return loom_asprintf("e30.%s.c2ln", text);
}

#define GOOD "\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":1700000060"

/* word NULL: it is right; else what the refusal names. */
static const struct {
	const char *claims, *word;
} claims[] = {
	{ "{" GOOD ",\"aud\":\"loom\"}", NULL },
	{ "{" GOOD ",\"aud\":[\"other\",\"loom\"],\"azp\":\"loom\"}", NULL },
	{ "{" GOOD ",\"aud\":[\"loom\"],\"more\":{\"a\":[1]}}", NULL },
	{ "{" GOOD ",\"aud\":\"other\"}", "oidc_client_id" },
	{ "{" GOOD ",\"aud\":[\"other\"]}", "oidc_client_id" },
	{ "{" GOOD ",\"aud\":{\"loom\":1}}", "oidc_client_id" },
	{ "{" GOOD "}", "oidc_client_id" },
	{ "{" GOOD ",\"aud\":[\"loom\",\"other\"],\"azp\":\"other\"}", "azp" },
	{ "{" GOOD ",\"aud\":\"loom\",\"azp\":7}", "azp" },
	{ "{\"iss\":\"https://evil\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":1700000060,"
	  "\"aud\":\"loom\"}",
	  "oidc_issuer" },
	{ "{\"iss\":\"https://id/\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":1700000060,"
	  "\"aud\":\"loom\"}",
	  "oidc_issuer" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"exp\":1700000060,\"aud\":\"loom\"}", "nonce" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n2\",\"exp\":1700000060,"
	  "\"aud\":\"loom\"}",
	  "nonce" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\\u0000\",\"exp\":1700000060,"
	  "\"aud\":\"loom\"}",
	  "nonce" },
	{ "{\"iss\":\"https://id\",\"nonce\":\"n1\",\"exp\":1700000060,\"aud\":\"loom\"}", "sub" },
	{ "{\"iss\":\"https://id\",\"sub\":\"amy\",\"nonce\":\"n1\",\"exp\":1700000060,"
	  "\"aud\":\"loom\"}",
	  "another user" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"aud\":\"loom\"}", "exp" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":\"1700000060\","
	  "\"aud\":\"loom\"}",
	  "exp" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":-5,\"aud\":\"loom\"}",
	  "exp" },
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":1699999940.5,"
	  "\"aud\":\"loom\"}",
	  "clocks" }, /* a minute ago */
	{ "{\"iss\":\"https://id\",\"sub\":\"ann\",\"nonce\":\"n1\",\"exp\":1699999941.5,"
	  "\"aud\":\"loom\"}",
	  NULL },
	{ "[]", "JWT" },
	{ "{", "JWT" },
	{ "", "JWT" },
};

static const struct idtoken_rules rules = { "https://id", "loom", "n1", "ann", NOW };

START_TEST(reads_tokens)
{
	struct loom_err err = { 0 };
	struct idtoken found = { 0 };
	LOOM_CLEANUP_STR char *token = token_of(claims[_i].claims);
	int rc = idtoken_read(token, &rules, &found, &err);
	if (claims[_i].word) {
		ck_assert_int_eq(rc, 400);
		ck_assert_msg(strstr(err.msg, claims[_i].word), "%s", err.msg);
		return;
	}
	ck_assert_msg(rc == 0, "%s", err.msg);
	ck_assert_str_eq(found.subject, "ann");
	ck_assert_int_ge(found.ends, NOW - 60000);
	char subject[IDTOKEN_SUBJECT];
	idtoken_subject(token, subject);
	ck_assert_str_eq(subject, "ann");
}
END_TEST

START_TEST(refuses_what_is_no_token)
{
	static const char *const bad[] = { "",      "a",     "a.b",      "..",     ".e30.x",
		                           "a.b.c", "a.!.c", "a.e30.b.", "e30.e30" };
	struct loom_err err = { 0 };
	struct idtoken found;
	for (size_t i = 0; i < LOOM_COUNT(bad); i++) {
		ck_assert_int_eq(idtoken_read(bad[i], &rules, &found, &err), 400);
	}
	char *long_one = loom_malloc(IDTOKEN_MOST + 2);
	memset(long_one, 'a', IDTOKEN_MOST + 1);
	memcpy(long_one, "e30.e30.", 8);
	long_one[IDTOKEN_MOST + 1] = '\0';
	ck_assert_int_eq(idtoken_read(long_one, &rules, &found, &err), 400);
	loom_free(long_one);
}
END_TEST

/* ---- what is sealed -------------------------------------------------------------------------- */

static const struct seal_key key = { true, { 1, 2, 3 } }, other_key = { true, { 1, 2, 4 } },
			     no_key = { 0 };

START_TEST(keeps_sessions)
{
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s = ticket_session_new("a.b.c", "r\"1");
	s->began = 1;
	s->issued = 1000;
	s->ends = 5000;
	LOOM_CLEANUP_STR char *sealed = ticket_session_seal(&key, s);
	ck_assert_ptr_null(strstr(sealed, "a.b.c"));
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *back = ticket_session_open(&key, sealed);
	ck_assert_ptr_nonnull(back);
	ck_assert_str_eq(back->id, s->id);
	ck_assert_str_eq(back->token, "a.b.c");
	ck_assert_str_eq(back->renewal, "r\"1");
	ck_assert_int_eq(back->began, 1);
	ck_assert_int_eq(back->issued, 1000);
	ck_assert_int_eq(back->ends, 5000);
	/* a quarter of its time before the end */
	ck_assert(!ticket_session_is_due(back, 3999));
	ck_assert(ticket_session_is_due(back, 4000));
	ck_assert(ticket_session_is_due(back, 9000));
	ck_assert_ptr_null(ticket_session_open(&other_key, sealed));
	ck_assert_ptr_null(ticket_session_open(&no_key, sealed));
	ck_assert_ptr_null(ticket_attempt_open(&key, sealed));
}
END_TEST

START_TEST(sessions_without_renewal)
{
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s = ticket_session_new("a.b.c", NULL);
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *other = ticket_session_new("a.b.c", NULL);
	LOOM_CLEANUP_STR char *sealed = ticket_session_seal(&key, s);
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *back = ticket_session_open(&key, sealed);
	ck_assert_ptr_null(back->renewal);
	ck_assert(!ticket_session_is_due(back, NOW));
	ck_assert_str_ne(s->id, other->id);
}
END_TEST

/* Every text that differs from a sealed one in a character, or is cut, is none. */
START_TEST(refuses_broken_ones)
{
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s = ticket_session_new("a.b.c", "r");
	LOOM_CLEANUP_STR char *sealed = ticket_session_seal(&key, s);
	size_t n = strlen(sealed);
	for (size_t i = 0; i < n; i++) {
		char before = sealed[i];
		sealed[i] = before == 'A' ? 'B' : 'A';
		ck_assert_ptr_null(ticket_session_open(&key, sealed));
		sealed[i] = '\0';
		ck_assert_ptr_null(ticket_session_open(&key, sealed));
		sealed[i] = before;
	}
	LOOM_CLEANUP_STR char *longer = loom_asprintf("%sAAAA", sealed);
	ck_assert_ptr_null(ticket_session_open(&key, longer));
	/* sealed with our key, and of this kind, but not whole */
	static const char *const docs[] = { "",
		                            "{}",
		                            "[]",
		                            "{\"token\":\"a\"}",
		                            "{\"id\":\"short\",\"token\":\"a\"}",
		                            "{\"id\":\"0123456789abcdef0123456789abcdef\"}" };
	for (size_t i = 0; i < LOOM_COUNT(docs); i++) {
		LOOM_CLEANUP_STR char *odd = seal_text(&key, "login session", docs[i]);
		ck_assert_ptr_null(ticket_session_open(&key, odd));
	}
	LOOM_CLEANUP_STR char *half = seal_text(&key, "login attempt", "{\"state\":\"a\"}");
	ck_assert_ptr_null(ticket_attempt_open(&key, half));
}
END_TEST

START_TEST(keeps_attempts)
{
	LOOM_CLEANUP(ticket_attempt_free)
	struct ticket_attempt *a = ticket_attempt_new("https://loom/login/callback", "/#/x", 77);
	LOOM_CLEANUP(ticket_attempt_free)
	struct ticket_attempt *b = ticket_attempt_new("r", "/", 1);
	LOOM_CLEANUP_STR char *sealed = ticket_attempt_seal(&key, a);
	LOOM_CLEANUP(ticket_attempt_free)
	struct ticket_attempt *back = ticket_attempt_open(&key, sealed);
	ck_assert_ptr_nonnull(back);
	ck_assert_str_eq(back->nonce, a->nonce);
	ck_assert_str_eq(back->verifier, a->verifier);
	ck_assert_str_eq(back->redirect, "https://loom/login/callback");
	ck_assert_str_eq(back->to, "/#/x");
	ck_assert_int_eq(back->ends, 77);
	ck_assert(ticket_attempt_is(back, a->state));
	ck_assert(!ticket_attempt_is(back, b->state));
	ck_assert(!ticket_attempt_is(back, NULL));
	ck_assert(!ticket_attempt_is(back, ""));
	ck_assert_str_ne(a->state, a->nonce);
	ck_assert_uint_eq(strlen(a->verifier), 43); /* RFC 7636, 4.1: 43 to 128 */
	ck_assert_ptr_null(ticket_session_open(&key, sealed));
	ck_assert_ptr_null(ticket_attempt_open(&other_key, sealed));
}
END_TEST

/* RFC 7636, appendix B */
START_TEST(makes_challenges)
{
	LOOM_CLEANUP_STR char *text =
		ticket_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	ck_assert_str_eq(text, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pure");
	tcase_add_loop_test(tc, finds_cookies, 0, LOOM_COUNT(cookies));
	tcase_add_loop_test(tc, finds_long_cookies, 0, LOOM_COUNT(pieces));
	tcase_add_loop_test(tc, cuts_long_cookies, 0, LOOM_COUNT(lengths));
	tcase_add_test(tc, refuses_what_is_too_long);
	tcase_add_loop_test(tc, stays_on_its_site, 0, LOOM_COUNT(paths));
	tcase_add_test(tc, refuses_long_paths);
	tcase_add_loop_test(tc, reads_tokens, 0, LOOM_COUNT(claims));
	tcase_add_test(tc, refuses_what_is_no_token);
	tcase_add_test(tc, keeps_sessions);
	tcase_add_test(tc, sessions_without_renewal);
	tcase_add_test(tc, refuses_broken_ones);
	tcase_add_test(tc, keeps_attempts);
	tcase_add_test(tc, makes_challenges);
	return UNIT_RUN("gateway_login", tc);
}
