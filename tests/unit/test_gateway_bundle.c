/* SPDX-License-Identifier: Apache-2.0 */
/* Modules into one script. That the script does what they did is seen in the browser tests. */
#include "services/ui-gateway/bundle.h"
#include "tests/support/unit.h"

#include <string.h>

/* Name and text, one after the other, NULL last. */
static const char *find(const void *arg, const char *name)
{
	for (const char *const *at = arg; *at; at += 2) {
		if (str_eq(at[0], name))
			return at[1];
	}
	return NULL;
}

static const struct {
	const char *modules[9];
	const char *want; /* the script, or a word of the reason */
} cases[] = {
	{ { "main.js", "go();\n" },
	  "const $modules = {};\n"
	  "$modules[\"main.js\"] = (() => {\ngo();\nreturn {  };\n})();\n" },
	/* what is needed comes first, once */
	{ { "main.js",
	    "import { a, b as c } from \"./a.js\";\nimport * as d from \"./b.js\";\nc(a, d);\n",
	    "a.js",
	    "import { x } from \"./b.js\";\nexport const a = x;\nexport function b() {\n}\n",
	    "b.js", "export async function x() {}\nexport class Y {}\nlet z;" },
	  "const $modules = {};\n"
	  "$modules[\"b.js\"] = (() => {\nasync function x() {}\nclass Y {}\nlet z;\n"
	  "return { x, Y };\n})();\n"
	  "$modules[\"a.js\"] = (() => {\nconst { x } = $modules[\"b.js\"];\nconst a = x;\n"
	  "function b() {\n}\nreturn { a, b };\n})();\n"
	  "$modules[\"main.js\"] = (() => {\nconst { a, b: c } = $modules[\"a.js\"];\n"
	  "const d = $modules[\"b.js\"];\nc(a, d);\nreturn {  };\n})();\n" },
	/* words that only look like it */
	{ { "main.js", "  import { x } from \"./x.js\";\n// export let y;\nexported();\n" },
	  "const $modules = {};\n$modules[\"main.js\"] = (() => {\n  import { x } from \"./x.js\";\n"
	  "// export let y;\nexported();\nreturn {  };\n})();\n" },
	{ { "x.js", "" }, "there is no module main.js" },
	{ { "main.js", "import { x } from \"./x.js\";\n" }, "there is no module x.js" },
	{ { "main.js", "import \"./x.js\";\n" },
	  "main.js: a bundle does not understand 'import \"" },
	{ { "main.js", "import x from \"./x.js\";\n", "x.js", "" },
	  "does not understand 'import x" },
	{ { "main.js", "import { x } from \"./x.js\"\n" }, "does not understand" },
	{ { "main.js", "import {\n" }, "does not understand" },
	{ { "main.js", "export let x = 1;\n" }, "does not understand 'export let" },
	{ { "main.js", "export default f;\n" }, "does not understand 'export default" },
	{ { "main.js", "export const { x } = y;\n" }, "does not understand 'export const" },
	{ { "main.js", "import { a } from \"./a.js\";\n", "a.js",
	    "import { b } from \"./main.js\";\n" },
	  "in a circle" },
};

START_TEST(bundles_modules)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *script = bundle_modules(find, cases[_i].modules, "main.js", &err);
	if (str_starts(cases[_i].want, "const ")) {
		ck_assert_msg(script, "%s", err.msg);
		ck_assert_str_eq(script, cases[_i].want);
	} else {
		ck_assert_ptr_null(script);
		ck_assert_msg(strstr(err.msg, cases[_i].want), "%s", err.msg);
	}
}
END_TEST

START_TEST(page_asks_for_no_modules)
{
	LOOM_CLEANUP_STR char *page =
		bundle_page("<head>\n<link rel=\"modulepreload\" href=\"js/a.js\">\n"
	                    "<script type=\"module\" src=\"js/main.js\"></script>\n</head>");
	ck_assert_str_eq(page,
	                 "<head>\n<script type=\"module\" src=\"js/main.js\"></script>\n</head>\n");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, bundles_modules, 0, LOOM_COUNT(cases));
	tcase_add_test(tc, page_asks_for_no_modules);
	return UNIT_RUN("gateway_bundle", tc);
}
