/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's answer: what is wrong with it is said, what is usable of it is an object, and the
 * finish message made of it is complete JSON. */
#include "tests/fuzz/fuzz.h"

#include "services/provisioner/result.h"

#include <string.h>

static void finish(const char *answer, size_t size, int exit_code)
{
	struct run_end end = { .exit_code = exit_code, .result = answer, .result_len = size };
	__attribute__((cleanup(outcome_fini_p))) struct outcome o;
	LOOM_CLEANUP(json_free) struct json *message = json_new_obj();
	LOOM_CLEANUP(json_free) struct json *again = NULL;
	outcome_init(&o, NULL);
	outcome_output(&o, RUN_STDERR, answer, size);
	outcome_add(&o, &end, 1000);
	outcome_write(&o, message);
	loom_assert((json_get_int(message, "status", -1) == 0) == !o.failed);
	LOOM_CLEANUP_STR char *text = json_text(message);
	loom_assert(json_parse(text, strlen(text), SIZE_MAX, &again, NULL) == 0);
	loom_assert(json_get_int(again, "status", -1) == json_get_int(message, "status", -1));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP(json_free) struct json *result = NULL;
	struct loom_err err = { 0 };
	if (result_parse((const char *)data, size, &result, &err))
		loom_assert(*err.msg && (!result || json_is(result, JSON_OBJECT)));
	else
		loom_assert(json_is(result, JSON_OBJECT));
	finish((const char *)data, size, 0);
	finish((const char *)data, size, 3);
	return 0;
}
