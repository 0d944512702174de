/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about headers, origins and addresses of requests. Pure. */
#include "services/ui-gateway/rules.h"

#include <ctype.h>
#include <string.h>

#define URL_MAX ((size_t)64 << 10)

/* Ended by NULL; a trailing '*' matches any rest of the name. */
static const char *const hop_by_hop[] = {
	"connection", "keep-alive",        "proxy-*", "te",
	"trailer",    "transfer-encoding", "upgrade", NULL,
};
static const char *const not_asked[] = {
	"x-loom-*", "coopr-*",        "authorization", "cookie",          "host",
	"expect",   "content-length", "x-request-id",  "x-forwarded-for", NULL,
};
static const char *const not_answered[] = {
	"content-length",
	"content-type",
	"content-security-policy",
	"x-content-type-options",
	"referrer-policy",
	"x-frame-options",
	"set-cookie",
	NULL,
};

static char plain(char c)
{
	/* Some servers cannot tell X_Loom_UserID from X-Loom-UserID. */
	return (char)(c == '_' ? '-' : tolower((unsigned char)c));
}

static bool fits(const char *name, const char *row)
{
	for (; *row; name++, row++) {
		if (*row == '*')
			return true;
		if (plain(*name) != *row)
			return false;
	}
	return !*name;
}

static bool listed(const char *name, const char *const *rows)
{
	for (; *rows; rows++) {
		if (fits(name, *rows))
			return true;
	}
	return false;
}

/* Headers named in a Connection header end here, too. */
static bool in_connection(const char *name, const char *connection)
{
	size_t n = strlen(name);
	for (const char *at = connection; at && *at;) {
		at += strspn(at, ", \t");
		size_t len = strcspn(at, ", \t");
		if (len == n && strncasecmp(at, name, n) == 0)
			return true;
		at += len;
	}
	return false;
}

bool rules_pass_request(const char *name, const char *connection)
{
	return !listed(name, hop_by_hop) && !listed(name, not_asked) &&
	       !in_connection(name, connection);
}

bool rules_pass_answer(const char *name, const char *connection)
{
	return !listed(name, hop_by_hop) && !listed(name, not_answered) &&
	       !in_connection(name, connection);
}

void rules_encode(struct buf *b, const char *s, const char *keep)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr(keep, c))
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", c);
	}
}

char *rules_url(const char *base, const char *rest, const char *raw_uri)
{
	struct buf b = BUF_INIT(URL_MAX);
	size_t n = strlen(base);
	while (n && base[n - 1] == '/')
		n--;
	buf_add(&b, base, n);
	buf_addc(&b, '/');
	rules_encode(&b, rest, "/-._~!$&'()*+,;=:@");
	const char *query = strchr(raw_uri, '?');
	if (query && query[1]) {
		buf_addc(&b, '?');
		rules_encode(&b, query + 1, "/-._~!$&'()*+,;=:@?%");
	}
	return buf_take(&b);
}

/* A second slash would start a host name, and browsers treat a backslash as a slash. */
bool rules_is_local(const char *path)
{
	size_t n = 0;
	for (; path[n]; n++) {
		if (path[n] <= ' ' || path[n] > '~' || path[n] == '\\')
			return false;
	}
	return path[0] == '/' && path[1] != '/' && n <= RULES_PATH_MAX;
}

void rules_add_forwarded_for(struct strs *out, const char *before, const char *peer)
{
	bool bracketed = *peer == '[';
	size_t n = bracketed ? strcspn(++peer, "]") : strcspn(peer, ":");
	strs_addf(out, "X-Forwarded-For: %s%s%.*s", before ? before : "", before ? ", " : "",
	          (int)n, peer);
}

char *rules_split(const char *line, const char **ret_value)
{
	const char *colon = strchr(line, ':');
	if (!colon || colon == line)
		return NULL;
	const char *value = colon + 1;
	*ret_value = value + strspn(value, " \t");
	return loom_strndup(line, (size_t)(colon - line));
}
