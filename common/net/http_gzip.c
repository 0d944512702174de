/* SPDX-License-Identifier: Apache-2.0 */
/* Answers made smaller: who takes it, what gains by it, and the making. */
#include "common/net/http_gzip.h"

#include <limits.h>
#include <string.h>
#define ZLIB_CONST /* what is read is not written */
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB, and a gzip header */
#define MEMORY      8

/* Is "q" of the parameters behind a coding zero: q=0, q=0.0, ...? */
static bool forbidden(const char *params, size_t n)
{
	for (size_t i = 0; i + 2 < n; i++) {
		if ((params[i] != 'q' && params[i] != 'Q') || params[i + 1] != '=')
			continue;
		size_t zeros = strspn(params + i + 2, "0.");
		return zeros && (i + 2 + zeros >= n || !strchr("123456789", params[i + 2 + zeros]));
	}
	return false;
}

bool gzip_accepted(const char *accept_encoding)
{
	bool any = false;
	for (const char *at = accept_encoding; at && *at;) {
		at += strspn(at, " \t,");
		size_t whole = strcspn(at, ","), name = strcspn(at, " \t;,");
		bool no = forbidden(at + name, whole - name);
		if ((name == 4 && strncasecmp(at, "gzip", 4) == 0) ||
		    (name == 6 && strncasecmp(at, "x-gzip", 6) == 0))
			return !no;
		any = any || (name == 1 && *at == '*' && !no);
		at += whole;
	}
	return any;
}

bool gzip_helps(const char *type)
{
	static const char *const small[] = {
		"application/json",
		"application/problem+json",
		"application/manifest+json",
		"text/html",
		"text/plain",
		"text/css",
		"text/javascript",
		"image/svg+xml",
	};
	size_t n = type ? strcspn(type, "; \t") : 0;
	for (size_t i = 0; i < LOOM_COUNT(small); i++) {
		if (strlen(small[i]) == n && strncasecmp(type, small[i], n) == 0)
			return true;
	}
	return false;
}

char *gzip_make(const char *data, size_t len, int level, size_t *ret_len)
{
	if (len < GZIP_LEAST || len > UINT_MAX)
		return NULL;
	z_stream z = { 0 };
	if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	LOOM_CLEANUP_STR char *out = loom_malloc(len);
	z.next_in = (const Bytef *)data;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)len;
	int rc = deflate(&z, Z_FINISH); /* anything else: there was no room to be smaller in */
	size_t made = z.total_out;
	deflateEnd(&z);
	if (rc != Z_STREAM_END)
		return NULL;
	*ret_len = made;
	return loom_take(out);
}
