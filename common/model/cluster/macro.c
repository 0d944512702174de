/* SPDX-License-Identifier: Apache-2.0 */
/* Expands macros in the strings of a document. */
#include "common/model/cluster/macro.h"

#include "common/base/map.h"
#include "common/model/cluster/macro_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the nodes, indexed --------------------------------------------------------------------- */

/* Nodes that run a service, sorted by nodenum. */
struct members {
	size_t *v;
	size_t n, cap;
};

struct macro {
	const struct macro_node *nodes;
	size_t n;
	char *owner;
	struct map *services; /* name -> struct members */
};

static void members_free(void *p)
{
	loom_free(((struct members *)p)->v);
	loom_free(p);
}

static void add_member(struct macro *m, const char *service, size_t node)
{
	struct members *l = map_get(m->services, service);
	if (!l) {
		l = loom_calloc(1, sizeof(*l));
		map_set(m->services, service, l);
	}
	if (l->n && l->v[l->n - 1] == node)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 8;
		l->v = loom_realloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = node;
}

static int compare_nodes(const void *a, const void *b, void *arg)
{
	const struct macro *m = arg;
	const size_t x = *(const size_t *)a;
	const size_t y = *(const size_t *)b;
	if (m->nodes[x].nodenum != m->nodes[y].nodenum)
		return m->nodes[x].nodenum < m->nodes[y].nodenum ? -1 : 1;
	return (x > y) - (x < y);
}

struct macro *macro_create(const struct macro_node *nodes, size_t n, const char *owner)
{
	struct macro *m = loom_calloc(1, sizeof(*m));
	size_t *order = loom_calloc(n + 1, sizeof(*order));
	*m = (struct macro){
		.nodes = nodes,
		.n = n,
		.owner = owner ? loom_strdup(owner) : NULL,
		.services = map_create(members_free),
	};
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_nodes, m);
	for (size_t i = 0; i < n; i++) {
		const struct strs *list = nodes[order[i]].services;
		for (size_t k = 0; list && k < list->n; k++)
			add_member(m, list->v[k], order[i]);
	}
	loom_free(order);
	return m;
}

void macro_destroy(struct macro *m)
{
	if (!m)
		return;
	map_destroy(m->services);
	loom_free(m->owner);
	loom_free(m);
}

/* ---- one macro ------------------------------------------------------------------------------ */

/* An expansion in progress. m is NULL if only the syntax is checked. */
struct expansion {
	const struct macro *m;
	size_t self;
	struct buf place; /* path in the document */
	size_t bytes;     /* size of the result so far */
	bool counts;      /* only looks whether there are nodes enough */
	struct loom_err *err;
};

/* Results of an evaluation: 0 appended, NO_VALUE stays as written, or a MACRO_E_ code. */
#define NO_VALUE (-1)

static void append_mapped(struct buf *out, const char *format, const char *element)
{
	if (!format) {
		buf_adds(out, element);
		return;
	}
	for (; *format; format++) {
		if (*format != '$') {
			buf_addc(out, *format);
		} else if (format[1] == '$') {
			buf_addc(out, '$');
			format++;
		} else {
			buf_adds(out, element);
		}
	}
}

static int incomplete(const struct expansion *x, const struct macro_node *n, const char *what)
{
	err_set(x->err, 409, "node %s has no %s for macro expansion.", n->id, what);
	return MACRO_E_INCOMPLETE;
}

static int append_node(const struct expansion *x, const struct macro_expr *e, size_t node,
                       struct buf *out)
{
	const struct macro_node *n = &x->m->nodes[node];
	const bool host = e->kind == MACRO_HOST_SERVICE || e->kind == MACRO_HOST_SELF;
	if (x->counts)
		return 0;
	const char *value = host ? n->hostname : json_get_str(n->ipaddresses, e->ip_type);
	if (!value || !*value)
		return incomplete(x, n, host ? "hostname" : "ip");
	append_mapped(out, e->map_format, value);
	return 0;
}

