/* SPDX-License-Identifier: Apache-2.0 */
/* pki - certificates for tests: authorities, and what they sign for localhost and 127.0.0.1, on
 * P-256 keys. A failure ends the test. */
#ifndef TESTS_SUPPORT_PKI_H
#define TESTS_SUPPORT_PKI_H

#include <openssl/types.h>

struct pki {
	EVP_PKEY *key;
	X509 *cert;
};

/* Good from `from` to `to`, seconds from now; by itself when there is no ca. */
struct pki pki_new(const struct pki *ca, const char *name, long from, long to);
void pki_free(struct pki *p);
/* As PEM; NULL: not wanted. The key's file is its owner's alone. */
void pki_write(const struct pki *p, const char *cert_path, const char *key_path);

#endif
