/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens are made here with libcjose, by keys that are made here, too. */
#include "services/api/request/jwt.h"
#include "tests/support/unit.h"

#include <cjose/cjose.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define B64    sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define CLAIMS "{\"iss\":\"https://id\",\"aud\":\"loom\",\"sub\":\"ann\",\"exp\":2000,\"nbf\":1000}"

static cjose_jwk_t *rsa, *small, *p256, *p384;

static void set_up(void)
{
	rsa = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, NULL);
	small = cjose_jwk_create_RSA_random(1024, (const uint8_t *)"\x01\x00\x01", 3, NULL);
	p256 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	p384 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, NULL);
	ck_assert(rsa && small && p256 && p384);
}

/* A key as it is published, with more members. */
static struct json *published(cjose_jwk_t *k, const char *kid, const char *more)
{
	struct json *v = NULL, *extra = NULL;
	char *text = cjose_jwk_to_json(k, false, NULL);
	ck_assert_int_eq(json_parse_str(text, &v, NULL), 0);
	free(text); /* NOLINT: the library's */
	json_set_str(v, "kid", kid);
	ck_assert_int_eq(json_parse_str(more ? more : "{}", &extra, NULL), 0);
	for (size_t i = 0; i < json_len(extra); i++)
		json_set(v, json_key_at(extra, i), json_copy(json_value_at(extra, i)));
	json_free(extra);
	return v;
}

/* Takes the keys; n of them. */
static int make_set(struct json **keys, size_t n, struct jwk_set **ret)
{
	struct loom_err err;
	LOOM_CLEANUP(json_free) struct json *doc = json_new_obj();
	struct json *list = json_new_arr();
	for (size_t i = 0; i < n; i++)
		json_push(list, keys[i]);
	json_set(doc, "keys", list);
	LOOM_CLEANUP_STR char *text = json_text(doc);
	return jwk_set_parse(text, strlen(text), ret, &err);
}

static struct jwk_set *all_keys(void)
{
	struct jwk_set *set = NULL;
	struct json *keys[] = { published(rsa, "r", NULL), published(p256, "e", NULL),
		                published(p384, "f", NULL) };
	ck_assert_int_eq(make_set(keys, 3, &set), 0);
	ck_assert_uint_eq(jwk_set_count(set), 3);
	return set;
}

static char *sign(cjose_jwk_t *k, const char *alg, const char *kid, const char *claims)
{
	const char *text;
	cjose_header_t *h = cjose_header_new(NULL);
	ck_assert(cjose_header_set(h, CJOSE_HDR_ALG, alg, NULL));
	if (kid)
		ck_assert(cjose_header_set(h, CJOSE_HDR_KID, kid, NULL));
	cjose_jws_t *jws = cjose_jws_sign(k, h, (const uint8_t *)claims, strlen(claims), NULL);
	ck_assert(jws && cjose_jws_export(jws, &text, NULL));
	char *ret = loom_strdup(text);
	cjose_jws_release(jws);
	cjose_header_release(h);
	return ret;
}

static char *encode(const char *text)
{
	size_t n = strlen(text), size = sodium_base64_encoded_len(n, B64);
	char *ret = loom_malloc(size);
	sodium_bin2base64(ret, size, (const unsigned char *)text, n, B64);
	return ret;
}

static int verify(const struct jwk_set *set, const char *token)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free) struct json *claims = NULL;
	int rc = jwt_verify(set, token, &claims, &err);
	if (rc)
		ck_assert(*err.msg && !claims);
	else
		ck_assert_str_eq(json_get_str(claims, "sub"), "ann");
	return rc;
}

/* ---- who has signed it ----------------------------------------------------------------------- */

START_TEST(takes_what_is_signed_right)
{
	static const struct {
		cjose_jwk_t **key;
		const char *alg, *kid;
	} rows[] = {
		{ &rsa, "RS256", "r" },  { &rsa, "RS384", "r" },  { &rsa, "RS512", NULL },
		{ &rsa, "PS256", "r" },  { &p256, "ES256", "e" }, { &p256, "ES256", NULL },
		{ &p384, "ES384", "f" },
	};
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = all_keys();
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		LOOM_CLEANUP_STR char *token = sign(*rows[i].key, rows[i].alg, rows[i].kid, CLAIMS);
		ck_assert_int_eq(verify(set, token), 0);
		/* One character of the claims, then of the signature, is another. */
		char *dot = strchr(token, '.') + 5, *last = strrchr(token, '.') + 5;
		*dot = *dot == 'A' ? 'B' : 'A';
		ck_assert_int_eq(verify(set, token), rows[i].kid ? 401 : -ENOENT);
		LOOM_CLEANUP_STR char *again = sign(*rows[i].key, rows[i].alg, NULL, CLAIMS);
		last = strrchr(again, '.') + 5;
		*last = *last == 'A' ? 'B' : 'A';
		ck_assert_int_eq(verify(set, again), -ENOENT);
	}
}
END_TEST

