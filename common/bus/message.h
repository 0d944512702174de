/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - the codec of messages between services: a struct, and a table row for each member, from
 * which the JSON is written and read. The messages themselves are in messages.h.
 *
 * Processes of one version and the next talk to each other. So a field that is not in the table is
 * ignored, and an absent or null field has its default. A message is refused if a field has a wrong
 * type or is out of bounds, or if a field is missing that is required in the sender's version. A
 * message tells its version ("v") from 2 on; an answer has only the fields that the asker's version
 * knows. Scalars are read as leniently as json.h reads them. Pure; any thread.
 */
#ifndef LOOM_BUS_MESSAGE_H
#define LOOM_BUS_MESSAGE_H

#include "common/json/json.h"

#define MESSAGE_MAX JSON_MAX_BYTES /* most bytes of a message, as text */

enum field_kind {
	FIELD_INT,    /* int64_t, from min to max */
	FIELD_BOOL,   /* bool */
	FIELD_TEXT,   /* const char *, at most max bytes */
	FIELD_OBJECT, /* const struct json *, at most max members */
	FIELD_ARRAY,  /* const struct json *, at most max elements */
	FIELD_TEXTS,  /* the same, of strings only */
	FIELD_LIST,   /* struct message_list of structs, at most max */
};

struct message_field {
	const char *key; /* NULL ends a table */
	enum field_kind kind;
	size_t offset;
	int64_t min, max;
	int64_t def; /* default of a number or bool; other fields become NULL or empty */
	bool required;
	int since;                         /* the first version with it; 0: all have it */
	const struct message_shape *items; /* of a list */
};

struct message_shape {
	const struct message_field *fields;
	size_t size; /* of the struct; a whole message begins with struct message */
};

struct message_type {
	const char *verb;
	int version; /* of request and answer; rises when a field is added */
	struct message_shape body, answer;
};

/* First member of each message's struct. All zero in a message to be sent; its texts, trees and
 * lists are borrowed and may be NULL. */
struct message {
	const struct message_shape *shape;
	struct json *doc; /* owns what texts and trees point to */
	int version;      /* of the sender */
};

struct message_list {
	void *v;
	size_t n;
};

/* The message as JSON, owned; NULL if larger than MESSAGE_MAX. */
char *message_write(const struct message_type *t, const void *m);
/* The answer for an asker of that version. */
char *message_write_answer(const struct message_type *t, int version, const void *m);
/* The struct, owned (message_free()); or NULL with err naming the field and the expected value.
 * Takes doc in any case; NULL reads as an empty object. */
void *message_read(const struct message_type *t, struct json *doc, struct loom_err *err);
void *message_read_answer(const struct message_type *t, struct json *doc, struct loom_err *err);
void message_free(void *m); /* frees a message that was read; NULL is fine */

LOOM_DEFINE_CLEANUP(void *, message_free)

/* Rows of a table. The compiler rejects a member of a different type. */
#define MESSAGE_AT(type, member, wanted)                                                       \
	(offsetof(type, member) +                                                              \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->member), wanted) \
	                         ? 1                                                           \
	                         : -1]))
#define MESSAGE_INT(type, member, name, least, most, ...)                                      \
	{                                                                                      \
		.key = (name), .kind = FIELD_INT, .offset = MESSAGE_AT(type, member, int64_t), \
		.min = (least), .max = (most), __VA_ARGS__                                     \
	}
#define MESSAGE_BOOL(type, member, name, ...)                                                \
	{                                                                                    \
		.key = (name), .kind = FIELD_BOOL, .offset = MESSAGE_AT(type, member, bool), \
		__VA_ARGS__                                                                  \
	}
#define MESSAGE_TEXT(type, member, name, most, ...)                                          \
	{                                                                                    \
		.key = (name), .kind = FIELD_TEXT,                                           \
		.offset = MESSAGE_AT(type, member, const char *), .max = (most), __VA_ARGS__ \
	}
#define MESSAGE_TREE(tree, type, member, name, most, ...)                               \
	{                                                                               \
		.key = (name), .kind = (tree),                                          \
		.offset = MESSAGE_AT(type, member, const struct json *), .max = (most), \
		__VA_ARGS__                                                             \
	}
#define MESSAGE_LIST(type, member, name, most, shape, ...)                              \
	{                                                                               \
		.key = (name), .kind = FIELD_LIST,                                      \
		.offset = MESSAGE_AT(type, member, struct message_list), .max = (most), \
		.items = (shape), __VA_ARGS__                                           \
	}

#endif
