/* SPDX-License-Identifier: Apache-2.0 */
/* Seals a tenant's secrets with a passphrase, and opens them again. */
#include "services/api/catalog/sealed_export.h"

#include "common/base/passphrase.h"
#include "common/base/str.h"
#include "common/model/keys/secret.h"

#include <sodium.h>
#include <string.h>

#define BELONGS_TO "secrets of an export"
#define KDF        "argon2id"

static const enum entity_kind kinds[] = { ENTITY_PROVIDER, ENTITY_SERVICE };

static int collect(const struct secret_of *of, const struct json *docs, struct json *to,
                   struct loom_err *err)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(docs); i++) {
		LOOM_CLEANUP(json_free) struct json *found = json_new_obj();
		rc = secrets_collect(of, json_at(docs, i), found, err);
		if (!rc && json_len(found))
			json_set(to, json_get_str(json_at(docs, i), "name"), loom_take(found));
	}
	return rc;
}

static void wipe(char *text)
{
	sodium_memzero(text, strlen(text));
	loom_free(text);
}

int sealed_export_add(struct api *a, struct db *db, const char *tenant, struct json *all,
                      const char *passphrase, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *open = json_new_obj();
	char salt[PASSPHRASE_SALT];
	struct seal_key key;
	for (size_t k = 0; k < LOOM_COUNT(kinds); k++) {
		const struct secret_of of = { a->ring, db, tenant, kinds[k], false };
		const char *collection = entity_collection(kinds[k]);
		struct json *to = json_new_obj();
		json_set(open, collection, to);
		int rc = collect(&of, json_get(all, collection), to, err);
		if (rc)
			return rc;
	}
	passphrase_salt(salt);
	if (!passphrase_key(passphrase, salt, &key))
		return err_set(err, 503, "there is no memory to make a key of a passphrase");
	char *text = json_text(open);
	LOOM_CLEANUP_STR char *sealed = seal_text(&key, BELONGS_TO, text);
	wipe(text);
	seal_key_fini(&key);
	struct json *secrets = json_set_str(json_new_obj(), "kdf", KDF);
	json_set_str(secrets, "salt", salt);
	json_set(all, "secrets", json_set_str(secrets, "sealed", sealed));
	return 0;
}

static void give(const struct json *open, struct json *all)
{
	for (size_t k = 0; k < LOOM_COUNT(kinds); k++) {
		const char *collection = entity_collection(kinds[k]);
		struct json *docs = json_get(all, collection);
		for (size_t i = 0; i < json_len(docs); i++) {
			const char *name = json_get_str(json_at(docs, i), "name");
			secrets_give(kinds[k], json_at(docs, i),
			             name ? json_get(json_get(open, collection), name) : NULL);
		}
	}
}

int sealed_export_take(struct json *all, const char *passphrase, struct loom_err *err)
{
	const struct json *secrets = json_get(all, "secrets");
	const char *salt = json_get_str(secrets, "salt"), *sealed = json_get_str(secrets, "sealed");
	struct seal_key key;
	if (!secrets || !passphrase)
		return secrets || passphrase
		               ? err_set(err, 400,
		                         "secrets and passphrase: an import has both, or none of them")
		               : 0;
	if (!str_eq(json_get_str(secrets, "kdf"), KDF) || !salt || !sealed ||
	    !passphrase_key(passphrase, salt, &key))
		return err_set(err, 400, "secrets: not as an export of this Loom has them");
	char *text = seal_open(&key, BELONGS_TO, sealed);
	LOOM_CLEANUP(json_free) struct json *open = NULL;
	seal_key_fini(&key);
	if (!text)
		return err_set(err, 400,
		               "secrets: they do not open with this passphrase, or were changed");
	int bad = json_parse_str(text, &open, NULL);
	wipe(text);
	if (bad)
		return err_set(err, 400, "secrets: what is sealed in them is not JSON");
	give(open, all);
	return 0;
}
