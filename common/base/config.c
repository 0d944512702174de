/* SPDX-License-Identifier: Apache-2.0 */
/* Reads configuration by tables of keys: defaults, file, environment and flags, in this order. */
#include "common/base/config.h"

#include "common/base/clock.h"
#include "common/base/near.h"
#include "common/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MASK "********"

static void *field(const struct config_table *t, const struct config_key *k)
{
	return (char *)t->base + k->offset;
}

static const struct config_key *find_key(const struct config_table *tables, const char *name,
                                         const struct config_table **ret_table)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (str_eq(k->name, name)) {
				*ret_table = t;
				return k;
			}
		}
	}
	return NULL;
}

const char *config_meant(const struct config_table *tables, const char *name)
{
	LOOM_CLEANUP_STR char *key = loom_strdup(name);
	for (char *p = key; (p = strchr(p, '-'));)
		*p = '_';
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (str_ieq(key, k->name) || near(key, k->name))
				return k->name;
		}
	}
	return NULL;
}

static bool parse_bool(const char *s, bool *ret)
{
	static const char *const words[] = { "false", "true", "no", "yes", "0", "1" };

	for (unsigned i = 0; i < LOOM_COUNT(words); i++) {
		if (str_ieq(s, words[i])) {
			*ret = i % 2 == 1;
			return true;
		}
	}
	return false;
}

/* A duration in the largest unit that says it exactly. */
static char *duration_text(int64_t ms)
{
	if (ms == 0 || ms % 1000)
		return loom_asprintf("%" PRId64 "ms", ms);
	if (ms % 60000)
		return loom_asprintf("%" PRId64 "s", ms / 1000);
	if (ms % 3600000)
		return loom_asprintf("%" PRId64 "m", ms / 60000);
	if (ms % 86400000)
		return loom_asprintf("%" PRId64 "h", ms / 3600000);
	return loom_asprintf("%" PRId64 "d", ms / 86400000);
}

/* Is it a number alone, where nothing says of what? */
static bool lacks_unit(const struct config_key *k, const char *value)
{
	int64_t n;
	return k->type == CFG_DURATION && !str_ends(k->name, "_ms") && !str_to_int(value, &n) && n;
}

/* Returns what is wrong with the number, owned, or NULL. */
static char *store_number(const struct config_key *k, const char *value, int64_t *dst)
{
	bool duration = k->type == CFG_DURATION, bounded = k->min || k->max;
	int64_t n;
	int rc = duration ? clock_parse_ms(value, &n) : str_to_int(value, &n);
	if (rc == -EINVAL)
		return loom_asprintf(duration ? "\"%s\" is not a duration (250ms, 5s, 3m, 2h, 7d)"
		                              : "\"%s\" is not a whole number",
		                     value);
	if (lacks_unit(k, value))
		return loom_asprintf("%s has no unit: %ss, %sm, %sh or %sd is meant", value, value,
		                     value, value, value);
	if (rc || (bounded && (n < k->min || n > k->max))) {
		int64_t min = bounded ? k->min : (duration ? 0 : INT64_MIN);
		int64_t max = bounded ? k->max : INT64_MAX;
		LOOM_CLEANUP_STR char *low =
			duration ? duration_text(min) : loom_asprintf("%" PRId64, min);
		LOOM_CLEANUP_STR char *high =
			duration ? duration_text(max) : loom_asprintf("%" PRId64, max);

		return loom_asprintf("%s is not between %s and %s", value, low, high);
	}
	*dst = n;
	return NULL;
}

/* Returns what is wrong with the value, owned, or NULL. */
static char *store(const struct config_table *t, const struct config_key *k, const char *value)
{
	char **text;
	switch (k->type) {
	case CFG_INT:
	case CFG_DURATION:
		return store_number(k, value, field(t, k));
	case CFG_BOOL:
		if (!parse_bool(value, field(t, k)))
			return loom_asprintf("\"%s\" is not true or false", value);
		return NULL;
	case CFG_STR:
		break;
	}
	if (strpbrk(value, "\r\n"))
		return loom_strdup("a value is one line");
	text = field(t, k);
	loom_free(*text);
	*text = loom_strdup(value);
	return NULL;
}

