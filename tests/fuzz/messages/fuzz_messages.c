/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: the first byte chooses a message or an answer, the rest is what came. What is read is
 * written and read again, and must be the same; what is refused has a reason. */
#include "tests/fuzz/fuzz.h"

#include "common/bus/messages.h"

#include <string.h>

static const struct message_type *type;
static bool answer;

static void *read_one(const char *text, size_t len, struct loom_err *err)
{
	struct json *doc = NULL;
	if (json_parse(text, len, 0, &doc, err))
		return NULL;
	return answer ? message_read_answer(type, doc, err) : message_read(type, doc, err);
}

static char *write_one(const void *m)
{
	return answer ? message_write_answer(type, type->version, m) : message_write(type, m);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (!size)
		return 0;
	struct loom_err err = { 0 };
	answer = *data & 1;
	type = &messages[(*data >> 1) % MSG_COUNT];
	LOOM_CLEANUP(message_free) void *m = read_one((const char *)data + 1, size - 1, &err);
	loom_assert(m || *err.msg);
	LOOM_CLEANUP_STR char *text = m ? write_one(m) : NULL;
	if (!text)
		return 0;
	LOOM_CLEANUP(message_free) void *again = read_one(text, strlen(text), &err);
	loom_assert(again);
	LOOM_CLEANUP_STR char *second = write_one(again);
	loom_assert(strcmp(text, second) == 0);
	return 0;
}
