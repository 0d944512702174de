/* SPDX-License-Identifier: Apache-2.0 */
/* Wraps each module in a function that returns its exports, placed after the modules that it
 * imports. */
#include "services/ui-gateway/bundle.h"

#include "common/base/buf.h"

#include <ctype.h>
#include <string.h>

#define SCRIPT_MAX ((size_t)8 << 20)
#define DEPTH_MAX  64 /* of nested imports; more means a cycle */

struct bundle {
	bundle_read read;
	const void *arg;
	struct strs done; /* modules written to `out` */
	struct buf out;
	struct loom_err *err;
};

struct line {
	const char *text;
	size_t len; /* without the line feed */
};

static bool begins(struct line l, const char *word)
{
	size_t n = strlen(word);
	return l.len >= n && strncmp(l.text, word, n) == 0;
}

/* Returns the next line, and advances *at. */
static struct line next_line(const char **at)
{
	struct line l = { *at, strcspn(*at, "\n") };
	*at += l.len + ((*at)[l.len] == '\n');
	return l;
}

static int refuse(struct bundle *b, const char *module, struct line l)
{
	return err_set(b->err, 1, "%s: a bundle does not understand '%.*s'", module,
	               (int)(l.len > 80 ? 80 : l.len), l.text);
}

/* ---- imports --------------------------------------------------------------------------------- */

/* Parses `import WHAT from "./FILE";`: both owned, *ret_file NULL if the line has another form. */
static void split_import(struct line l, char **ret_what, char **ret_file)
{
	static const char middle[] = " from \"./", end[] = "\";";
	LOOM_CLEANUP_STR char *text = loom_strndup(l.text, l.len);
	const char *what = text + strlen("import "), *from = strstr(what, middle);
	*ret_what = *ret_file = NULL;
	if (!from || !str_ends(text, end))
		return;
	const char *file = from + sizeof(middle) - 1;
	*ret_what = loom_strndup(what, (size_t)(from - what));
	*ret_file = loom_strndup(file, strlen(file) - (sizeof(end) - 1));
}

/* Writes "{ a, b as c }" as a pattern: "{ a, b: c }". */
static void put_pattern(struct buf *out, const char *names)
{
	static const char as[] = " as ";
	for (const char *at; (at = strstr(names, as)); names = at + sizeof(as) - 1) {
		buf_add(out, names, (size_t)(at - names));
		buf_adds(out, ": ");
	}
	buf_adds(out, names);
}

static int put_import(struct bundle *b, const char *module, struct line l)
{
	LOOM_CLEANUP_STR char *what = NULL;
	LOOM_CLEANUP_STR char *file = NULL;
	split_import(l, &what, &file);
	bool names = file && *what == '{' && str_ends(what, "}");
	bool whole = file && str_starts(what, "* as ");
	if (!names && !whole)
		return refuse(b, module, l);
	buf_adds(&b->out, "const ");
	put_pattern(&b->out, whole ? what + strlen("* as ") : what);
	buf_addf(&b->out, " = $modules[\"%s\"];\n", file);
	return 0;
}

/* ---- exports --------------------------------------------------------------------------------- */

/* Writes the declaration without its `export`, and adds its name. */
static int put_export(struct bundle *b, const char *module, struct line l, struct strs *names)
{
	static const char *const kinds[] = { "async function ", "function ", "class ", "const " };
	struct line rest = { l.text + strlen("export "), l.len - strlen("export ") };
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++) {
		if (!begins(rest, kinds[i]))
			continue;
		const char *name = rest.text + strlen(kinds[i]);
		size_t n = 0;
		while (isalnum((unsigned char)name[n]) || name[n] == '_' || name[n] == '$')
			n++;
		if (!n)
			break;
		strs_addf(names, "%.*s", (int)n, name);
		buf_add(&b->out, rest.text, rest.len);
		buf_addc(&b->out, '\n');
		return 0;
	}
	return refuse(b, module, l);
}

/* ---- modules --------------------------------------------------------------------------------- */

static int put_body(struct bundle *b, const char *module, const char *text)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	int rc = 0;
	buf_addf(&b->out, "$modules[\"%s\"] = (() => {\n", module);
	while (!rc && *text) {
		struct line l = next_line(&text);
		if (begins(l, "import ")) {
			rc = put_import(b, module, l);
		} else if (begins(l, "export ")) {
			rc = put_export(b, module, l, &names);
		} else {
			buf_add(&b->out, l.text, l.len);
			buf_addc(&b->out, '\n');
		}
	}
	LOOM_CLEANUP_STR char *all = strs_join(&names, ", ");
	buf_addf(&b->out, "return { %s };\n})();\n", all);
	return rc;
}

/* Writes the module after all modules that it imports. */
static int put_module(struct bundle *b, const char *module,
                      int depth) /* NOLINT(misc-no-recursion) */
{
	const char *text = b->read(b->arg, module);
	int rc = 0;
	if (strs_has(&b->done, module))
		return 0;
	if (!text)
		return err_set(b->err, 1, "there is no module %s", module);
	if (depth == DEPTH_MAX)
		return err_set(b->err, 1, "%s is imported in a circle", module);
	for (const char *at = text; !rc && *at;) {
		struct line l = next_line(&at);
		LOOM_CLEANUP_STR char *what = NULL;
		LOOM_CLEANUP_STR char *file = NULL;
		if (begins(l, "import "))
			split_import(l, &what, &file);
		if (file)
			rc = put_module(b, file, depth + 1);
	}
	strs_add(&b->done, module);
	return rc ? rc : put_body(b, module, text);
}

char *bundle_modules(bundle_read read, const void *arg, const char *entry, struct loom_err *err)
{
	struct bundle b = { .read = read, .arg = arg, .out = BUF_INIT(SCRIPT_MAX), .err = err };
	buf_adds(&b.out, "const $modules = {};\n");
	int rc = put_module(&b, entry, 0);
	strs_fini(&b.done);
	if (!rc && b.out.full)
		rc = err_set(err, 1, "the modules together are too long");
	if (!rc)
		return buf_take(&b.out);
	buf_fini(&b.out);
	return NULL;
}

char *bundle_page(const char *page)
{
	struct buf out = BUF_INIT(SCRIPT_MAX);
	while (*page) {
		struct line l = next_line(&page);
		if (begins(l, "<link rel=\"modulepreload\""))
			continue;
		buf_add(&out, l.text, l.len);
		buf_addc(&out, '\n');
	}
	return buf_take(&out);
}
