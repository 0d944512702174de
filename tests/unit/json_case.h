/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_case - what the tests of JSON share.
 */
#ifndef TESTS_JSON_CASE_H
#define TESTS_JSON_CASE_H

#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json *parse(const char *text)
{
	struct loom_err err = { 0 };
	struct json *v = NULL;

	ck_assert_msg(json_parse_str(text, &v, &err) == 0, "%s: %s", text, err.msg);
	return v;
}

static const struct {
	const char *text;
	int levels; /* it has */
} nested[] = {
	{ "1", 0 },
	{ "\"text\"", 0 },
	{ "[]", 0 },
	{ "{}", 0 },
	{ "[1]", 1 },
	{ "{\"a\":null}", 1 },
	{ "[[],{}]", 1 },
	{ "[1,[2,{\"a\":3}],4]", 3 },
	{ "{\"a\":{\"b\":[{\"c\":1}]}}", 4 },
};

#endif
