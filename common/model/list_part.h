/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_part - a part of a list whose items are sorted by a unique key: a page, or the next piece of
 * a whole list. It begins after a given key; no item outside the part is read.
 */
#ifndef LOOM_MODEL_LIST_PART_H
#define LOOM_MODEL_LIST_PART_H

#include <stdbool.h>
#include <stdint.h>

struct list_part {
	const char *only;  /* only the item with this key; NULL: any */
	const char *after; /* only items after this key; NULL: from the beginning */
	bool down;         /* the greatest key comes first */
	bool brief;        /* read only the keys, if that is less work */
	int64_t limit;
	bool more; /* out: items follow, though fewer than limit were returned */
};
#define LIST_ONE(key) (&(struct list_part){ .only = (key), .limit = 1 })

/* The statements for both directions, indexed by `down`. head ends in a condition; value: "?", or
 * an expression that converts it to the key's type. */
#define LIST_PART_(head, key, value, than, way)                                        \
	head " AND (? IS NULL OR " key "=" value ") AND (? IS NULL OR " key than value \
	     ") ORDER BY " key way " LIMIT ?"
#define LIST_PARTS_AS(head, key, value)                                                            \
	{                                                                                          \
		LIST_PART_(head, key, value, ">", ""), LIST_PART_(head, key, value, "<", " DESC"), \
	}
#define LIST_PARTS(head, key) LIST_PARTS_AS(head, key, "?")
/* Their parameters, after those of head. */
#define LIST_PART_TYPES     "ssssi"
#define LIST_PART_VALUES(p) (p)->only, (p)->only, (p)->after, (p)->after, (p)->limit

/* A tally: a number from 1 to 2^48 that changes whenever one of these columns of any row does, or a
 * row comes or goes; a table and a condition follow. */
#define LIST_TALLY(columns)                                                         \
	"SELECT CAST(1+COALESCE(BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS(' '," columns \
	"),256),12),16,10) AS UNSIGNED)),0) AS SIGNED) FROM "

#endif
