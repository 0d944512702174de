/* SPDX-License-Identifier: Apache-2.0 */
/* json_tree - the representation of a JSON value, shared only within this folder. */
#ifndef LOOM_JSON_JSON_TREE_H
#define LOOM_JSON_JSON_TREE_H

#include "common/base/map.h"
#include "common/json/json.h"

struct json {
	enum json_type type;
	bool boolean;
	union {
		struct { /* string; number as spelled */
			char *text;
			size_t len;
		};
		struct { /* array, object */
			struct json **v;
			char **keys;       /* object only */
			struct map *index; /* key to value, borrowed; only for many members */
			size_t n, cap;
		};
	};
};

/* Takes both; the key must not be there yet. */
void json_append_member(struct json *obj, char *key, struct json *v);

#endif
