/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases of one Check program and reads documents that are written with single quotes. */
#include "tests/support/unit.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <stdlib.h>

int unit_run(const char *name, TCase *const *cases)
{
	Suite *suite = suite_create(name);
	for (; *cases; cases++)
		suite_add_tcase(suite, *cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

struct json *unit_json(const char *text)
{
	LOOM_CLEANUP_STR char *quoted = loom_strdup(text);
	struct json *doc = NULL;
	struct loom_err err = { 0 };
	for (char *p = quoted; *p; p++) {
		if (*p == '\'')
			*p = '"';
	}
	ck_assert_msg(!json_parse_str(quoted, &doc, &err), "%s: %s", text, err.msg);
	return doc;
}
