/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a request target apart, and refuses what could be read in two ways. */
#include "common/net/http_uri.h"

#include <errno.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte at s, and in *used how many characters it took; -1 when malformed. */
static int decode_one(const char *s, size_t n, bool plus, size_t *used)
{
	*used = 1;
	if (*s == '+' && plus)
		return ' ';
	if (*s != '%')
		return (unsigned char)*s;
	if (n < 3)
		return -1;
	int hi = hex(s[1]), lo = hex(s[2]);
	*used = 3;
	return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

char *http_uri_decode(const char *s, size_t n, bool plus)
{
	LOOM_CLEANUP_STR char *out = loom_malloc(n + 1);
	size_t len = 0;
	while (n) {
		size_t used;
		int c = decode_one(s, n, plus, &used);
		if (c < 0 || (c < ' ' && !(plus && (c == '\n' || c == '\r' || c == '\t'))) ||
		    c == 0x7f)
			return NULL;
		out[len++] = (char)c;
		s += used;
		n -= used;
	}
	out[len] = '\0';
	return loom_take(out);
}

static int add_segment(struct http_uri *u, const char *s, size_t n, const char **ret_reason)
{
	LOOM_CLEANUP_STR char *seg = http_uri_decode(s, n, false);
	if (!seg) {
		*ret_reason = "bad percent-encoding in the path";
		return -EINVAL;
	}
	if (strchr(seg, '/') || str_eq(seg, ".") || str_eq(seg, "..") || str_padded(seg)) {
		*ret_reason = "a name in the path may not have a '/', be '.' or '..', nor end in a "
			      "space";
		return -EINVAL;
	}
	strs_add(&u->segments, seg);
	return 0;
}

static int parse_path(struct http_uri *u, const char *s, size_t n, const char **ret_reason)
{
	while (n) {
		const char *slash = memchr(s, '/', n);
		size_t len = slash ? (size_t)(slash - s) : n;
		int rc = len ? add_segment(u, s, len, ret_reason) : 0;
		if (rc)
			return rc;
		size_t skip = slash ? len + 1 : len;
		s += skip;
		n -= skip;
	}
	LOOM_CLEANUP_STR char *joined = strs_join(&u->segments, "/");
	u->path = loom_asprintf("/%s", joined);
	return 0;
}

static int add_pair(struct http_uri *u, const char *s, size_t n, const char **ret_reason)
{
	const char *eq = memchr(s, '=', n);
	size_t len = eq ? (size_t)(eq - s) : n;
	LOOM_CLEANUP_STR char *name = http_uri_decode(s, len, true);
	LOOM_CLEANUP_STR char *value =
		eq ? http_uri_decode(eq + 1, n - len - 1, true) : loom_strdup("");
	if (!name || !value) {
		*ret_reason = "bad percent-encoding in the query";
		return -EINVAL;
	}
	strs_add(&u->names, name);
	strs_add(&u->values, value);
	return 0;
}

static int parse_query(struct http_uri *u, const char *s, const char **ret_reason)
{
	while (*s) {
		size_t n = strcspn(s, "&");
		int rc = n ? add_pair(u, s, n, ret_reason) : 0;
		if (rc)
			return rc;
		s += n;
		s += *s == '&';
	}
	return 0;
}

int http_uri_parse(struct http_uri *u, const char *target, const char **ret_reason)
{
	memset(u, 0, sizeof(*u));
	size_t n = strcspn(target, "?");
	int rc = parse_path(u, target, n, ret_reason);
	if (!rc && target[n] == '?')
		rc = parse_query(u, target + n + 1, ret_reason);
	return rc;
}

void http_uri_fini(struct http_uri *u)
{
	loom_free(u->path);
	strs_fini(&u->segments);
	strs_fini(&u->names);
	strs_fini(&u->values);
	memset(u, 0, sizeof(*u));
}
