/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of documents: the first line is a document, the rest is a patch of it. A patch that is
 * applied twice changes nothing more, and what a difference shows is one. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "common/json/json.h"
#include "common/json/jsondiff.h"
#include "common/json/merge_patch.h"

#include <string.h>

/* Removed is what is null, in every object that the patch names. */
static void check_applied(const struct json *out, const struct json *patch)
{
	if (!json_is(patch, JSON_OBJECT)) {
		loom_assert(json_equal(out, patch));
		return;
	}
	loom_assert(json_is(out, JSON_OBJECT));
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json *is = json_get(out, json_key_at(patch, i));
		const struct json *want = json_value_at(patch, i);
		if (json_is(want, JSON_NULL))
			loom_assert(!is);
		else
			check_applied(is, want);
	}
}

static void check_difference(const struct json *from, const struct json *to)
{
	LOOM_CLEANUP(json_free) struct json *diff = json_diff(from, to);
	loom_assert((json_len(diff) == 0) == json_equal(from, to));
	for (size_t i = 0; i < json_len(diff); i++) {
		const struct json *one = json_at(diff, i);
		const struct json *was = json_get(one, "from"), *is = json_get(one, "to");
		loom_assert(json_get_str(one, "path") && (was || is));
		loom_assert(!was || !is || !json_equal(was, is));
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL, *patch = NULL;
	const char *text = (const char *)data;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	if (!end || json_parse_few(text, (size_t)(end - text), 0, &doc, NULL) ||
	    json_parse_few(end + 1, size - (size_t)(end + 1 - text), 0, &patch, NULL))
		return 0;
	LOOM_CLEANUP(json_free) struct json *once = json_merge_patch(doc, patch);
	LOOM_CLEANUP(json_free) struct json *twice = json_merge_patch(once, patch);
	loom_assert(json_equal(once, twice));
	check_applied(once, patch);
	check_difference(doc, once);
	check_difference(once, doc);
	check_difference(doc, doc);
	return 0;
}
