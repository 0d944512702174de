/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: what is accepted is a clean path, whose decoded parts hide nothing. */
#include "tests/fuzz/fuzz.h"

#include "common/net/http_uri.h"

#include <errno.h>
#include <string.h>

static void check_clean(const char *text)
{
	for (; *text; text++)
		loom_assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_accepted(const struct http_uri *u)
{
	LOOM_CLEANUP_STR char *joined = strs_join(&u->segments, "/");
	loom_assert(u->path[0] == '/' && str_eq(u->path + 1, joined));
	loom_assert(u->names.n == u->values.n);
	for (size_t i = 0; i < u->segments.n; i++) {
		const char *segment = u->segments.v[i];
		loom_assert(*segment && !strchr(segment, '/'));
		loom_assert(!str_eq(segment, ".") && !str_eq(segment, ".."));
		check_clean(segment);
	}
	for (size_t i = 0; i < u->names.n; i++)
		loom_assert(u->names.v[i] && u->values.v[i]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP_STR char *target = loom_strndup((const char *)data, size);
	LOOM_CLEANUP_STR char *decoded = NULL;
	struct http_uri uri = { 0 };
	const char *reason = NULL;
	int rc = http_uri_parse(&uri, target, &reason);
	loom_assert(rc == 0 || (rc == -EINVAL && reason));
	if (!rc)
		check_accepted(&uri);
	http_uri_fini(&uri);
	decoded = http_uri_decode(target, strlen(target), true);
	loom_assert(!decoded || strlen(decoded) <= strlen(target));
	return 0;
}