int config_defaults(const struct config_table *tables, struct loom_err *err)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			LOOM_CLEANUP_STR char *wrong = NULL;
			if (!k->def && k->type != CFG_STR)
				continue; /* stays as the struct was initialised */
			wrong = store(t, k, k->def ? k->def : "");
			if (wrong)
				return err_set(err, 0, "%s: default: %s", k->name, wrong);
		}
	}
	return 0;
}

int config_set(const struct config_table *tables, const char *key, const char *value,
               struct loom_err *err)
{
	const struct config_table *t;
	const struct config_key *k = find_key(tables, key, &t);
	LOOM_CLEANUP_STR char *wrong = NULL;
	if (!k) {
		const char *meant = config_meant(tables, key);
		return err_set(err, 0, "unknown key \"%s\"%s%s%s", key,
		               meant ? "; did you mean " : "", meant ? meant : "",
		               meant ? "?" : "");
	}
	wrong = store(t, k, value);
	if (wrong)
		return err_set(err, 0, "%s: %s", key, wrong);
	return 0;
}

/* ---- file ------------------------------------------------------------------------------------ */

/* Strips white space on both sides, in place. */
static char *trim(char *s)
{
	size_t n;
	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* some editors begin a file with it, unseen */

static int load_line(const struct config_table *tables, char *line, size_t len,
                     struct loom_err *err)
{
	char *key, *equals;
	if (strlen(line) != len)
		return err_set(err, 0, "a NUL character");
	key = trim(str_starts(line, BYTE_ORDER_MARK) ? line + strlen(BYTE_ORDER_MARK) : line);
	if (*key == '\0' || *key == '#')
		return 0;
	equals = strchr(key, '=');
	if (!equals)
		return err_set(err, 0, "\"key = value\" was expected");
	*equals = '\0';
	return config_set(tables, trim(key), trim(equals + 1), err);
}

int config_load_file(const struct config_table *tables, const char *path, struct loom_err *err)
{
	struct loom_err why = { 0 };
	FILE *f = fopen(path, "re");
	unsigned number = 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;
	if (!f)
		return err_set(err, 0, "%s: %s", path, strerror(errno));
	errno = 0;
	while (!rc && (n = getline(&line, &cap, f)) >= 0) {
		number++;
		rc = load_line(tables, line, (size_t)n, &why);
		if (rc)
			rc = err_set(err, 0, "%s:%u: %s", path, number, why.msg);
	}
	if (!rc && ferror(f))
		rc = err_set(err, 0, "%s: %s", path, strerror(errno));
	free(line);
	(void)fclose(f);
	return rc;
}

/* ---- environment ----------------------------------------------------------------------------- */

static char *env_name(const char *key)
{
	char *name = loom_asprintf("LOOM_%s", key);
	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

int config_load_env(const struct config_table *tables, struct loom_err *err)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			LOOM_CLEANUP_STR char *name = env_name(k->name);
			LOOM_CLEANUP_STR char *wrong = NULL;
			const char *value = getenv(name);
			if (value)
				wrong = store(t, k, value);
			if (wrong)
				return err_set(err, 0, "%s: %s", name, wrong);
		}
	}
	return 0;
}

int config_check(const struct config_table *tables, struct loom_err *err)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			if (k->type != CFG_STR || !(k->flags & CFG_REQUIRED) ||
			    !str_blank(*(char **)field(t, k)))
				continue;
			return err_set(err, 0, "%s is not set (%s)", k->name, k->doc ? k->doc : "");
		}
	}
	return 0;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* The value as written in a file; returns owned. */
static char *value_text(const struct config_table *t, const struct config_key *k)
{
	const char *s;
	switch (k->type) {
	case CFG_INT:
		return loom_asprintf("%" PRId64, *(int64_t *)field(t, k));
	case CFG_DURATION:
		return duration_text(*(int64_t *)field(t, k));
	case CFG_BOOL:
		return loom_strdup(*(bool *)field(t, k) ? "true" : "false");
	case CFG_STR:
		break;
	}
	s = *(char **)field(t, k);
	return loom_strdup(s ? s : "");
}

