/* SPDX-License-Identifier: Apache-2.0 */
/* Shows the API's diagnosis: problems, and what to do about them. */
#include "services/cli/commands.h"

#include "common/base/str.h"

#include <stdio.h>

int doctor_show(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	(void)a;
	int code = cli_request_json(c, "GET", "/v2/doctor", NULL, JSON_OBJECT, &v);
	const struct json *found = json_get(v, "findings");
	if (code)
		return code;
	if (c->json)
		cli_print_json(v);
	for (size_t i = 0; !c->json && i < json_len(found); i++) {
		const struct json *f = json_at(found, i);
		printf("%s: %s: %s\n    %s\n", json_get_str(f, "level"), json_get_str(f, "where"),
		       json_get_str(f, "what"), json_get_str(f, "do"));
	}
	if (!c->json && !json_len(found))
		puts("all is well");
	return json_len(found) ? CLI_NOT_WELL : CLI_OK;
}
