/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a create request out of options: --config {"a":1} or @file or @- and so on. */
#include "services/cli/commands.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (JSON_MAX_BYTES)

static int read_stream(FILE *f, struct buf *out)
{
	char piece[16384];
	size_t n;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(out, piece, n);
	return ferror(f) ? -EIO : out->full ? -EFBIG : 0;
}

int cli_read_file(const char *path, struct buf *out)
{
	if (str_eq(path, "-"))
		return read_stream(stdin, out);
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	int rc = read_stream(f, out);
	(void)fclose(f);
	return rc;
}

int json_option(const struct args *a, const char *option, struct json **ret, struct loom_err *err)
{
	const char *value = args_get(a, option);
	if (!value)
		return 0;
	__attribute__((cleanup(buf_fini_p))) struct buf b = BUF_INIT(FILE_MAX);
	int rc = 0;
	if (*value == '@')
		rc = cli_read_file(value + 1, &b);
	else
		buf_adds(&b, value);
	if (rc)
		return err_set(err, CLI_USAGE, "--%s: %s: %s", option, value + 1,
		               strerrordesc_np(-rc));
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	struct loom_err why = { 0 };
	if (json_parse(buf_str(&b), b.len, 0, &v, &why) != 0)
		return err_set(err, CLI_USAGE, "--%s is not JSON: %s", option, why.msg);
	if (!json_is(v, JSON_OBJECT))
		return err_set(err, CLI_USAGE, "--%s must be a JSON object, as in {\"web\":{}}",
		               option);
	*ret = loom_take(v);
	return 0;
}

struct json *split_names(const char *list)
{
	if (!list)
		return NULL;
	struct json *arr = json_new_arr();
	while (*list) {
		size_t n = strcspn(list, ", ");
		if (n)
			json_push(arr, json_new_strn(list, n));
		list += n + (list[n] != '\0');
	}
	return arr;
}

static int set_lease(struct json *body, const char *lease, struct loom_err *err)
{
	int64_t ms;
	if (!lease)
		return 0;
	if (clock_parse_ms(lease, &ms) != 0 || ms < 0)
		return err_set(err, CLI_USAGE,
		               "--lease is a time such as 12h or 7d, or 0, not '%s'", lease);
	json_set_int(body, "initialLeaseDuration", ms);
	return 0;
}

static int set_size(struct json *body, const char *size, struct loom_err *err)
{
	int64_t n;
	if (!size)
		return err_set(err, CLI_USAGE, "--size N is needed: the number of machines");
	if (str_to_int(size, &n) != 0 || n < 1)
		return err_set(err, CLI_USAGE, "--size is a number from 1, not '%s'", size);
	json_set_int(body, "numMachines", n);
	return 0;
}

int create_body(const struct args *a, const char *name, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	struct json *config = NULL, *fields = NULL;
	if (!args_has(a, "template"))
		return err_set(err, CLI_USAGE,
		               "--template T is needed (loom template list says which there are)");
	json_set_str(body, "name", name);
	json_set_str(body, "description", args_get(a, "description"));
	json_set_str(body, "clusterTemplate", args_get(a, "template"));
	int rc = set_size(body, args_get(a, "size"), err);
	if (!rc)
		rc = set_lease(body, args_get(a, "lease"), err);
	if (!rc)
		rc = json_option(a, "config", &config, err);
	json_set(body, "config", config);
	if (!rc)
		rc = json_option(a, "provider-fields", &fields, err);
	json_set(body, "providerFields", fields);
	json_set_str(body, "provider", args_get(a, "provider"));
	json_set(body, "services", split_names(args_get(a, "services")));
	json_set_str(body, "hardwaretype", args_get(a, "hardware"));
	json_set_str(body, "imagetype", args_get(a, "image"));
	json_set_str(body, "dnsSuffix", args_get(a, "dns-suffix"));
	json_set_str(body, "onFailure", args_get(a, "on-failure"));
	if (!rc)
		*ret = loom_take(body);
	return rc;
}
