/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_query - the query parameters of a list. The original's clients may send anything, so an
 * unknown parameter is ignored unless it looks like a misspelt one. A request that uses parameters
 * that Loom added (a page, an order, ...) is checked strictly, and learns all that is wrong. Worker
 * threads.
 */
#ifndef LOOM_API_LIST_QUERY_H
#define LOOM_API_LIST_QUERY_H

#include "common/json/schema.h"
#include "common/net/http_server.h"

#define LIST_PAGE_MAX 1000

/* True if no name looks like a misspelling of a parameter in this path's table ("lable"), and none
 * is one of another change ("dry_run" of an import); false when answered (400). Checked for every
 * request: an ignored filter would show, or wait for, something else, and an ignored dry_run
 * would change what was only to be looked at. */
bool list_query_spelt(struct http_req *req);
/* Checks each parameter: it is in this path's table (route_queries), given once unless its schema
 * is an array, and matches its schema. false when answered (400). */
bool list_query_check(struct http_req *req);
/* Is one of these parameters given? Names end with NULL. */
bool list_query_has(const struct http_req *req, const char *const *names);

/* Is any parameter of this path's table given? */
bool list_query_asked(const struct http_req *req);

/* Is it given, and not "false"? */
bool list_query_flag(const struct http_req *req, const char *name);

/* "limit", 0 when it is not given; false when answered. */
bool list_query_limit(struct http_req *req, int64_t *ret);
/* Adds the members named by "fields" (of object, separated by commas) to ret; false when
 * answered. */
bool list_query_fields(struct http_req *req, const struct schema *object, struct strs *ret);
/* An object's text, reduced to these members; none: all. Owned. */
char *list_pick(const char *text, size_t len, const struct strs *fields);

/* The same for a parsed object; owned. */
struct json *list_query_pick(const struct json *item, const struct strs *fields);

/* What of its items a list knows. A parameter of the table that is none of those of all lists is a
 * filter: the member of its name must be so. */
struct list_rules {
	const char *key;             /* the member that names each, and is their order */
	const char *const *searched; /* in which q= looks; ends with NULL; NULL: there is no q= */
	bool down;                   /* the greatest key comes first unless sort= says otherwise */
	bool filters;                /* what a filter leaves out is not even read */
};
/* Do q= or a filter leave out anything that is read? And this one? */
bool list_query_filters(const struct http_req *req, const struct list_rules *rules);
bool list_query_fits(const struct http_req *req, const struct json *item,
                     const struct list_rules *rules);

/* Answers a request whose "after" is no place in its list; false. */
bool list_refuse_place(struct http_req *req, const char *after);
/* Adds a Link header: the same request for the items after this place, which is encoded here. */
void list_link_next(struct http_req *req, const char *after);

#endif
