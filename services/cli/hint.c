/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command, option or name that a misspelt one was meant to be. */
#include "services/cli/hint.h"

#include "common/base/near.h"

#include <string.h>

/* Other programs' names for what Loom calls differently. */
static const struct {
	const char *given, *ours;
} synonyms[] = {
	{ "ls", "list" },       { "get", "show" },       { "describe", "show" },
	{ "info", "show" },     { "status", "show" },    { "rm", "delete" },
	{ "remove", "delete" }, { "destroy", "delete" }, { "new", "create" },
	{ "add", "create" },    { "logs", "log" },       { "scale", "expand" },
	{ "follow", "watch" },  { "events", "watch" },   { "config", "configure" },
};

static bool same(const char *given, const char *word)
{
	return str_eq(given, word);
}

static bool alike(const char *given, const char *word)
{
	return same(given, word) || near(given, word);
}

static bool synonymous(const char *given, const char *word)
{
	for (size_t i = 0; i < LOOM_COUNT(synonyms); i++) {
		if (str_eq(given, synonyms[i].given) && str_eq(word, synonyms[i].ours))
			return true;
	}
	return alike(given, word);
}

typedef bool (*compare)(const char *given, const char *word);

/* Do the first words given stand for this command? Its first word is the group. */
static bool stand_for(const char *command, const struct strs *given, compare group, compare word)
{
	size_t i = 0;
	for (const char *at = command; at; i++) {
		size_t n = strcspn(at, " ");
		LOOM_CLEANUP_STR char *one = loom_strndup(at, n);
		if (i == given->n || !(i ? word : group)(given->v[i], one))
			return false;
		at = at[n] ? at + n + 1 : NULL;
	}
	return true;
}

char *hint_command(const struct command *commands, const struct strs *words)
{
	static const struct {
		compare group, word;
	} tries[] = { { same, alike }, { alike, alike }, { alike, synonymous } };
	for (size_t i = 0; i < LOOM_COUNT(tries); i++) {
		for (const struct command *c = commands; c->words; c++) {
			if (stand_for(c->words, words, tries[i].group, tries[i].word))
				return loom_asprintf("; did you mean '%s'?", c->words);
		}
	}
	for (const struct command *c = commands; words->n && c->words; c++) {
		size_t n = strcspn(c->words, " ");
		LOOM_CLEANUP_STR char *group = loom_strndup(c->words, n);
		if (near(words->v[0], group))
			return loom_asprintf("; did you mean '%s'?", group);
	}
	return loom_strdup("");
}

static const struct option *near_option(const struct option *o, const char *name)
{
	for (; o && o->name; o++) {
		if (near(name, o->name))
			return o;
	}
	return NULL;
}

char *hint_option(const struct command *commands, const struct command *command, const char *name,
                  size_t n)
{
	LOOM_CLEANUP_STR char *given = loom_strndup(name, n);
	const struct option *o = near_option(command ? command->options : NULL, given);
	if (!o)
		o = near_option(args_common, given);
	for (const struct command *c = commands; !o && !command && c->words; c++)
		o = near_option(c->options, given);
	return o ? loom_asprintf("; did you mean --%s?", o->name) : loom_strdup("");
}

const char *hint_name(const struct json *list, const char *name)
{
	const char *meant = NULL;
	for (size_t i = 0; i < json_len(list); i++) {
		const char *one = json_get_str(json_at(list, i), "name");
		if (str_eq(one, name))
			return NULL;
		if (!meant && one && near(name, one))
			meant = one;
	}
	return meant;
}
