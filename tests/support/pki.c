/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/pki.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void extend(X509 *cert, int what, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, what, value);
	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

struct pki pki_new(const struct pki *ca, const char *name, long from, long to)
{
	struct pki p = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
	uint32_t serial;
	ck_assert(p.key && p.cert && RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1);
	X509_set_version(p.cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(p.cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(p.cert), from);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), to);
	X509_set_pubkey(p.cert, p.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p.cert), "CN", MBSTRING_ASC,
	                           (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(p.cert, X509_get_subject_name(ca ? ca->cert : p.cert));
	extend(p.cert, NID_basic_constraints, ca ? "CA:FALSE" : "critical,CA:TRUE");
	if (ca)
		extend(p.cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	ck_assert_int_gt(X509_sign(p.cert, ca ? ca->key : p.key, EVP_sha256()), 0);
	return p;
}

void pki_free(struct pki *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
}

void pki_write(const struct pki *p, const char *cert_path, const char *key_path)
{
	FILE *f = cert_path ? fopen(cert_path, "w") : NULL;
	ck_assert(!cert_path || (f && PEM_write_X509(f, p->cert) == 1 && fclose(f) == 0));
	f = key_path ? fopen(key_path, "w") : NULL;
	ck_assert(!key_path || (f && fchmod(fileno(f), 0600) == 0 &&
	                        PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL) == 1 &&
	                        fclose(f) == 0));
}
