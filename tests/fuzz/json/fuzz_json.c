/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is accepted is written back, read again and must be equal; what is refused has a
 * reason with a place inside the text. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

/* "line L, column C: reason" */
static void check_reason(const char *msg, size_t size)
{
	static const char first[] = "line ", second[] = ", column ", third[] = ": ";
	unsigned long line, column;
	char *end = NULL;

	loom_assert(str_starts(msg, first));
	line = strtoul(msg + strlen(first), &end, 10);
	loom_assert(line >= 1 && line <= size + 1 && str_starts(end, second));
	column = strtoul(end + strlen(second), &end, 10);
	loom_assert(column >= 1 && column <= size + 1 && str_starts(end, third));
	loom_assert(!str_eq(end + strlen(third), "not JSON")); /* each reason has its words */
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	LOOM_CLEANUP(json_free) struct json *again = NULL;
	LOOM_CLEANUP(json_free) struct json *copy = NULL;
	LOOM_CLEANUP_STR char *text = NULL;
	LOOM_CLEANUP_STR char *second = NULL;
	struct loom_err err = { 0 };

	if (json_parse((const char *)data, size, 0, &v, &err)) {
		loom_assert(err.status == 400 && v == NULL);
		check_reason(err.msg, size);
		return 0;
	}
	text = json_text(v);
	loom_assert(json_parse(text, strlen(text), SIZE_MAX, &again, &err) == 0);
	copy = json_copy(v);
	loom_assert(json_equal(v, again) && json_equal(again, copy));
	second = json_text(again);
	loom_assert(strcmp(text, second) == 0);
	return 0;
}
