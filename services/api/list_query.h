/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_query - what stands behind the '?' of a list. The original's clients may send anything, and
 * what is not known is passed over; whoever asks for what Loom added (a page, an order, ...) is
 * told of all that is wrong. Worker threads.
 */
#ifndef LOOM_API_LIST_QUERY_H
#define LOOM_API_LIST_QUERY_H

#include "common/json/schema.h"
#include "common/net/http_server.h"

#define LIST_PAGE_MAX 1000

/* Each parameter is one that the table has for this path (route_queries), given once unless its
 * schema is an array, and as the schema has it; false when answered (400). */
bool list_query_check(struct http_req *req);
/* Is one of them there? Names end with NULL. */
bool list_query_has(const struct http_req *req, const char *const *names);

/* Is it there, and no "false"? */
bool list_query_flag(const struct http_req *req, const char *name);

/* "limit", 0 when it is not given; false when answered. */
bool list_query_limit(struct http_req *req, int64_t *ret);
/* "fields": those of an object, with commas, added to ret; false when answered. */
bool list_query_fields(struct http_req *req, const struct schema *object, struct strs *ret);
/* An object's text with these members only; none: all. Owned. */
char *list_pick(const char *text, size_t len, const struct strs *fields);

/*
 * A list that is read whole. Without a parameter of its own it is answered as it is, as the
 * original's clients expect; with one, only what q=, filters, after= and limit= leave of it, in the
 * order that sort= says, with the members of fields=. A parameter of the table that is none of
 * these is a filter: the member of its name must be so.
 */
struct list_rules {
	const char *key;             /* a text that names each, and is their order */
	const struct schema *item;   /* whose members fields= may name */
	const char *const *searched; /* in which q= looks; ends with NULL; NULL: there is no q= */
	bool down;                   /* the greatest key comes first unless sort= says otherwise */
};
void list_reply(struct http_req *req, const struct json *list, const struct list_rules *rules);

/* Link: the same request, for what comes behind this place, which is encoded here. */
void list_link_next(struct http_req *req, const char *after);

#endif
