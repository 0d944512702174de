/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the server's answers: JSON, indented on a terminal, without characters that would control
 * it. */
#include "services/cli/cli.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void new_line(struct buf *b, size_t depth)
{
	buf_addc(b, '\n');
	for (; depth; depth--)
		buf_adds(b, "  ");
}

/* Length of the string including both quotes. */
static size_t string_len(const char *s)
{
	size_t n = 1;
	while (s[n] && s[n] != '"')
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return n + (s[n] == '"');
}

char *cli_pretty(const char *s)
{
	struct buf b = BUF_INIT(4 * CLI_ANSWER_MAX);
	size_t depth = 0;
	for (size_t n; *s; s += n) {
		n = *s == '"' ? string_len(s) : 1;
		bool opens = *s == '{' || *s == '[', closes = *s == '}' || *s == ']';
		if (opens && (s[1] == '}' || s[1] == ']'))
			n = 2;
		else if (closes)
			new_line(&b, --depth);
		buf_add(&b, s, n);
		if (n == 1 && opens)
			new_line(&b, ++depth);
		else if (*s == ',')
			new_line(&b, depth);
		else if (*s == ':')
			buf_addc(&b, ' ');
	}
	return buf_take(&b);
}

void cli_print_json(const struct json *v)
{
	LOOM_CLEANUP_STR char *text = json_text(v);
	LOOM_CLEANUP_STR char *safe = text_shown(text, strlen(text), TEXT_JSON);
	LOOM_CLEANUP_STR char *wide = isatty(STDOUT_FILENO) ? cli_pretty(safe) : NULL;
	puts(wide ? wide : safe);
}

static struct json *shown(const struct json *v)
{
	if (json_is(v, JSON_STRING)) {
		LOOM_CLEANUP_STR char *text = text_shown(json_str(v), json_str_len(v), TEXT_LINES);
		return json_new_str(text);
	}
	if (json_is(v, JSON_ARRAY)) {
		struct json *list = json_new_arr();
		for (size_t i = 0; i < json_len(v); i++)
			json_push(list, shown(json_at(v, i)));
		return list;
	}
	if (!json_is(v, JSON_OBJECT))
		return json_copy(v);
	struct json *object = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *key = json_key_at(v, i);
		LOOM_CLEANUP_STR char *text = text_shown(key, strlen(key), TEXT_LINE);
		json_set(object, text, shown(json_value_at(v, i)));
	}
	return object;
}

void cli_show_safely(struct json **v)
{
	struct json *safe = shown(*v);
	json_free(*v);
	*v = safe;
}
