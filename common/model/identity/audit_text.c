/* SPDX-License-Identifier: Apache-2.0 */
/* What of a document the log keeps: not its secrets, and not all of a long one. */
#include "common/model/identity/audit.h"

#include "common/base/str.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

/* Values of members whose name contains one of these words are masked. A user's provider fields may
 * be secret by a plugin type that is not available here. */
static bool is_secret(const char *name)
{
	static const char *const words[] = { "password", "passwd",     "passphrase",    "secret",
		                             "token",    "credential", "private",       "apikey",
		                             "api_key",  "api-key",    "providerFields" };
	for (size_t i = 0; i < LOOM_COUNT(words); i++) {
		if (strcasestr(name, words[i]))
			return true;
	}
	return false;
}

static struct json *masked(const struct json *v)
{
	if (json_is(v, JSON_ARRAY)) {
		struct json *out = json_new_arr();
		for (size_t i = 0; i < json_len(v); i++)
			json_push(out, masked(json_at(v, i)));
		return out;
	}
	if (!json_is(v, JSON_OBJECT))
		return json_copy(v);
	struct json *out = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_key_at(v, i);
		const struct json *value = json_value_at(v, i);
		bool hide =
			is_secret(name) && !json_is(value, JSON_NULL) && !json_is(value, JSON_BOOL);
		json_set(out, name, hide ? json_new_str(AUDIT_MASK) : masked(value));
	}
	return out;
}

static char *summed_up(const char *text, size_t len)
{
	unsigned char bytes[32];
	char hash[65];
	(void)crypto_generichash(bytes, sizeof(bytes), (const unsigned char *)text, len, NULL, 0);
	(void)sodium_bin2hex(hash, sizeof(hash), bytes, sizeof(bytes));
	return loom_asprintf("{\"bytes\":%zu,\"blake2b\":\"%s\"}", len, hash);
}

char *audit_text(const struct json *doc)
{
	if (!doc)
		return NULL;
	LOOM_CLEANUP(json_free) struct json *fit = masked(doc);
	LOOM_CLEANUP_STR char *text = json_text(fit);
	return strlen(text) > AUDIT_DOC_MAX ? summed_up(text, strlen(text)) : loom_take(text);
}
