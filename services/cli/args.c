/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command in the table and reads its arguments and options. */
#include "services/cli/args.h"

#include "services/cli/cli.h"
#include "services/cli/hint.h"

#include <string.h>

const struct option args_common[] = {
	{ "url", 0, "URL", "where loom-api is (LOOM_URL, else " CLI_DEFAULT_URL ")" },
	{ "token-file", 0, "FILE",
	  "file with your token (LOOM_TOKEN, LOOM_TOKEN_FILE; default: from login)" },
	{ "ca-file", 0, "FILE",
	  "authorities to trust for https:// (LOOM_CA_FILE; default: the system's)" },
	{ "client-certificate", 0, "FILE",
	  "what to show a server that wants one (LOOM_CLIENT_CERTIFICATE)" },
	{ "client-key", 0, "FILE", "and its key (LOOM_CLIENT_KEY)" },
	{ "user", 0, "NAME", "who asks, where no token says it (LOOM_USER, else admin)" },
	{ "tenant", 0, "NAME", "for which tenant (LOOM_TENANT, else the token's, or superadmin)" },
	{ "output", 'o', "table|json", "how to show the result" },
	{ "help", 'h', NULL, "this text" },
	{ "version", 0, NULL, "the version of loom" },
	{ 0 },
};

/* ---- finding the command --------------------------------------------------------------------- */

static size_t count_words(const char *words)
{
	size_t n = 1;
	for (; *words; words++)
		n += *words == ' ';
	return n;
}

static bool has_word(const char *words, size_t i, const char *word)
{
	for (; i; i--)
		words = strchr(words, ' ') + 1;
	size_t n = strcspn(words, " ");
	return strlen(word) == n && strncmp(words, word, n) == 0;
}

static bool is_command(const struct command *c, const struct strs *words)
{
	size_t n = count_words(c->words);
	if (n > words->n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!has_word(c->words, i, words->v[i]))
			return false;
	}
	return true;
}

static bool is_group(const struct command *commands, const char *word)
{
	for (; commands->words; commands++) {
		if (count_words(commands->words) > 1 && has_word(commands->words, 0, word))
			return true;
	}
	return false;
}

