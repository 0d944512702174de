/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: a JSON object in place or in a file (@FILE, @-), durations, names separated by
 * commas. */
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
	errno = 0;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(out, piece, n);
	return ferror(f) ? (errno ? -errno : -EIO) : out->full ? -EFBIG : 0;
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
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(FILE_MAX);
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

int duration_option(const struct args *a, const char *option, int64_t *ret_ms, struct loom_err *err)
{
	const char *value = args_get(a, option);
	int64_t ms, number;
	if (!value)
		return CLI_OK;
	if (clock_parse_ms(value, &ms))
		return err_set(err, CLI_USAGE, "--%s is a time such as 12h or 7d, not '%s'", option,
		               value);
	if (ms && !str_to_int(value, &number))
		return err_set(err, CLI_USAGE, "--%s %s has no unit: %ss, %sm, %sh or %sd is meant",
		               option, value, value, value, value, value);
	*ret_ms = ms;
	return CLI_OK;
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

int label_options(const struct args *a, const char *option, struct json *labels,
                  struct loom_err *err)
{
	for (size_t i = 0; i < a->n_given; i++) {
		if (!str_eq(a->given[i].option->name, option))
			continue;
		LOOM_CLEANUP(json_free) struct json *list = split_names(a->given[i].value);
		for (size_t k = 0; k < json_len(list); k++) {
			const char *text = json_str(json_at(list, k)), *eq = strchr(text, '=');
			if (!eq || eq == text)
				return err_set(err, CLI_USAGE,
				               "--%s is KEY=VALUE, as env=test, not '%s'", option,
				               text);
			LOOM_CLEANUP_STR char *key = loom_strndup(text, (size_t)(eq - text));
			json_set_str(labels, key, eq + 1);
		}
	}
	return 0;
}
