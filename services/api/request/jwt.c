/* SPDX-License-Identifier: Apache-2.0 */
/* jwt - parses keys and tokens, verifies signatures through libcjose, and checks claims. */
#include "services/api/request/jwt.h"

#include "common/base/str.h"

#include <cjose/cjose.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define FORM        sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SECONDS_MAX INT64_C(100000000000) /* later times, beyond the year 5000, are invalid */

enum {
	KEYS_MAX = 64,
	SET_MAX = 256 << 10,  /* bytes of a key set */
	KEY_TEXT_MAX = 4096,  /* bytes of one number in it */
	RSA_LEAST = 2048 / 8, /* bytes; NIST SP 800-131A */
	RSA_MOST = 8192 / 8,  /* verifying takes quadratic time */
	EXPONENT_MOST = 8,
	TRIES_MAX = 8, /* keys tried for a token that names none */
};

static const struct alg {
	const char *name, *kty, *crv;
} algs[] = {
	{ "RS256", "RSA", NULL },   { "RS384", "RSA", NULL },   { "RS512", "RSA", NULL },
	{ "PS256", "RSA", NULL },   { "PS384", "RSA", NULL },   { "PS512", "RSA", NULL },
	{ "ES256", "EC", "P-256" }, { "ES384", "EC", "P-384" }, { "ES512", "EC", "P-521" },
};

struct key {
	cjose_jwk_t *jwk;
	char *kid, *kty, *crv, *alg; /* NULL: absent */
};

struct jwk_set {
	struct key v[KEYS_MAX];
	size_t n;
};

/* ---- keys ------------------------------------------------------------------------------------ */

static const char *text_of(const struct json *o, const char *key)
{
	const struct json *v = json_get(o, key);
	return json_is(v, JSON_STRING) && strlen(json_str(v)) == json_str_len(v) ? json_str(v)
	                                                                         : NULL;
}

/* Bytes of a base64url number without leading zeros; 0 if it is not a number. */
static size_t number_bytes(const struct json *jwk, const char *member)
{
	unsigned char bytes[KEY_TEXT_MAX];
	const char *text = text_of(jwk, member);
	size_t n = 0, zeros = 0;
	if (!text || strlen(text) > KEY_TEXT_MAX ||
	    sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, &n, NULL, FORM))
		return 0;
	while (zeros < n && !bytes[zeros])
		zeros++;
	return n - zeros;
}

static bool is_good_rsa(const struct json *jwk)
{
	size_t n = number_bytes(jwk, "n"), e = number_bytes(jwk, "e");
	return n >= RSA_LEAST && n <= RSA_MOST && e && e <= EXPONENT_MOST;
}

static bool is_curve(const char *crv)
{
	for (size_t i = 0; crv && i < LOOM_COUNT(algs); i++) {
		if (str_eq(algs[i].crv, crv))
			return true;
	}
	return false;
}

static bool is_good(const struct json *jwk)
{
	const char *kty = text_of(jwk, "kty"), *use = text_of(jwk, "use");
	if (!kty || (use && !str_eq(use, "sig")))
		return false;
	if (str_eq(kty, "RSA"))
		return is_good_rsa(jwk);
	return str_eq(kty, "EC") && is_curve(text_of(jwk, "crv")) && number_bytes(jwk, "x") &&
	       number_bytes(jwk, "y");
}

/* Passes on only what the signature needs: a private part must not get in. */
static cjose_jwk_t *import(const struct json *jwk)
{
	static const char *const members[] = { "kty", "n", "e", "crv", "x", "y" };
	LOOM_CLEANUP(json_free) struct json *needed = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(members); i++)
		json_set_str(needed, members[i], text_of(jwk, members[i]));
	LOOM_CLEANUP_STR char *text = json_text(needed);
	return cjose_jwk_import(text, strlen(text), NULL);
}

