/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idtoken - the claims of the provider's ID token (OpenID Connect Core 1.0, 2 and 3.1.3.7).
 *
 * The gateway receives it directly from the provider by TLS, and checks that it belongs to this
 * login. Its signature is checked by loom-api when the token is used there. Pure.
 */
#ifndef LOOM_GATEWAY_IDTOKEN_H
#define LOOM_GATEWAY_IDTOKEN_H

#include "common/base/err.h"

#include <stdint.h>

#define IDTOKEN_MOST    ((size_t)16 << 10) /* bytes; a session has less room */
#define IDTOKEN_SUBJECT 256

struct idtoken_rules {
	const char *issuer, *client;
	const char *nonce;   /* NULL: not checked */
	const char *subject; /* the user that it must name; NULL: anybody */
	int64_t now;         /* ms since the epoch */
};

struct idtoken {
	char subject[IDTOKEN_SUBJECT];
	int64_t ends; /* ms since the epoch */
};

/* 0, or 400 with err, which names the claim. */
LOOM_MUST_CHECK int idtoken_read(const char *text, const struct idtoken_rules *rules,
                                 struct idtoken *ret, struct loom_err *err);
/* The subject of a token that was checked before. */
void idtoken_subject(const char *text, char ret[IDTOKEN_SUBJECT]);

#endif