static int append_list(const struct expansion *x, const struct macro_expr *e,
                       const struct members *l, struct buf *out)
{
	const char *separator = e->separator ? e->separator : ",";
	if (!l)
		return NO_VALUE;
	if (e->indexed && e->index >= (int64_t)l->n) {
		err_set(x->err, 409,
		        "There are fewer than %" PRId64 " nodes with %s on the cluster",
		        e->index + 1, e->service);
		return MACRO_E_INCOMPLETE;
	}
	if (e->indexed)
		return append_node(x, e, l->v[e->index], out);
	for (size_t i = 0; i < l->n; i++) {
		int rc;
		if (i)
			buf_adds(out, separator);
		rc = append_node(x, e, l->v[i], out);
		if (rc)
			return rc;
	}
	return 0;
}

static int append_instance(const struct expansion *x, const struct macro_expr *e,
                           const struct members *l, struct buf *out)
{
	char number[24];
	for (size_t i = 0; l && i < l->n; i++) {
		if (l->v[i] == x->self) {
			(void)snprintf(number, sizeof(number), "%zu", i + 1);
			append_mapped(out, e->map_format, number);
			return 0;
		}
	}
	return NO_VALUE;
}

static int append_value(const struct expansion *x, const struct macro_expr *e, struct buf *out)
{
	const struct members *l = e->service ? map_get(x->m->services, e->service) : NULL;
	const bool self = x->self != MACRO_NO_SELF;
	char number[24];
	switch (e->kind) {
	case MACRO_OWNER:
		if (!x->m->owner)
			return NO_VALUE;
		append_mapped(out, e->map_format, x->m->owner);
		return 0;
	case MACRO_NUM:
		(void)snprintf(number, sizeof(number), "%zu", l ? l->n : 0);
		append_mapped(out, e->map_format, number);
		return 0;
	case MACRO_INSTANCE:
		return append_instance(x, e, l, out);
	case MACRO_HOST_SELF:
		if (!self || str_blank(x->m->nodes[x->self].hostname))
			return NO_VALUE;
		return append_node(x, e, x->self, out);
	case MACRO_IP_SELF:
		return self ? append_node(x, e, x->self, out) : NO_VALUE;
	case MACRO_HOST_SERVICE:
	case MACRO_IP_SERVICE:
		break;
	}
	return append_list(x, e, l, out);
}

/* ---- one text ------------------------------------------------------------------------------- */

/* Does an unpaired percent sign follow the one at `at`? */
static bool has_partner(const char *s, size_t len, size_t at)
{
	for (size_t i = at + 1; i < len; i++) {
		if (s[i] != '%')
			continue;
		if (i + 1 == len || s[i + 1] != '%')
			return true;
		i++;
	}
	return false;
}

/* Adds the place and the text to an error. */
static int complain(struct expansion *x, int code, const char *s, size_t len)
{
	const int shown = len < 80 ? (int)len : 80;
	LOOM_CLEANUP_STR char *msg = loom_strdup(x->err->msg);
	err_set(x->err, x->err->status, "%.200s%s%s in \"%.*s%s\"%s", buf_str(&x->place),
	        x->place.len ? ": " : "", msg, shown, s, shown < (int)len ? "..." : "",
	        code == MACRO_E_SYNTAX ? " (a plain percent sign is written %%)" : "");
	return code;
}

/* Expands the macro after the percent sign at s. *ret_len 0: it is only a percent sign. */
static int expand_macro(struct expansion *x, const char *s, size_t len, struct buf *out,
                        size_t *ret_len)
{
	const size_t start = out->len;
	struct macro_expr e;
	size_t n = 0;
	int rc = macro_parse(s + 1, len - 1, &e, &n, x->err) ? MACRO_E_SYNTAX : 0;
	*ret_len = 0;
	if (!rc && (n + 1 == len || s[n + 1] != '%')) {
		err_set(x->err, 400, "Extra characters after macro at position %zu", n);
		rc = MACRO_E_SYNTAX;
	}
	if (rc) {
		rc = has_partner(s, len, 0) ? complain(x, rc, s, len) : 0;
	} else {
		*ret_len = n + 2;
		rc = append_value(x, &e, out);
		if (rc > 0) {
			rc = complain(x, rc, s, n + 2);
		} else if (rc == NO_VALUE) {
			out->len = start;
			buf_add(out, s, n + 2);
			rc = 0;
		}
	}
	macro_expr_fini(&e);
	return rc;
}

