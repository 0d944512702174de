/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt - signed tokens of an OpenID provider (RFC 7519 in the compact form of RFC 7515) and the keys
 * that it publishes (RFC 7517). Any thread; a set is immutable.
 *
 * Signatures are verified by libcjose, which Apache's mod_auth_openidc uses too. It reads published
 * keys itself; libjwt of Debian 12 does not. This module decides which algorithms are accepted: RS,
 * PS and ES with 256, 384 and 512 bits, each only with a key of its kind. So "none" is refused, and
 * so is HS, which would take a public key for a shared secret.
 */
#ifndef LOOM_API_JWT_H
#define LOOM_API_JWT_H

#include "common/json/json.h"

#define JWT_MAX ((size_t)16 << 10) /* bytes of a token */

struct jwk_set;

/* Unsuitable keys (for encryption, symmetric, RSA below 2048 bits, ...) are skipped. 0; 400 with
 * err when the text is not a key set, or has no suitable key. */
LOOM_MUST_CHECK int jwk_set_parse(const char *text, size_t len, struct jwk_set **ret,
                                  struct loom_err *err);
void jwk_set_free(struct jwk_set *s); /* NULL ok */
size_t jwk_set_count(const struct jwk_set *s);

/* Three parts separated by dots: treat it as a signed token, valid or not. */
bool jwt_is_one(const char *text);
/* 0 with the claims, owned; 401 with err; -ENOENT with err if the key may be missing from the set.
 * set NULL: an empty one. */
LOOM_MUST_CHECK int jwt_verify(const struct jwk_set *set, const char *token, struct json **ret,
                               struct loom_err *err);

struct jwt_rules {
	const char *issuer, *audience;
	int64_t now, leeway; /* ms since the epoch; tolerated clock difference in ms */
};
/* Checks issuer, audience and times: 0 and when it ends, ms since the epoch; or 401 with err. */
LOOM_MUST_CHECK int jwt_check(const struct json *claims, const struct jwt_rules *rules,
                              int64_t *ret_ends, struct loom_err *err);

LOOM_DEFINE_CLEANUP(struct jwk_set *, jwk_set_free)

#endif
