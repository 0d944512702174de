/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - fields of providers and services that their plugin's type declares secret (`sensitive`,
 * or of type `password`). They are stored sealed, shown as masks, and open only in the input of the
 * plugin's task.
 *
 * A sealed value is {"$sealed": TEXT, "key": NAME OF THE KEY} in place of the value. It is bound to
 * tenant, document and field, so that it cannot be moved to another place; copies of the document
 * in clusters contain it unchanged. The database is used only to find keys. Any thread.
 */
#ifndef LOOM_MODEL_SECRET_H
#define LOOM_MODEL_SECRET_H

#include "common/json/json.h"
#include "common/json/redact.h"
#include "common/model/catalog/entity.h"
#include "common/model/keys/keyring.h"

#define SECRET_USE  "secrets of documents" /* for keyring_current() */
#define SECRET_ROLE "opens-secrets"        /* extra role of schedulers that open them (coord.h) */
#define SECRET_MASK "********"             /* shown in answers; in a request it means: unchanged */

/* The document's tenant and kind (only providers and services have secrets). */
struct secret_of {
	struct keyring *ring;
	struct db *db; /* the caller's connection; NULL: none */
	const char *tenant;
	enum entity_kind kind;
	bool later; /* leave unsealed values for later, but replace masks */
};

bool secret_is_declared(const struct json *type, const char *field); /* type NULL: no */
/* Does a type declare a secret that it did not declare before (NULL: it is new)? */
bool secrets_declares_more(const struct json *type, const struct json *before);

/* Makes a sealed value from a sealed text and the name of its key, returned owned; and checks for
 * one. */
struct json *secret_sealed(const char *text, const char *key);
bool secret_is_sealed(const struct json *v, const char **ret_key, const char **ret_text);

/* Seals in place the fields that types (plugin types by name) declare secret. stored, or NULL: the
 * stored document, whose values replace masks and missing ones; null and "" delete one. Sets
 * *changed, which may be NULL, if the document has changed. 0, 400 or 500 with err, or a DB_E_
 * code. */
LOOM_MUST_CHECK int secrets_seal(const struct secret_of *of, struct json *doc,
                                 const struct json *stored, const struct json *types, bool *changed,
                                 struct loom_err *err);
/* Seals anew, in place, values not sealed with the tenant's present key; *changed as above. A value
 * that cannot be opened stays, and err says why. 0 or as above. */
LOOM_MUST_CHECK int secrets_renew(const struct secret_of *of, struct json *doc, bool *changed,
                                  struct loom_err *err);
/* Opens in place; 500 with err when a secret cannot be opened, or a DB_E_ code. */
LOOM_MUST_CHECK int secrets_open(const struct secret_of *of, struct json *doc,
                                 struct loom_err *err);
/* Adds the opened secrets of a document to texts to redact. 500 as above. */
LOOM_MUST_CHECK int secrets_to_redact(const struct secret_of *of, const struct json *doc,
                                      struct redact *to, struct loom_err *err);
/* Adds the opened secrets of a document as {ACTION, or "" of a provider: {FIELD: value}}. 500 as
 * above. */
LOOM_MUST_CHECK int secrets_collect(const struct secret_of *of, const struct json *doc,
                                    struct json *to, struct loom_err *err);
/* Replaces masks by the secrets from secrets_collect() (NULL: none). */
void secrets_give(enum entity_kind kind, struct json *doc, const struct json *from);
void secrets_mask(struct json *v); /* all anywhere in v */
/* Calls fn with the key names of all secrets in v. */
void secrets_keys(const struct json *v, void (*fn)(const char *key, void *arg), void *arg);
/* Deletes a document's secrets; true if there were any. */
bool secrets_drop(enum entity_kind kind, struct json *doc, const struct json *types);

#endif
