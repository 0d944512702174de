/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the required form of documents, as constant tables, and one checker for all of them. It
 * finds all faults at once, each with a JSON pointer (RFC 6901) to its place. The same tables can
 * be written as JSON Schema (2020-12), which OpenAPI 3.1 uses.
 *
 * Scalars convert as in json.h ("10" is a number, 10 a text), and null is absent, because the
 * original's clients send them so. The caller checks everything beyond structure, such as existing
 * names. Pure; any thread.
 */
#ifndef LOOM_JSON_SCHEMA_H
#define LOOM_JSON_SCHEMA_H

#include "common/json/json.h"

#define SCHEMA_FAULTS_MAX 64 /* further ones are not reported */

enum schema_type {
	SCHEMA_ANY,
	SCHEMA_STRING,
	SCHEMA_INTEGER,
	SCHEMA_NUMBER,
	SCHEMA_BOOLEAN,
	SCHEMA_OBJECT, /* of known fields */
	SCHEMA_MAP,    /* with any names, or only those in `words`; `items` describes each value */
	SCHEMA_ARRAY,  /* of `items` */
};

enum schema_others {              /* members of an object that are not fields */
	             SCHEMA_NEAR, /* passed over, but for what looks like a misspelt field */
	             SCHEMA_OPEN, /* passed over */
	             SCHEMA_CLOSED,
};

struct schema_field;

struct schema {
	const char *name; /* of a type that others refer to, for example "Provider"; NULL: none */
	const char *doc;  /* one sentence; NULL: none */
	const char *must; /* text of a refusal: "must be ..."; NULL: made from type and bounds */
	enum schema_type type;
	enum schema_others others;
	int64_t min, max; /* a number's bounds; bytes of a string; members of an array or map.
	                   * max 0: none, and for a number no bounds at all */
	const int64_t
		*limit; /* what is configured instead of max, where that is lower; NULL: nothing */
	const char *const *words;         /* the only values of a string; ends with NULL */
	bool any_case;                    /* of their letters */
	bool (*ok)(const struct json *v); /* a further check; NULL: none */
	const char *pattern; /* the check of ok() as a regular expression, for readers */
	const struct schema_field *fields; /* of an object; ends with a NULL name */
	const struct schema *items;        /* NULL: anything */
	bool secret; /* may be sent, but is never shown, nor stored beyond its use */
};

enum { SCHEMA_REQUIRED = 1, SCHEMA_FILLED = 2 /* required, and not blank */ };

struct schema_field {
	const char *name;
	const struct schema *schema;
	int flags;
	const char *doc; /* its meaning here; NULL: the schema's doc */
};

int64_t schema_max(const struct schema *s); /* the maximum in force now */

/* All faults of v (NULL: absent): an array of {"pointer": "/a/0/b", "at": "a[0].b", "detail": "must
 * be ..."}, owned; NULL if there are none. */
struct json *schema_check(const struct schema *s, const struct json *v);
/* The same; also adds to `over` (NULL: nothing) the places of ignored members that no schema
 * allows: "constraints.mustcoexist". At most SCHEMA_OVER_MAX. */
#define SCHEMA_OVER_MAX 5
struct json *schema_check_over(const struct schema *s, const struct json *v, struct strs *over);
/* Adds "/KEY" to a JSON pointer, with '~' and '/' escaped. */
void schema_pointer_add(struct buf *b, const char *key);
/* All faults in one text, owned: "a[0].b must be ...; c is missing". */
char *schema_words(const struct json *faults);

/* As JSON Schema, owned. A schema with a name is written as a reference to
 * "#/components/schemas/NAME" and added to `named`, together with those it refers to. */
struct json *schema_write(const struct schema *s, struct json *named);

#endif
