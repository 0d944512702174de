/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants, for superadmins. */
#include "services/cli/commands.h"

static const struct {
	const char *option, *field;
} numbers[] = {
	{ "workers", "workers" },
	{ "max-clusters", "maxClusters" },
	{ "max-nodes", "maxNodes" },
};

/* What is not given stays as it is, to the byte; the call itself would take it for the default. */
static int present(struct cli *c, const char *name, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *all = NULL;
	int code = cli_request_exactly(c, "GET", "/v2/tenants", NULL, &all);
	if (code)
		return code;
	for (size_t i = 0; i < json_len(all) && !*ret; i++) {
		if (str_eq(json_get_str(json_at(all, i), "name"), name))
			*ret = json_copy(json_at(all, i));
	}
	if (!*ret)
		*ret = json_set_str(json_new_obj(), "name", name);
	return CLI_OK;
}

int tenant_set(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/tenants/%s", name);
	LOOM_CLEANUP(json_free) struct json *tenant = NULL;
	int code = present(c, a->positional[0], &tenant);
	if (code)
		return code;
	for (size_t i = 0; i < LOOM_COUNT(numbers); i++) {
		if (args_has(a, numbers[i].option))
			json_set_str(tenant, numbers[i].field, args_get(a, numbers[i].option));
	}
	if (args_has(a, "description"))
		json_set_str(tenant, "description", args_get(a, "description"));
	LOOM_CLEANUP(json_free)
	struct json *body = json_set(json_new_obj(), "tenant", loom_take(tenant));
	return cli_request(c, "PUT", path, body, NULL);
}

int tenant_create(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	struct json *tenant = json_set_str(json_new_obj(), "name", a->positional[0]);
	json_set(body, "tenant", tenant);
	json_set_bool(body, "bootstrap", args_has(a, "bootstrap"));
	return cli_request(c, "POST", "/v2/tenants", body, NULL);
}

int tenant_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/tenants/%s", name);
	return cli_request(c, "DELETE", path, NULL, NULL);
}