static void add_key(struct jwk_set *s, const struct json *jwk)
{
	cjose_jwk_t *k = s->n < KEYS_MAX && is_good(jwk) ? import(jwk) : NULL;
	if (!k)
		return;
	s->v[s->n++] = (struct key){ .jwk = k,
		                     .kid = loom_strdup(text_of(jwk, "kid")),
		                     .kty = loom_strdup(text_of(jwk, "kty")),
		                     .crv = loom_strdup(text_of(jwk, "crv")),
		                     .alg = loom_strdup(text_of(jwk, "alg")) };
}

int jwk_set_parse(const char *text, size_t len, struct jwk_set **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL;
	int rc = json_parse_few(text, len, SET_MAX, &doc, err);
	const struct json *keys = json_get(doc, "keys");
	if (rc)
		return rc;
	if (!json_is(keys, JSON_ARRAY))
		return err_set(err, 400, "it is not a set of keys: {\"keys\": [...]}");
	LOOM_CLEANUP(jwk_set_free) struct jwk_set *s = loom_calloc(1, sizeof(*s));
	for (size_t i = 0; i < json_len(keys); i++)
		add_key(s, json_at(keys, i));
	if (!s->n)
		return err_set(err, 400,
		               "it has no key for signatures: RSA of at least 2048 bits, or EC");
	*ret = loom_take(s);
	return 0;
}

void jwk_set_free(struct jwk_set *s)
{
	for (size_t i = 0; s && i < s->n; i++) {
		cjose_jwk_release(s->v[i].jwk);
		loom_free(s->v[i].kid);
		loom_free(s->v[i].kty);
		loom_free(s->v[i].crv);
		loom_free(s->v[i].alg);
	}
	loom_free(s);
}

size_t jwk_set_count(const struct jwk_set *s)
{
	return s ? s->n : 0;
}

/* ---- a token's head -------------------------------------------------------------------------- */

struct head {
	const struct alg *alg;
	char *kid; /* NULL: the token names no key */
};

bool jwt_is_one(const char *text)
{
	size_t dots = 0;
	for (const char *p = text; *p; p++)
		dots += *p == '.';
	return dots == 2 && *text != '.';
}

static const struct alg *alg_named(const char *name)
{
	for (size_t i = 0; name && i < LOOM_COUNT(algs); i++) {
		if (str_eq(algs[i].name, name))
			return &algs[i];
	}
	return NULL;
}

static int read_head(const char *token, struct head *ret, struct loom_err *err)
{
	char text[JWT_MAX];
	size_t n = 0;
	LOOM_CLEANUP(json_free) struct json *o = NULL;
	if (strlen(token) > JWT_MAX)
		return err_set(err, 401, "the token is longer than %zu bytes", JWT_MAX);
	if (!jwt_is_one(token) ||
	    sodium_base642bin((unsigned char *)text, sizeof(text), token, strcspn(token, "."), NULL,
	                      &n, NULL, FORM) ||
	    json_parse_few(text, n, sizeof(text), &o, NULL) || !json_is(o, JSON_OBJECT))
		return err_set(err, 401, "the token is not a readable JWT");
	const char *alg = text_of(o, "alg");
	ret->alg = alg_named(alg);
	if (!ret->alg)
		return err_set(err, 401,
		               "the token's algorithm '%.16s' is none of RS, PS and ES with 256, "
		               "384 or 512",
		               alg ? alg : "");
	if (json_get(o, "crit"))
		return err_set(err, 401, "the token has critical extensions, which are not known");
	if (json_get(o, "kid") && !text_of(o, "kid"))
		return err_set(err, 401, "the token's kid is not a text");
	ret->kid = loom_strdup(text_of(o, "kid"));
	return 0;
}

/* ---- the signature --------------------------------------------------------------------------- */

static bool fits(const struct key *k, const struct head *h)
{
	return str_eq(k->kty, h->alg->kty) && (!h->alg->crv || str_eq(k->crv, h->alg->crv)) &&
	       (!k->alg || str_eq(k->alg, h->alg->name)) && (!h->kid || str_eq(k->kid, h->kid));
}

