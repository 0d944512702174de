/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - one row per key; struct fields, defaults, file, LOOM_* environment, flags, --help,
 * --print-config and --check-config all come from the rows.
 *
 * Order: default, file, environment, flags; the last wins. Unknown keys in the file or flags are
 * errors that name the key and the line. A row points into the service's own struct by offset.
 * Several tables may be combined (common tables plus the service's own). Start-up thread only.
 */
#ifndef LOOM_BASE_CONFIG_H
#define LOOM_BASE_CONFIG_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
	CFG_STR,      /* char *, owned by the struct after loading; "" if not set */
	CFG_INT,      /* int64_t, within [min, max] */
	CFG_DURATION, /* int64_t milliseconds, within [min, max] ms; in text with a unit, which only
	               * keys that end with _ms may leave out */
	CFG_BOOL,     /* bool: true/false/yes/no/1/0 */
};

/* CFG_RELOAD: may change while the service runs; read on the loop's thread only. */
enum { CFG_SECRET = 1, CFG_REQUIRED = 2, CFG_RELOAD = 4 };

struct config_key {
	const char *name; /* file key "db_host"; environment LOOM_DB_HOST; flag --db-host */
	enum config_type type;
	size_t offset;
	const char *def;  /* in text */
	int64_t min, max; /* both 0: no limits */
	unsigned flags;
	const char *doc;
};

/* A row of a table: a member of the struct, which has the key's name. */
#define CONFIG_KEY(of, field, type, def, min, max, doc)                  \
	{                                                                \
#field, type, offsetof(of, field), def, min, max, 0, doc \
	}

struct config_table {
	const struct config_key *keys; /* ended by a row with a NULL name */
	void *base;                    /* the struct the offsets point into */
};

/* The key that is meant by a misspelt one, or by the name of its flag; NULL: none. */
const char *config_meant(const struct config_table *tables, const char *name);

/* A file has lines `key = value`; '#' begins a comment only as the first character of a line.
 * tables ends with a NULL keys. 0, or positive with err filled (err->status 0). */
LOOM_MUST_CHECK int config_defaults(const struct config_table *tables, struct loom_err *err);
LOOM_MUST_CHECK int config_load_file(const struct config_table *tables, const char *path,
                                     struct loom_err *err);
LOOM_MUST_CHECK int config_load_env(const struct config_table *tables, struct loom_err *err);
LOOM_MUST_CHECK int config_set(const struct config_table *tables, const char *key,
                               const char *value, struct loom_err *err);
LOOM_MUST_CHECK int config_check(const struct config_table *tables, struct loom_err *err);
void config_print(const struct config_table *tables, FILE *f); /* file format, secrets masked */
void config_help(const struct config_table *tables, FILE *f);
void config_fini(const struct config_table *tables); /* frees the strings */

/* Copies of the tables with their own structs, to load a configuration beside the active one.
 * config_twin_free() also frees their strings. */
struct config_table *config_twin(const struct config_table *tables);
void config_twin_free(struct config_table *twin);
/* Takes over the values that differ in the twin and may change while the service runs. Calls report
 * for each key that differs; taken is false if it needs a restart. */
void config_adopt(const struct config_table *tables, const struct config_table *twin,
                  void (*report)(const char *key, bool taken));

#endif
