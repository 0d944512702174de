/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing - answers a request for a list that is sorted by a key: whole or in pages, searched,
 * filtered, reduced to some members; at once, or when it has changed. The list is read part by part
 * (list_part.h) and written in pieces (pieces.h), so that neither a page nor a whole list takes
 * more memory than a piece.
 *
 * The Link to the next page is a header, so it must be known before the text is sent. A short page
 * is read completely before any of it is sent. Of a long one only the keys are read ahead, to find
 * where it ends; then its items are read while they are sent.
 */
#ifndef LOOM_API_LISTING_H
#define LOOM_API_LISTING_H

#include "common/json/json.h"
#include "common/model/list_part.h"
#include "common/net/http_server.h"
#include "services/api/request/list_query.h"
#include "services/api/watch/tally.h"

/* How many items that may be long are read at once, at first. */
#define LIST_STEP 16

/* Describes one kind of list. Static. */
struct listing_kind {
	struct list_rules rules;
	/* In db_read(): a part of it, *ret owned; 0 or a DB_E_ code. The caller of req decides
	 * whose list it is. */
	int (*read)(struct db *db, struct http_req *req, struct list_part *part, struct json **ret);
	/* How many items are read at once: at first, and at most. Fewer if they are long. */
	int64_t first, most;
	int64_t usual_limit;      /* page size if the request names none; 0: the whole list */
	const char *const *brief; /* members that a brief part has; ends with NULL; NULL: none */
	bool number;              /* the key is a number */
	const char
		*value; /* an object is answered: this member of each, by its key. NULL: an array */
	/* The place of an item in the list, owned. NULL: its key. */
	char *(*place)(struct http_req *req, const struct json *item);
	/* Is the text a valid place? NULL: any number, or any UTF-8 text, is. */
	bool (*is_place)(struct http_req *req, const char *text);
};

/* Worker: checks the query, and answers. of: the tally whose change the request may wait for; NULL:
 * that of the route's cluster, or none. */
void listing_answer(struct http_req *req, struct api *a, const struct listing_kind *kind,
                    const struct tally_of *of);

#endif