static int claims_of(cjose_jws_t *jws, struct json **ret, struct loom_err *err)
{
	uint8_t *text = NULL;
	size_t n = 0;
	if (!cjose_jws_get_plaintext(jws, &text, &n, NULL) ||
	    json_parse_few((const char *)text, n, JWT_MAX, ret, NULL))
		return err_set(err, 401, "what the token claims cannot be read");
	if (json_is(*ret, JSON_OBJECT))
		return 0;
	json_free(*ret);
	*ret = NULL;
	return err_set(err, 401, "the token's claims are not an object");
}

/* A token that names no key is tried with all suitable keys. */
static int verify_with(const struct jwk_set *set, const struct head *h, const char *token,
                       struct json **ret, struct loom_err *err)
{
	size_t tried = 0;
	for (size_t i = 0; set && i < set->n && tried < TRIES_MAX; i++) {
		if (!fits(&set->v[i], h))
			continue;
		tried++;
		/* Parse anew for each key: libcjose keeps the result of the first verification in
		 * the object. */
		cjose_jws_t *jws = cjose_jws_import(token, strlen(token), NULL);
		bool right = jws && cjose_jws_verify(jws, set->v[i].jwk, NULL);
		int rc = right ? claims_of(jws, ret, err) : 0;
		cjose_jws_release(jws);
		if (right)
			return rc;
	}
	if (tried) {
		(void)err_set(err, 401, "the token's signature is not right");
		return h->kid ? 401 : -ENOENT;
	}
	(void)err_set(err, 401, "the token is signed with a key '%.64s' (%s) that is not known",
	              h->kid ? h->kid : "", h->alg->name);
	return -ENOENT;
}

int jwt_verify(const struct jwk_set *set, const char *token, struct json **ret,
               struct loom_err *err)
{
	struct head h = { 0 };
	*ret = NULL;
	int rc = read_head(token, &h, err);
	loom_assert(rc || h.alg);
	if (!rc)
		rc = verify_with(set, &h, token, ret, err);
	loom_free(h.kid);
	return rc;
}

/* ---- what it claims -------------------------------------------------------------------------- */

static bool is_for(const struct json *aud, const char *who)
{
	if (json_is(aud, JSON_STRING))
		return str_eq(json_str(aud), who);
	return json_arr_has_str(aud, who);
}

/* Seconds since the epoch, possibly with a fraction, to ms. */
static bool time_of(const struct json *claims, const char *name, int64_t *ret)
{
	const struct json *v = json_get(claims, name);
	int64_t whole;
	if (!json_is(v, JSON_NUMBER))
		return false;
	LOOM_CLEANUP_STR char *digits = loom_strndup(json_str(v), strcspn(json_str(v), "."));
	if (strpbrk(json_str(v), "eE") || str_to_int(digits, &whole) || whole < 0 ||
	    whole > SECONDS_MAX)
		return false;
	*ret = whole * 1000;
	return true;
}

int jwt_check(const struct json *claims, const struct jwt_rules *rules, int64_t *ret_ends,
              struct loom_err *err)
{
	int64_t begins;
	const char *issuer = text_of(claims, "iss");
	if (!str_eq(issuer, rules->issuer))
		return err_set(err, 401, "the token's issuer '%.100s' is not %s (oidc_issuer)",
		               issuer ? issuer : "", rules->issuer);
	if (!is_for(json_get(claims, "aud"), rules->audience))
		return err_set(err, 401, "the token is not for the audience %s (oidc_audience)",
		               rules->audience);
	if (!time_of(claims, "exp", ret_ends))
		return err_set(err, 401, "the token does not say when it ends (exp)");
	if (rules->now >= *ret_ends + rules->leeway)
		return err_set(err, 401, "the token has ended (exp)");
	if (!json_get(claims, "nbf"))
		return 0;
	if (!time_of(claims, "nbf", &begins))
		return err_set(err, 401, "the token's nbf is no time");
	return rules->now + rules->leeway >= begins
	               ? 0
	               : err_set(err, 401, "the token is not valid yet (nbf)");
}
