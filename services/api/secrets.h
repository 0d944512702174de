/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets - what of documents is sealed before it is stored, and by whom what is not sealed yet
 * is found: by each API, every few seconds.
 *
 * As long as a scheduler is seen that cannot open secrets (one of an older version), nothing is
 * sealed: what is written then is found afterwards.
 */
#ifndef LOOM_API_SECRETS_H
#define LOOM_API_SECRETS_H

#include "services/api/api.h"

#include "common/model/secret.h"

/* Loop thread; when coord is there. 0, or positive with err: the key cannot be read. */
LOOM_MUST_CHECK int secrets_start(struct api *a, struct loom_err *err);
void secrets_stop(struct api *a); /* when no worker is left */
void secrets_soon(struct api *a); /* looks for what is not sealed now; any thread */

struct sealed_document {
	struct json *doc;   /* owned */
	int64_t generation; /* for sealing_mark_document(); 0: it was not sealed */
};

/* A document as it is to be stored; 400 with err. In db_tx(). */
LOOM_MUST_CHECK int secrets_of_document(struct api *a, struct db *db, const struct secret_of *of,
                                        const struct json *doc, struct sealed_document *ret,
                                        struct loom_err *err);
struct secret_of secrets_of(struct api *a, const char *tenant, enum entity_kind kind);

#endif