static int no_command(const struct command *commands, const struct strs *words,
                      struct loom_err *err)
{
	LOOM_CLEANUP_STR char *meant = hint_command(commands, words);
	if (words->n && is_group(commands, words->v[0]))
		err_set(err, CLI_USAGE,
		        words->n > 1 ? "there is no command '%s %s'%s"
		                     : "'%s' wants a further word%s%s",
		        words->v[0], words->n > 1 ? words->v[1] : "", meant);
	else if (words->n)
		err_set(err, CLI_USAGE, "there is no command '%s'%s", words->v[0], meant);
	else
		err_set(err, CLI_USAGE, "no command is given");
	return CLI_USAGE;
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct option *find_option(const struct option *o, const char *name, size_t n)
{
	for (; o && o->name; o++) {
		if ((strlen(o->name) == n && strncmp(o->name, name, n) == 0) ||
		    (n == 1 && o->letter && o->letter == *name))
			return o;
	}
	return NULL;
}

/* Before the command is known, accept any command's option; own_options() finds the right row
 * later. */
static const struct option *find_any(const struct command *commands, const char *name, size_t n)
{
	const struct option *o = find_option(args_common, name, n);
	for (; !o && commands->words; commands++)
		o = find_option(commands->options, name, n);
	return o;
}

/* Names of files may be any bytes; all else is sent as text, and other bytes would be changed. */
static bool is_sendable(const char *form, const char *value)
{
	bool file = strstr(form, "FILE") && (!str_starts(form, "JSON") || *value == '@');
	return file || str_is_utf8(value);
}

/* Unset script variables: `--tenant "$T"` must not work in another tenant, and `--services "$A,$B"`
 * not mean all. */
static int check_value(const struct option *o, const char *value, struct loom_err *err)
{
	bool list = strchr(o->arg, ',');
	if (!value[list ? strspn(value, ", ") : 0] && !str_eq(o->name, "description"))
		return err_set(err, CLI_USAGE, "--%s is empty: leave it out, or give it %s",
		               o->name, o->arg);
	return is_sendable(o->arg, value)
	               ? 0
	               : err_set(err, CLI_USAGE, "--%s must be UTF-8, not '%s'", o->name, value);
}

static int give(struct args *a, const struct option *o, const char *value, char letter,
                struct loom_err *err)
{
	if (a->n_given == ARGS_MAX_OPTIONS)
		return err_set(err, CLI_USAGE, "too many options");
	int rc = o->arg ? check_value(o, value, err) : 0;
	if (rc)
		return rc;
	a->given[a->n_given].option = o;
	a->given[a->n_given].letter = letter;
	a->given[a->n_given++].value = value;
	a->help |= str_eq(o->name, "help");
	a->version |= str_eq(o->name, "version");
	if (str_eq(o->name, "output") && !str_eq(value, "json") && !str_eq(value, "table"))
		return err_set(err, CLI_USAGE, "--output is table or json, not '%s'", value);
	return 0;
}

static const struct command *find_command(const struct command *commands, const struct strs *words)
{
	const struct command *found = NULL;
	for (const struct command *c = commands; c->words; c++) {
		if (is_command(c, words))
			found = c;
	}
	return found;
}

/* Explains a word that is not an option: a misspelt one, or a name that looks like one. The words
 * without '-' name the command, unless one of them is an option's value. */
static int no_option(const struct command *commands, char **argv, const char *word, size_t n,
                     struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs words = { 0 };
	for (char **at = argv + 1; *at; at++) {
		if ((*at)[0] != '-')
			strs_add(&words, *at);
	}
	size_t dashes = word[1] == '-' ? 2 : 1;
	LOOM_CLEANUP_STR char *meant =
		hint_option(commands, find_command(commands, &words), word + dashes, n - dashes);
	return err_set(err, CLI_USAGE, "there is no option '%.*s'%s", (int)n, word,
	               *meant ? meant : "; a name that begins with '-' goes behind '--'");
}

/* One option at argv[*i], with its value, which may be the next word. */
static int take_option(struct args *a, const struct command *commands, char **argv, int *i,
                       struct loom_err *err)
{
	const char *word = argv[*i];
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t n = strcspn(name, "=");
	const char *value = name[n] ? name + n + 1 : NULL;
	bool short_form = name == word + 1;
	char letter = '\0';
	if (short_form)
		letter = *name;
	const struct option *o = short_form && n != 1 ? NULL : find_any(commands, name, n);
	if (!o || (!short_form && n == 1))
		return no_option(commands, argv, word, (size_t)(name - word) + n, err);
	if (!o->arg)
		return value ? err_set(err, CLI_USAGE, "--%s takes no value", o->name)
		             : give(a, o, "", letter, err);
	if (!value)
		value = argv[*i + 1] ? argv[++*i] : NULL;
	if (!value)
		return err_set(err, CLI_USAGE, "--%s wants a value: --%s %s", o->name, o->name,
		               o->arg);
	return give(a, o, value, letter, err);
}

/* "--no-password" beside "--password-file": only one of them can be meant. */
static int check_contradictions(const struct args *a, struct loom_err *err)
{
	for (size_t i = 0; i < a->n_given; i++) {
		const char *no = a->given[i].option->name;
		for (size_t k = 0; k < a->n_given && str_starts(no, "no-"); k++) {
			const char *other = a->given[k].option->name;
			if (str_starts(other, no + 3))
				return err_set(err, CLI_USAGE, "give --%s or --%s, not both", no,
				               other);
		}
	}
	return 0;
}

/* Looks up each option in the command's own rows: a letter may stand for different names in
 * different commands, and the row found earlier may be another command's. */
static int own_options(struct args *a, struct loom_err *err)
{
	for (size_t i = 0; i < a->n_given; i++) {
		const char *name = a->given[i].option->name;
		char letter = a->given[i].letter;
		const char *key = letter ? &letter : name;
		size_t n = letter ? 1 : strlen(name);
		const struct option *o = find_option(args_common, key, n);
		if (!o)
			o = find_option(a->command->options, key, n);
		if (!o && letter)
			return err_set(err, CLI_USAGE, "loom %s has no option -%c",
			               a->command->words, letter);
		if (!o)
			return err_set(err, CLI_USAGE, "loom %s has no option --%s",
			               a->command->words, name);
		a->given[i].option = o;
	}
	return check_contradictions(a, err);
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* Treats "loom help cluster create" and "loom version" like --help and --version. */
static size_t take_first(struct args *a, const struct strs *words)
{
	bool help = words->n && str_eq(words->v[0], "help");
	bool version = words->n == 1 && str_eq(words->v[0], "version");
	a->help |= help;
	a->version |= version;
	return help || version;
}

/* As with options: a "$NAME" that is not set would make a path of something else. */
static int check_arguments(const struct args *a, struct loom_err *err)
{
	const struct command *c = a->command;
	for (size_t i = 0; i < a->n; i++) {
		if (!*a->positional[i])
			return err_set(err, CLI_USAGE, "loom %s: an argument is empty; it wants %s",
			               c->words, c->args);
		if (!is_sendable(c->args, a->positional[i]))
			return err_set(err, CLI_USAGE, "loom %s: %s must be UTF-8, not '%s'",
			               c->words, c->args, a->positional[i]);
	}
	return 0;
}

static int take_words(struct args *a, const struct command *commands, const struct strs *all,
                      char **plain, struct loom_err *err)
{
	size_t first = take_first(a, all);
	const struct strs some = { .v = all->v + first, .n = all->n - first }, *words = &some;
	plain += first;
	a->command = find_command(commands, words);
	if (!a->command && words->n && !a->help)
		a->group = is_group(commands, words->v[0]) ? plain[0] : NULL;
	if (!a->command && words->n && a->help && is_group(commands, words->v[0]))
		a->group = plain[0];
	if (!a->command) {
		bool known = a->version || (a->help && (a->group || !words->n));
		return known ? 0 : no_command(commands, words, err);
	}
	size_t skip = count_words(a->command->words);
	for (size_t i = skip; i < words->n; i++) {
		if (a->n == a->command->max || a->n == ARGS_MAX_POSITIONAL)
			return a->help ? 0
			               : err_set(err, CLI_USAGE,
			                         "loom %s: '%s' is one argument too many",
			                         a->command->words, plain[i]);
		a->positional[a->n++] = plain[i];
	}
	if (a->help || a->version)
		return 0;
	int rc = check_arguments(a, err);
	if (rc)
		return rc;
	if (a->n < a->command->min)
		return err_set(err, CLI_USAGE, "loom %s wants %s", a->command->words,
		               a->command->args);
	return own_options(a, err);
}

int args_parse(struct args *a, const struct command *commands, int argc, char **argv,
               struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs words = { 0 };
	char **plain = loom_calloc((size_t)argc + 1, sizeof(*plain)); /* borrowed from argv */
	bool options = true;
	int rc = 0;
	memset(a, 0, sizeof(*a));
	for (int i = 1; i < argc && !rc; i++) {
		if (options && str_eq(argv[i], "--")) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			rc = take_option(a, commands, argv, &i, err);
		} else {
			plain[words.n] = argv[i];
			strs_add(&words, argv[i]);
		}
	}
	if (!rc)
		rc = take_words(a, commands, &words, plain, err);
	loom_free(plain);
	return rc;
}

const char *args_get(const struct args *a, const char *option)
{
	for (size_t i = a->n_given; i; i--) {
		if (str_eq(a->given[i - 1].option->name, option))
			return a->given[i - 1].value;
	}
	return NULL;
}

bool args_has(const struct args *a, const char *option)
{
	return args_get(a, option) != NULL;
}

/* ---- help ------------------------------------------------------------------------------------ */

static void print_options(const struct option *o, FILE *f)
{
	for (; o && o->name; o++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%s--%s%s%s", o->letter ? "-x, " : "", o->name,
		                 o->arg ? " " : "", o->arg ? o->arg : "");
		if (o->letter && n > 1)
			text[1] = o->letter;
		fprintf(f, "  %-26s  %s\n", text, o->doc);
	}
}