static int expand_text(struct expansion *x, const char *s, size_t len, struct buf *out)
{
	size_t i = 0;
	/* stop once the result is too large */
	while (i < len && !out->full) {
		const char *percent = memchr(s + i, '%', len - i);
		const size_t at = percent ? (size_t)(percent - s) : len;
		size_t n = 0;
		int rc = 0;
		buf_add(out, s + i, at - i);
		if (at == len)
			break;
		if (at + 1 < len && s[at + 1] == '%')
			n = 2;
		else
			rc = expand_macro(x, s + at, len - at, out, &n);
		if (rc)
			return rc;
		if (n <= 2) /* %% or a single percent sign */
			buf_addc(out, '%');
		i = at + (n ? n : 1);
	}
	x->bytes += out->len;
	if (out->full || x->bytes > MACRO_MAX_BYTES) {
		err_set(x->err, 400, "the expanded text is larger than %u bytes", MACRO_MAX_BYTES);
		return complain(x, MACRO_E_SYNTAX, s, len);
	}
	return 0;
}

/* ---- documents ------------------------------------------------------------------------------ */

static int expand_value(struct expansion *x, const struct json *v, struct json **ret);

static int expand_string(struct expansion *x, const struct json *v, struct json **ret)
{
	const char *s = json_str(v);
	const size_t len = json_str_len(v);
	struct buf out = BUF_INIT(MACRO_MAX_BYTES);
	int rc;
	if (!memchr(s, '%', len)) {
		*ret = json_copy(v);
		return 0;
	}
	rc = expand_text(x, s, len, &out);
	if (!rc)
		*ret = json_new_strn(buf_str(&out), out.len);
	buf_fini(&out);
	return rc;
}

static int expand_members(struct expansion *x, const struct json *v, struct json *out)
{
	const bool object = json_is(v, JSON_OBJECT);
	for (size_t i = 0; i < json_len(v); i++) {
		const size_t mark = x->place.len;
		struct json *element = NULL;
		int rc;
		if (object)
			buf_addf(&x->place, "%s%s", mark ? "." : "", json_key_at(v, i));
		else
			buf_addf(&x->place, "[%zu]", i);
		rc = expand_value(x, object ? json_value_at(v, i) : json_at(v, i), &element);
		if (rc)
			return rc;
		if (object)
			json_set(out, json_key_at(v, i), element);
		else
			json_push(out, element);
		x->place.len = mark;
		x->place.full = false;
		if (x->place.data)
			x->place.data[mark] = '\0';
	}
	return 0;
}

static int expand_value(struct expansion *x, const struct json *v, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *out = NULL;
	int rc;

	if (json_is(v, JSON_STRING))
		return expand_string(x, v, ret);
	if (!json_is(v, JSON_OBJECT) && !json_is(v, JSON_ARRAY)) {
		*ret = json_copy(v);
		return 0;
	}
	out = json_is(v, JSON_OBJECT) ? json_new_obj() : json_new_arr();
	rc = expand_members(x, v, out);
	if (!rc)
		*ret = loom_take(out);
	return rc;
}

static int expand_document(struct expansion *x, const struct json *config, struct json **ret)
{
	struct loom_err own;
	int rc;
	if (!x->err)
		x->err = &own;
	x->place = BUF_INIT(200);
	rc = expand_value(x, config, ret);
	buf_fini(&x->place);
	return rc;
}

int macro_expand(const struct macro *m, size_t self, const struct json *config, struct json **ret,
                 struct loom_err *err)
{
	struct expansion x = { .m = m, .self = self, .err = err };
	return expand_document(&x, config, ret);
}

int macro_check(const struct macro *m, const struct json *config, struct loom_err *err)
{
	struct expansion x = { .m = m, .self = MACRO_NO_SELF, .err = err, .counts = true };
	LOOM_CLEANUP(json_free) struct json *expanded = NULL;
	return expand_document(&x, config, &expanded);
}

int macro_expand_str(const struct macro *m, size_t self, const char *text, char **ret,
                     struct loom_err *err)
{
	struct loom_err own;
	struct expansion x = { .m = m, .self = self, .err = err ? err : &own };
	struct buf out = BUF_INIT(MACRO_MAX_BYTES);
	int rc = expand_text(&x, text, strlen(text), &out);
	if (!rc)
		*ret = buf_take(&out);
	buf_fini(&out);
	buf_fini(&x.place);
	return rc;
}
