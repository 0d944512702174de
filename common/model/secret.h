/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - fields of providers and services that the type of their plugin declares secret
 * (`sensitive`, or of type `password`): sealed where they are kept, a mask where they are shown,
 * open only in what the plugin's task is told.
 *
 * A sealed value is {"$sealed": TEXT, "key": NAME OF THE KEY} in the place of the value. It is
 * bound to tenant, document and field, so that none can be put in another's place; copies of the
 * document in clusters hold it as it is. Pure; any thread.
 */
#ifndef LOOM_MODEL_SECRET_H
#define LOOM_MODEL_SECRET_H

#include "common/base/seal.h"
#include "common/json/json.h"
#include "common/json/redact.h"
#include "common/model/entity.h"

#define SECRET_USE  "secrets of documents" /* for seal_key_init() */
#define SECRET_ROLE "opens-secrets"        /* of schedulers that can, beside their own (coord.h) */
#define SECRET_MASK "********"             /* what answers show; given back it means: as before */

/* Whose document it is: of which kind (others than providers and services have no secrets). */
struct secret_of {
	const struct seal_key *key;
	const char *tenant;
	enum entity_kind kind;
	bool later; /* what is not sealed stays open for now, but masks are made good */
};

bool secret_is_declared(const struct json *type, const char *field); /* NULL type: no */
/* Whether a type declares one that it did not before (NULL: it was not there). */
bool secrets_declares_more(const struct json *type, const struct json *before);

/* Seals in place what types (plugin types by name) declare. stored, or NULL: the document before,
 * whose values are kept where the new one has the mask or nothing; null and "" remove one.
 * *changed, may be NULL, is set when the document is not what it was. 0, or 400 with err. */
LOOM_MUST_CHECK int secrets_seal(const struct secret_of *of, struct json *doc,
                                 const struct json *stored, const struct json *types, bool *changed,
                                 struct loom_err *err);
/* In place; 500 with err when one cannot be opened. */
LOOM_MUST_CHECK int secrets_open(const struct secret_of *of, struct json *doc,
                                 struct loom_err *err);
/* Adds what a document holds sealed, opened, to what is to be taken out of texts. 500 as above. */
LOOM_MUST_CHECK int secrets_to_redact(const struct secret_of *of, const struct json *doc,
                                      struct redact *to, struct loom_err *err);
void secrets_mask(struct json *v); /* all that are anywhere in v */
/* Removes those of a document; true when there were any. */
bool secrets_drop(enum entity_kind kind, struct json *doc, const struct json *types);

#endif