static const char exit_codes[] =
	"Exit codes: 0 done, 1 refused or failed, 2 Loom was not reached, 3 doctor has found something,\n"
	"64 wrong usage, 130 interrupted.\n";

void args_help(const struct command *commands, const char *group, FILE *f)
{
	fputs("Usage: loom COMMAND [ARGUMENT...] [OPTION...]\n\n"
	      "Loom provisions clusters of machines.\n\ncommands:\n",
	      f);
	for (const struct command *c = commands; c->words; c++) {
		if (group && !has_word(c->words, 0, group))
			continue;
		LOOM_CLEANUP_STR char *left =
			loom_asprintf("%s%s%s", c->words, *c->args ? " " : "", c->args);
		fprintf(f, "  %-38s  %s\n", left, c->summary);
	}
	fputs("\noptions of every command:\n", f);
	print_options(args_common, f);
	fputs("\nloom COMMAND --help says more about one command.\n", f);
	fputs(exit_codes, f);
}

void args_help_command(const struct command *c, FILE *f)
{
	fprintf(f, "Usage: loom %s%s%s [OPTION...]\n\n%s.\n", c->words, *c->args ? " " : "",
	        c->args, c->summary);
	if (c->options) {
		fputs("\noptions:\n", f);
		print_options(c->options, f);
	}
	fputs("\noptions of every command:\n", f);
	print_options(args_common, f);
	fprintf(f, "\n%s", exit_codes);
}
