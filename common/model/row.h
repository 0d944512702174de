/* SPDX-License-Identifier: Apache-2.0 */
/* row - reading columns that hold JSON. */
#ifndef LOOM_MODEL_ROW_H
#define LOOM_MODEL_ROW_H

#include "common/db/db.h"
#include "common/json/json.h"

/* Owned tree, NULL for NULL or text that is not JSON. */
static inline struct json *row_json(const struct db_result *r, size_t row, unsigned col)
{
	struct json *v = NULL;
	if (db_is_null(r, row, col) ||
	    json_parse(db_str(r, row, col), db_len(r, row, col), 0, &v, NULL))
		return NULL;
	return v;
}

#endif
