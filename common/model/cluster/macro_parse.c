/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one macro: name, index, map and join. */
#include "common/model/cluster/macro_parse.h"

#include "common/base/str.h"

#include <string.h>

#define DEFAULT_IP_TYPE "bind_v4"

struct parser {
	const char *text;
	size_t len, pos;
	struct macro_expr *e;
	struct loom_err *err;
};

void macro_expr_fini(struct macro_expr *e)
{
	loom_free(e->service);
	loom_free(e->ip_type);
	loom_free(e->map_format);
	loom_free(e->separator);
	*e = (struct macro_expr){ 0 };
}

static bool skip(struct parser *p, const char *word)
{
	const size_t n = strlen(word);
	if (p->len - p->pos < n || memcmp(p->text + p->pos, word, n) != 0)
		return false;
	p->pos += n;
	return true;
}

static int expect(struct parser *p, char c)
{
	if (p->pos < p->len && p->text[p->pos] == c) {
		p->pos++;
		return 0;
	}
	return err_set(p->err, 400, "'%c' expected at position %zu", c, p->pos);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* ---- names ---------------------------------------------------------------------------------- */

static int set_service(struct parser *p, enum macro_kind kind, const char *service)
{
	if (!*service)
		return err_set(p->err, 400, "macro is missing a service name");
	p->e->kind = kind;
	p->e->service = loom_strdup(service);
	return 0;
}

static int bad_name(struct parser *p, const char *name)
{
	return err_set(p->err, 400, "'%s' is not a valid macro name", name);
}

/* rest: the part after "ip.": self, TYPE.self, service.S, TYPE.service.S */
static int set_ip(struct parser *p, const char *name, const char *rest)
{
	const char *dot = strchr(rest, '.');
	const char *after = dot ? dot + 1 : NULL;
	p->e->kind = MACRO_IP_SELF;
	if (!strcmp(rest, "self")) {
		p->e->ip_type = loom_strdup(DEFAULT_IP_TYPE);
		return 0;
	}
	if (!dot || dot == rest)
		return bad_name(p, name);
	/* a type may be called "service": ip.service.service.S */
	if (str_starts(after, "service.")) {
		p->e->ip_type = loom_strndup(rest, (size_t)(dot - rest));
		return set_service(p, MACRO_IP_SERVICE, after + strlen("service."));
	}
	if (str_starts(rest, "service.")) {
		p->e->ip_type = loom_strdup(DEFAULT_IP_TYPE);
		return set_service(p, MACRO_IP_SERVICE, after);
	}
	if (strcmp(after, "self") != 0)
		return bad_name(p, name);
	p->e->ip_type = loom_strndup(rest, (size_t)(dot - rest));
	return 0;
}

static int set_name(struct parser *p, const char *name)
{
	static const struct {
		const char *prefix;
		enum macro_kind kind;
	} of_service[] = {
		{ "host.service.", MACRO_HOST_SERVICE },
		{ "num.service.", MACRO_NUM },
		{ "instance.self.service.", MACRO_INSTANCE },
	};

	for (size_t i = 0; i < LOOM_COUNT(of_service); i++) {
		if (str_starts(name, of_service[i].prefix))
			return set_service(p, of_service[i].kind,
			                   name + strlen(of_service[i].prefix));
	}
	if (str_starts(name, "ip."))
		return set_ip(p, name, name + strlen("ip."));
	if (!strcmp(name, "host.self"))
		p->e->kind = MACRO_HOST_SELF;
	else if (!strcmp(name, "cluster.owner"))
		p->e->kind = MACRO_OWNER;
	else
		return bad_name(p, name);
	return 0;
}

/* ---- grammar -------------------------------------------------------------------------------- */

static int parse_index(struct parser *p)
{
	const size_t start = p->pos;
	int64_t index = 0;
	while (p->pos < p->len && p->text[p->pos] >= '0' && p->text[p->pos] <= '9') {
		index = index < INT32_MAX ? index * 10 + (p->text[p->pos] - '0') : index;
		p->pos++;
	}
	if (p->pos == p->len)
		return err_set(p->err, 400, "No ending bracket ']' seen.");
	if (p->text[p->pos] != ']')
		return err_set(p->err, 400, "A service number must consist of digits only.");
	if (p->pos == start)
		return err_set(p->err, 400, "No service number seen.");
	p->pos++;
	p->e->indexed = true;
	p->e->index = index;
	return 0;
}

static int parse_basic(struct parser *p)
{
	const size_t start = p->pos;
	LOOM_CLEANUP_STR char *name = NULL;
	int rc;
	while (p->pos < p->len && is_name_char(p->text[p->pos]))
		p->pos++;
	if (p->pos == start)
		return err_set(p->err, 400, "A macro name must be present at position %zu.", start);
	name = loom_strndup(p->text + start, p->pos - start);
	rc = set_name(p, name);
	if (!rc && p->pos < p->len && p->text[p->pos] == '[') {
		p->pos++;
		rc = parse_index(p);
	}
	return rc;
}

static int parse_literal(struct parser *p, char **ret)
{
	const size_t start = p->pos + 1;
	char quote;
	size_t n = 0;
	char *s;
	if (p->pos == p->len || (p->text[p->pos] != '\'' && p->text[p->pos] != '"'))
		return err_set(p->err, 400, "Expected ' or \" at position %zu", p->pos);
	quote = p->text[p->pos++];
	while (p->pos < p->len && p->text[p->pos] != quote)
		p->pos++;
	if (p->pos == p->len)
		return err_set(p->err, 400, "'%c' expected at position %zu", quote, p->pos);
	s = loom_strndup(p->text + start, p->pos - start);
	for (const char *c = s; *c; c++) {
		s[n++] = *c;
		c += c[0] == '%' && c[1] == '%';
	}
	s[n] = '\0';
	p->pos++;
	*ret = s;
	return 0;
}

/* Parses the arguments of map(..) or join(..): an inner expression and a literal. */
static int parse_call(struct parser *p, int (*inner)(struct parser *p), char **ret)
{
	int rc = inner(p);
	rc = rc ? rc : expect(p, ',');
	rc = rc ? rc : parse_literal(p, ret);
	return rc ? rc : expect(p, ')');
}

static int parse_inner(struct parser *p)
{
	return skip(p, "map(") ? parse_call(p, parse_basic, &p->e->map_format) : parse_basic(p);
}

int macro_parse(const char *text, size_t len, struct macro_expr *e, size_t *ret_len,
                struct loom_err *err)
{
	struct parser p = { .text = text, .len = len, .e = e, .err = err };
	int rc;
	*e = (struct macro_expr){ 0 };
	rc = skip(&p, "join(") ? parse_call(&p, parse_inner, &e->separator) : parse_inner(&p);
	if (!rc)
		*ret_len = p.pos;
	return rc;
}
