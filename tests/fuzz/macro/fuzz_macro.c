/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Macros in what a tenant configures: what the check passes is expanded or lacks a value, what it
 * refuses is refused by the expansion, too, and each refusal has words.
 */
#include "tests/fuzz/fuzz.h"

#include "common/model/cluster/macro.h"

static struct macro *make_macro(void)
{
	static struct strs on[2];
	static struct macro_node nodes[] = {
		{ .id = "a", .nodenum = 1, .hostname = "a.local", .services = &on[0] },
		{ .id = "b", .nodenum = 2, .hostname = "b.local", .services = &on[1] },
	};
	strs_add(&on[0], "web");
	strs_add(&on[0], "db");
	strs_add(&on[1], "web");
	struct json *addresses = json_set_str(json_new_obj(), "access_v4", "10.0.0.1");
	nodes[0].ipaddresses = addresses; /* the other has none yet */
	return macro_create(nodes, LOOM_COUNT(nodes), "owner");
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct macro *macro;
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	LOOM_CLEANUP(json_free) struct json *config = json_set_str(json_new_obj(), "value", text);
	LOOM_CLEANUP(json_free) struct json *expanded = NULL;
	LOOM_CLEANUP_STR char *one = NULL;
	struct loom_err err = { 0 };
	if (!macro)
		macro = make_macro();
	int rc = macro_expand(macro, 0, config, &expanded, &err);
	loom_assert(rc ? *err.msg != '\0' : json_get_str(expanded, "value") != NULL);
	rc = macro_expand_str(macro, MACRO_NO_SELF, text, &one, &err);
	loom_assert(rc ? !one : one != NULL);
	return 0;
}
