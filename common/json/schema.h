/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - what a document must look like, as constant tables, and one checker for all of them. It
 * finds all faults at once, each with a JSON pointer (RFC 6901) to what is wrong. The same tables
 * are written as JSON Schema (2020-12), as OpenAPI 3.1 has it.
 *
 * Scalars convert as json.h reads them ("10" is a number, 10 a text), and null is absent: so the
 * original's clients send them. Not pure structure, as what names exist, is the caller's to check.
 * Pure; any thread.
 */
#ifndef LOOM_JSON_SCHEMA_H
#define LOOM_JSON_SCHEMA_H

#include "common/json/json.h"

#define SCHEMA_FAULTS_MAX 64 /* more are not told */

enum schema_type {
	SCHEMA_ANY,
	SCHEMA_STRING,
	SCHEMA_INTEGER,
	SCHEMA_NUMBER,
	SCHEMA_BOOLEAN,
	SCHEMA_OBJECT, /* of known fields */
	SCHEMA_MAP,    /* of any names; `items` is what each value is, `words` are the only ones */
	SCHEMA_ARRAY,  /* of `items` */
};

enum schema_others {              /* members of an object that are no fields */
	             SCHEMA_NEAR, /* passed over, but for what looks like a misspelt field */
	             SCHEMA_OPEN, /* passed over */
	             SCHEMA_CLOSED,
};

struct schema_field;

struct schema {
	const char *name; /* of a type that others refer to, "Provider"; NULL: none */
	const char *doc;  /* one sentence; NULL: none */
	const char *must; /* of a refusal: "must be ..."; NULL: as type and bounds say it */
	enum schema_type type;
	enum schema_others others;
	int64_t min, max; /* a number's bounds; bytes of a string; members of an array or map.
	                   * max 0: none, and for a number no bounds at all */
	const char *const *words;          /* the only values of a string; ends with NULL */
	bool (*ok)(const struct json *v);  /* beside all that; NULL: nothing */
	const char *pattern;               /* what ok() says, as a regular expression for readers */
	const struct schema_field *fields; /* of an object; ends with a NULL name */
	const struct schema *items;        /* NULL: anything */
	bool secret;                       /* is sent, and never shown or kept beside its use */
};

enum { SCHEMA_REQUIRED = 1, SCHEMA_FILLED = 2 /* required, and no text of blanks */ };

struct schema_field {
	const char *name;
	const struct schema *schema;
	int flags;
	const char *doc; /* what it means here; NULL: as the schema says */
};

/* All that is wrong with v (NULL: absent): an array of {"pointer": "/a/0/b", "at": "a[0].b",
 * "detail": "must be ..."}, owned; NULL when nothing is. */
struct json *schema_check(const struct schema *s, const struct json *v);
/* All faults in one text, owned: "a[0].b must be ...; c is missing". */
char *schema_words(const struct json *faults);

/* As JSON Schema, owned. A schema with a name is written as a reference to
 * "#/components/schemas/NAME" and added to `named`, with those it refers to. */
struct json *schema_write(const struct schema *s, struct json *named);

#endif
