/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test programs in C share: the main of a Check program, and documents written in C.
 *
 *	int main(void)
 *	{
 *		TCase *t = tcase_create("all");
 *		tcase_add_test(t, one);
 *		return UNIT_RUN("map", t);
 *	}
 *
 * Single-threaded; a test that fails ends its process, so nothing here returns an error.
 */
#ifndef TESTS_SUPPORT_UNIT_H
#define TESTS_SUPPORT_UNIT_H

#include "common/json/json.h"

#include <check.h>

/* Run all cases (NULL ends them; they are freed) and return main's exit code. */
int unit_run(const char *name, TCase *const *cases);

#define UNIT_RUN(name, ...) unit_run((name), (TCase *[]){ __VA_ARGS__, NULL })

/* The document that text is, with ' for ": "{'a':1}". A text that is not JSON fails the test. The
 * caller frees it. */
struct json *unit_json(const char *text);

#endif
