/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token, a line's end, and a set of keys as a provider publishes it. Nothing that is made up is
 * verified by the key that is known to nobody; and what is verified by keys that came with it is an
 * object that can be checked.
 */
#include "tests/fuzz/fuzz.h"

#include "services/api/request/jwt.h"

#include <string.h>

/* Of RFC 7515, A.3.1: its private part is known to everybody, but signs none of the corpus. */
static const char known[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"rfc\","
			    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void check(const struct json *claims)
{
	const struct jwt_rules rules = { "https://id", "loom", 1000000, 60000 };
	struct loom_err err = { 0 };
	loom_assert(json_is(claims, JSON_OBJECT));
	int64_t ends;
	int rc = jwt_check(claims, &rules, &ends, &err);
	loom_assert(rc == 0 || (rc == 401 && *err.msg));
}

static void verify(const struct jwk_set *set, const char *token, bool forged)
{
	LOOM_CLEANUP(json_free) struct json *claims = NULL;
	struct loom_err err = { 0 };
	int rc = jwt_verify(set, token, &claims, &err);
	loom_assert(rc ? !claims && *err.msg : !forged);
	if (!rc)
		check(claims);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct jwk_set *ours;
	struct jwk_set *theirs = NULL;
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free) struct json *claims = NULL;
	const char *text = (const char *)data;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	size_t n = end ? (size_t)(end - text) : size;
	LOOM_CLEANUP_STR char *token = loom_strndup(text, n);
	if (!ours)
		loom_assert(!jwk_set_parse(known, strlen(known), &ours, &err));
	verify(ours, token, true);
	if (end && !jwk_set_parse(end + 1, size - n - 1, &theirs, &err))
		verify(theirs, token, false);
	jwk_set_free(theirs);
	/* Claims that are verified are whatever a provider writes. */
	if (!json_parse_few(text, size, 0, &claims, NULL) && json_is(claims, JSON_OBJECT))
		check(claims);
	return 0;
}
