/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the route of a request: paths with {variables}, by method. */
#include "common/net/http_router.h"

#include <string.h>

/* A pattern segment as [s, s + n): literal, "{name}" or "{name*}". */
struct piece {
	const char *s;
	size_t n;
	bool param, rest;
};

static bool next_piece(const char **pattern, struct piece *ret)
{
	const char *s = *pattern + strspn(*pattern, "/");
	size_t n = strcspn(s, "/");
	*pattern = s + n;
	if (!n)
		return false;
	*ret = (struct piece){ .s = s, .n = n };
	if (n > 2 && s[0] == '{' && s[n - 1] == '}') {
		ret->param = true;
		ret->rest = s[n - 2] == '*';
		ret->s = s + 1;
		ret->n = n - 2 - ret->rest;
	}
	return true;
}

static void add_param(struct http_match *m, const struct piece *p, const char *value)
{
	strs_addf(&m->names, "%.*s", (int)p->n, p->s);
	strs_add(&m->values, value);
}

static char *join_from(const struct strs *segments, size_t i)
{
	struct strs rest = { .v = segments->v ? segments->v + i : NULL, .n = segments->n - i };
	return strs_join(&rest, "/");
}

/* On a match the parameters are left in m; on none, what was added stays for the caller to drop. */
static bool fits(const char *pattern, const struct strs *segments, struct http_match *m)
{
	struct piece p;
	size_t i = 0;
	while (next_piece(&pattern, &p)) {
		if (p.rest) {
			LOOM_CLEANUP_STR char *rest = join_from(segments, i);
			add_param(m, &p, rest);
			return true;
		}
		if (i == segments->n)
			return false;
		const char *seg = segments->v[i++];
		if (p.param)
			add_param(m, &p, seg);
		else if (strlen(seg) != p.n || memcmp(seg, p.s, p.n) != 0)
			return false;
	}
	return i == segments->n;
}

static void drop_params(struct http_match *m)
{
	strs_fini(&m->names);
	strs_fini(&m->values);
	m->names = m->values = (struct strs){ 0 };
}

/* What can be got can be asked about; a row of its own for HEAD comes before. */
static bool answers(const struct http_route *r, const char *method)
{
	return str_eq(r->method, method) || (str_eq(method, "HEAD") && str_eq(r->method, "GET"));
}

void http_router_match(const struct http_route *routes, const char *method,
                       const struct strs *segments, struct http_match *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (const struct http_route *r = routes; r->method; r++) {
		bool right = answers(r, method);
		if (!right && strs_has(&ret->allow, r->method))
			continue;
		bool fit = fits(r->pattern, segments, ret);
		if (fit && right) {
			ret->route = r;
			return;
		}
		drop_params(ret);
		if (fit)
			strs_add(&ret->allow, r->method);
	}
	if (strs_has(&ret->allow, "GET") && !strs_has(&ret->allow, "HEAD"))
		strs_add(&ret->allow, "HEAD");
}

void http_match_fini(struct http_match *m)
{
	drop_params(m);
	strs_fini(&m->allow);
	memset(m, 0, sizeof(*m));
}
