/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets - seals the secrets of documents before they are stored; each API also searches for
 * unsealed ones every few seconds.
 *
 * While a scheduler of an older version runs that cannot open secrets, nothing is sealed: secrets
 * written meanwhile are found afterwards. While a scheduler or an API runs that knows no data keys
 * (data_key.h), tenants get none.
 */
#ifndef LOOM_API_SECRETS_H
#define LOOM_API_SECRETS_H

#include "services/api/api.h"

#include "common/model/keys/secret.h"

void secrets_start(struct api *a); /* loop thread; once coord exists */
void secrets_stop(struct api *a);  /* after the last worker has ended */
void secrets_soon(struct api *a);  /* searches for unsealed secrets now; any thread */

struct sealed_document {
	struct json *doc;   /* owned */
	int64_t generation; /* for sealing_mark_document(); 0: not sealed */
};

/* The document in the form to be stored; 400 with err. In db_tx(). */
LOOM_MUST_CHECK int secrets_of_document(struct api *a, struct db *db, const struct secret_of *of,
                                        const struct json *doc, struct sealed_document *ret,
                                        struct loom_err *err);
/* db: the caller's connection; NULL: none. */
struct secret_of secrets_of(struct api *a, struct db *db, const char *tenant,
                            enum entity_kind kind);

#endif
