/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/poll_waiters.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static const struct {
	const char *payloads; /* NULL: none */
	bool as_texts;
	const char *answer;
} cases[] = {
	{ NULL, true, "[]" },
	{ NULL, false, "[]" },
	{ "[\"{\\\"taskId\\\":\\\"1\\\"}\",\"{}\"]", true,
	  "[\"{\\\"taskId\\\":\\\"1\\\"}\",\"{}\"]" },
	{ "[\"{\\\"taskId\\\":\\\"1\\\"}\",\"{}\"]", false, "[{\"taskId\":\"1\"},{}]" },
};

START_TEST(documents_go_out_as_the_api_wants_them)
{
	struct json *payloads = NULL;
	if (cases[_i].payloads)
		ck_assert_int_eq(json_parse_str(cases[_i].payloads, &payloads, NULL), 0);
	struct json *answer = poll_waiters_tasks(payloads, cases[_i].as_texts);
	char *text = json_text(answer);
	ck_assert_str_eq(text, cases[_i].answer);
	loom_free(text);
	json_free(answer);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("poll_waiters");
	tcase_add_loop_test(t, documents_go_out_as_the_api_wants_them, 0, (int)LOOM_COUNT(cases));
	return UNIT_RUN("poll_waiters", t);
}
