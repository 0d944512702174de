/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - a server's certificate and key, and the authorities of the clients it accepts, from files
 * that are read again when they change.
 *
 * TLS 1.2 and 1.3, no renegotiation, no resumption. Existing connections keep the files they began
 * with. Unusable files are logged, and the previous ones stay in force. On the loop's thread unless
 * stated otherwise.
 */
#ifndef LOOM_NET_TLS_H
#define LOOM_NET_TLS_H

#include "common/base/config.h"
#include "common/base/str.h"
#include "common/net/loop.h"

struct ssl_st;
struct tls;

/* Names of files in PEM; "" for none. */
struct tls_config {
	char *certificate; /* the server's own first, then those up to its authority's */
	char *key;         /* without a passphrase, not world-readable */
	char *client_ca;   /* clients must show a certificate from one of these; "": optional */
};
extern const struct config_key tls_config_keys[]; /* tls_certificate tls_key tls_client_ca */

/* Do the settings go together? Does not read the files. 0, or an error with err filled. */
LOOM_MUST_CHECK int tls_config_check(const struct tls_config *cfg, struct loom_err *err);
/* *ret is NULL if no certificate is named. cfg is borrowed. 0, or an error with err filled. */
LOOM_MUST_CHECK int tls_create(struct loop *l, const struct tls_config *cfg, struct tls **ret,
                               struct loom_err *err);
void tls_destroy(struct tls *t);                /* NULL ok */
struct ssl_st *tls_accept(const struct tls *t); /* for a new connection; returns owned */
void tls_count_refused(void);                   /* counts a failed handshake; any thread */

/* Makes all certificates of the process be read again, within a second or two; any thread. */
void tls_read_again(void);
/* Adds sentences about problems with certificates; any thread. */
void tls_notes(struct strs *ret);

#endif