START_TEST(refuses_other_algorithms)
{
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = all_keys();
	LOOM_CLEANUP_STR char *claims = encode(CLAIMS);
	static const char *const heads[] = {
		"{\"alg\":\"none\"}",
		"{\"alg\":\"None\"}",
		"{\"alg\":\"HS256\",\"kid\":\"r\"}",
		"{\"alg\":\"\"}",
		"{\"kid\":\"r\"}",
		"{\"alg\":[\"RS256\"]}",
		"{\"alg\":256}",
		"{\"alg\":\"rs256\"}",
		"{\"alg\":\"RS256\",\"crit\":[\"b64\"]}",
		"{\"alg\":\"RS256\",\"alg\":\"none\"}",
		"{\"alg\":\"RS256\",\"kid\":7}",
		"[]",
		"",
		"{\"alg\":\"EdDSA\"}",
	};
	for (size_t i = 0; i < LOOM_COUNT(heads); i++) {
		LOOM_CLEANUP_STR char *head = encode(heads[i]);
		LOOM_CLEANUP_STR char *without = loom_asprintf("%s.%s.", head, claims);
		LOOM_CLEANUP_STR char *with = loom_asprintf("%s.%s.AAAA", head, claims);
		ck_assert_int_eq(verify(set, without), 401);
		ck_assert_int_eq(verify(set, with), 401);
	}
}
END_TEST

/* The text of a public key as the secret of an HS256, and that key in the set as a symmetric one.
 */
START_TEST(takes_no_public_key_for_a_secret)
{
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = all_keys();
	char *text = cjose_jwk_to_json(rsa, false, NULL);
	cjose_jwk_t *oct = cjose_jwk_create_oct_spec((const uint8_t *)text, strlen(text), NULL);
	LOOM_CLEANUP_STR char *token = sign(oct, "HS256", "r", CLAIMS);
	ck_assert_int_eq(verify(set, token), 401);
	struct json *keys[] = { json_set_str(json_set_str(json_new_obj(), "kty", "oct"), "k",
		                             "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"),
		                published(rsa, "r", NULL) };
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *mixed = NULL;
	ck_assert_int_eq(make_set(keys, 2, &mixed), 0);
	ck_assert_uint_eq(jwk_set_count(mixed), 1);
	ck_assert_int_eq(verify(mixed, token), 401);
	cjose_jwk_release(oct);
	free(text); /* NOLINT: the library's */
}
END_TEST

START_TEST(keys_are_for_what_they_say)
{
	static const struct {
		const char *more, *alg;
		int want;
	} rows[] = {
		{ "{\"use\":\"sig\"}", "RS256", 0 },
		{ "{\"alg\":\"RS256\"}", "RS256", 0 },
		{ "{\"alg\":\"RS512\"}", "RS256", -ENOENT },
		{ "{\"kid\":\"other\"}", "RS256", -ENOENT },
	};
	LOOM_CLEANUP_STR char *token = sign(rsa, "RS256", "r", CLAIMS);
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = NULL;
		struct json *keys[] = { published(rsa, "r", rows[i].more) };
		ck_assert_int_eq(make_set(keys, 1, &set), 0);
		ck_assert_int_eq(verify(set, token), rows[i].want);
	}
	ck_assert_int_eq(verify(NULL, token), -ENOENT);
	/* Another's key of the same name. */
	cjose_jwk_t *other = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	LOOM_CLEANUP_STR char *foreign = sign(p256, "ES256", "e", CLAIMS);
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = NULL;
	struct json *keys[] = { published(other, "e", NULL) };
	ck_assert_int_eq(make_set(keys, 1, &set), 0);
	ck_assert_int_eq(verify(set, foreign), 401);
	cjose_jwk_release(other);
}
END_TEST

