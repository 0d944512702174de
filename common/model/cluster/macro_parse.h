/* SPDX-License-Identifier: Apache-2.0 */
/* macro_parse - the grammar of one macro, the text between two percent signs.  Any thread. */
#ifndef LOOM_MODEL_MACRO_PARSE_H
#define LOOM_MODEL_MACRO_PARSE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum macro_kind {
	MACRO_OWNER,
	MACRO_HOST_SELF,
	MACRO_HOST_SERVICE,
	MACRO_IP_SELF,
	MACRO_IP_SERVICE,
	MACRO_NUM,
	MACRO_INSTANCE,
};

struct macro_expr {
	enum macro_kind kind;
	char *service, *ip_type; /* set if the kind needs it */
	bool indexed;
	int64_t index;
	char *map_format; /* NULL: the element itself */
	char *separator;  /* of a list; NULL: "," */
};

/*
 * Parses an expression at the start of text. 0 with *ret_len, the bytes used; 400 with err. Call
 * macro_expr_fini() in any case. In quotes, %% is one percent sign.
 */
LOOM_MUST_CHECK int macro_parse(const char *text, size_t len, struct macro_expr *e, size_t *ret_len,
                                struct loom_err *err);
void macro_expr_fini(struct macro_expr *e);

#endif