void config_print(const struct config_table *tables, FILE *f)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			LOOM_CLEANUP_STR char *text = value_text(t, k);
			bool masked = (k->flags & CFG_SECRET) && *text;
			(void)fprintf(f, "%s =%s%s\n", k->name, *text ? " " : "",
			              masked ? MASK : text);
		}
	}
}

static char *flag_text(const struct config_key *k)
{
	static const char *const kinds[] = {
		[CFG_STR] = "TEXT", [CFG_INT] = "N", [CFG_DURATION] = "TIME", [CFG_BOOL] = "BOOL"
	};
	char *text = loom_asprintf("--%s=", k->name);
	char *full;

	for (char *p = text; *p; p++) {
		if (*p == '_')
			*p = '-';
	}
	full = loom_asprintf("%s%s", text, kinds[k->type]);
	loom_free(text);
	return full;
}

void config_help(const struct config_table *tables, FILE *f)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			LOOM_CLEANUP_STR char *flag = flag_text(k);
			(void)fprintf(f, "  %-30s %s", flag, k->doc ? k->doc : "");
			if (k->def && *k->def)
				(void)fprintf(f, " (default %s)", k->def);
			else if (k->flags & CFG_REQUIRED)
				(void)fprintf(f, " (required)");
			if (k->flags & CFG_RELOAD)
				(void)fprintf(f, " (reloadable)");
			(void)fputc('\n', f);
		}
	}
}

void config_fini(const struct config_table *tables)
{
	for (const struct config_table *t = tables; t->keys; t++) {
		for (const struct config_key *k = t->keys; k->name; k++) {
			char **text;
			if (k->type != CFG_STR)
				continue;
			text = field(t, k);
			loom_free(*text);
			*text = NULL;
		}
	}
}

/* ---- a second configuration beside the active one -------------------------------------------- */

static size_t count_tables(const struct config_table *t)
{
	size_t n = 0;
	while (t[n].keys)
		n++;
	return n;
}

/* The size of a struct with every field that the table has a row for. */
static size_t base_size(const struct config_key *keys)
{
	size_t size = 0;
	for (const struct config_key *k = keys; k->name; k++) {
		if (k->offset >= size)
			size = k->offset + sizeof(int64_t);
	}
	return size;
}

static void copy_number(const struct config_table *to, const struct config_table *from,
                        const struct config_key *k)
{
	if (k->type == CFG_BOOL)
		*(bool *)field(to, k) = *(bool *)field(from, k);
	else if (k->type != CFG_STR)
		*(int64_t *)field(to, k) = *(int64_t *)field(from, k);
}

struct config_table *config_twin(const struct config_table *tables)
{
	struct config_table *twin = loom_calloc(count_tables(tables) + 1, sizeof(*twin));
	for (size_t i = 0; tables[i].keys; i++) {
		twin[i] = (struct config_table){ tables[i].keys,
			                         loom_calloc(1, base_size(tables[i].keys)) };
		for (const struct config_key *k = tables[i].keys; k->name; k++)
			copy_number(&twin[i], &tables[i], k);
	}
	return twin;
}

void config_twin_free(struct config_table *twin)
{
	config_fini(twin);
	for (struct config_table *t = twin; t->keys; t++)
		loom_free(t->base);
	loom_free(twin);
}

static void adopt(const struct config_table *to, const struct config_table *from,
                  const struct config_key *k)
{
	if (k->type == CFG_STR) {
		char **have = field(to, k), **want = field(from, k);
		char *old = *have;
		*have = *want;
		*want = old;
	}
	copy_number(to, from, k);
}

void config_adopt(const struct config_table *tables, const struct config_table *twin,
                  void (*report)(const char *key, bool taken))
{
	for (size_t i = 0; tables[i].keys; i++) {
		for (const struct config_key *k = tables[i].keys; k->name; k++) {
			LOOM_CLEANUP_STR char *have = value_text(&tables[i], k);
			LOOM_CLEANUP_STR char *want = value_text(&twin[i], k);
			if (str_eq(have, want))
				continue;
			if (k->flags & CFG_RELOAD)
				adopt(&tables[i], &twin[i], k);
			report(k->name, k->flags & CFG_RELOAD);
		}
	}
}