START_TEST(refuses_sets_without_a_good_key)
{
	struct jwk_set *set = NULL;
	struct loom_err err;
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"keys\":{}}",
		"{\"keys\":[]}",
		"{\"keys\":[1,null,\"x\",[],{}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"AA\",\"y\":\"AA\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-999\",\"x\":"
		"\"AQ\",\"y\":\"AQ\"}]}"
	};
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		ck_assert_int_eq(jwk_set_parse(texts[i], strlen(texts[i]), &set, &err), 400);
	struct json *weak[] = { published(small, "r", NULL) };
	ck_assert_int_eq(make_set(weak, 1, &set), 400);
	struct json *sealing[] = { published(rsa, "r", "{\"use\":\"enc\"}") };
	ck_assert_int_eq(make_set(sealing, 1, &set), 400);
	struct json *odd[] = { published(rsa, "r", "{\"e\":\"AQAAAAAAAAAAAAAAAAAAAAAB\"}") };
	ck_assert_int_eq(make_set(odd, 1, &set), 400);
}
END_TEST

START_TEST(refuses_what_is_no_token)
{
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *set = all_keys();
	static const char *const texts[] = {
		"", ".", "..", "...", "a.b.c", "loom_x", "e30.e30.e30"
	};
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		ck_assert_int_eq(verify(set, texts[i]), 401);
	LOOM_CLEANUP_STR char *text = sign(rsa, "RS256", "r", "[1]");
	ck_assert_int_eq(verify(set, text), 401);
	LOOM_CLEANUP_STR char *no_json = sign(rsa, "RS256", "r", "ann");
	ck_assert_int_eq(verify(set, no_json), 401);
	char *large = loom_malloc(JWT_MAX + 2);
	memset(large, 'A', JWT_MAX + 1);
	large[JWT_MAX + 1] = '\0';
	large[10] = large[20] = '.';
	ck_assert_int_eq(verify(set, large), 401);
	loom_free(large);
}
END_TEST

/* ---- what it claims -------------------------------------------------------------------------- */

static const struct {
	const char *claims;
	int want;
	const char *why;
} claimed[] = {
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":1100}", 0, NULL },
	{ "{\"iss\":\"https://id\",\"aud\":[\"x\",\"loom\"],\"exp\":1100.5,\"nbf\":900}", 0, NULL },
	/* Clocks may differ by 60 s. */
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":941,\"nbf\":1060}", 0, NULL },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":940}", 401, "exp" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":1100,\"nbf\":1061}", 401, "nbf" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":1100,\"nbf\":\"900\"}", 401, "nbf" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\"}", 401, "exp" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":\"1100\"}", 401, "exp" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":1e9}", 401, "exp" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":9223372036854775807}", 401, "exp" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loom\",\"exp\":-5}", 401, "exp" },
	{ "{\"iss\":\"https://id/\",\"aud\":\"loom\",\"exp\":1100}", 401, "issuer" },
	{ "{\"iss\":[\"https://id\"],\"aud\":\"loom\",\"exp\":1100}", 401, "issuer" },
	{ "{\"aud\":\"loom\",\"exp\":1100}", 401, "issuer" },
	{ "{\"iss\":\"https://id\",\"aud\":\"loomx\",\"exp\":1100}", 401, "audience" },
	{ "{\"iss\":\"https://id\",\"aud\":[],\"exp\":1100}", 401, "audience" },
	{ "{\"iss\":\"https://id\",\"aud\":{\"loom\":1},\"exp\":1100}", 401, "audience" },
	{ "{\"iss\":\"https://id\",\"exp\":1100}", 401, "audience" },
};

START_TEST(checks_claims)
{
	const struct jwt_rules rules = { "https://id", "loom", 1000000, 60000 };
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	ck_assert_int_eq(json_parse_str(claimed[_i].claims, &v, NULL), 0);
	int64_t ends = 0;
	ck_assert_int_eq(jwt_check(v, &rules, &ends, &err), claimed[_i].want);
	if (claimed[_i].why)
		ck_assert_msg(strstr(err.msg, claimed[_i].why) != NULL, "%s", err.msg);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_unchecked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, takes_what_is_signed_right);
	tcase_add_test(tc, refuses_other_algorithms);
	tcase_add_test(tc, takes_no_public_key_for_a_secret);
	tcase_add_test(tc, keys_are_for_what_they_say);
	tcase_add_test(tc, refuses_sets_without_a_good_key);
	tcase_add_test(tc, refuses_what_is_no_token);
	tcase_add_loop_test(tc, checks_claims, 0, LOOM_COUNT(claimed));
	return UNIT_RUN("api_jwt", tc);
}
