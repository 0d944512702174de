/* SPDX-License-Identifier: Apache-2.0 */
/* Exports and imports all documents of a tenant, optionally with their secrets, sealed with a
 * passphrase. */
#include "services/cli/commands.h"

#include "common/base/secret_file.h"

#include <stdio.h>
#include <string.h>

#define IMPORT_MAX ((size_t)64 << 20)

/* CLI_OK with *ret NULL: no passphrase was given. */
static int read_passphrase(const struct args *a, char **ret)
{
	const char *file = args_get(a, "passphrase-file");
	struct loom_err err;
	*ret = file ? secret_file_read("--passphrase-file", file, &err) : NULL;
	return file && !*ret ? cli_fail(CLI_USAGE, "%s", err.msg) : CLI_OK;
}

int catalog_export(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(secret_file_free) char *passphrase = NULL;
	LOOM_CLEANUP(json_free) struct json *all = NULL, *body = NULL;
	int code = read_passphrase(a, &passphrase);
	if (code)
		return code;
	if (args_has(a, "secrets") != (passphrase != NULL))
		return cli_fail(CLI_USAGE, "--secrets and --passphrase-file FILE go together");
	if (passphrase)
		body = json_set_str(json_new_obj(), "passphrase", passphrase);
	code = cli_request_exactly(c, passphrase ? "POST" : "GET", "/v2/export", body, &all);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *text = json_text(all);
	printf("%s\n", text);
	return CLI_OK;
}

/* What an import lacks is deleted, so a file that lacks a kind is taken for a mistake. */
static int check_kinds(const char *file, const struct json *all)
{
	static const char *const kinds[] = { "providers", "hardwaretypes",    "imagetypes",
		                             "services",  "clustertemplates", "partialtemplates" };
	LOOM_CLEANUP(strs_fini) struct strs missing = { 0 };
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++) {
		if (!json_is(json_get(all, kinds[i]), JSON_ARRAY))
			strs_add(&missing, kinds[i]);
	}
	LOOM_CLEANUP_STR char *list = strs_join(&missing, ", ");
	return missing.n ? cli_fail(CLI_USAGE,
	                            "%s has no list of %s, as loom export prints it. An import "
	                            "replaces all documents: give [] for a kind of which none "
	                            "is to be left",
	                            file, list)
	                 : CLI_OK;
}

int catalog_import(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(secret_file_free) char *passphrase = NULL;
	LOOM_CLEANUP(json_free) struct json *all = NULL;
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(IMPORT_MAX);
	struct loom_err err;
	int code = read_passphrase(a, &passphrase);
	if (code)
		return code;
	int rc = cli_read_file(a->positional[0], &b);
	if (rc)
		return cli_fail(CLI_USAGE, "%s: %s", a->positional[0], strerrordesc_np(-rc));
	if (json_parse_str(buf_str(&b), &all, &err))
		return cli_fail(CLI_USAGE, "%s: %s", a->positional[0], err.msg);
	if (!json_is(all, JSON_OBJECT))
		return cli_fail(CLI_USAGE, "%s is no JSON object, as loom export prints it",
		                a->positional[0]);
	code = check_kinds(a->positional[0], all);
	if (code)
		return code;
	if (passphrase)
		json_set_str(all, "passphrase", passphrase);
	LOOM_CLEANUP(json_free) struct json *report = NULL;
	code = cli_request_json(c, "POST",
	                        args_has(a, "dry-run") ? "/v2/import?dry_run=true"
	                                               : "/v2/import?report=true",
	                        all, JSON_OBJECT, &report);
	if (!code && report)
		cli_print_json(report);
	return code;
}
