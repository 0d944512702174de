/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - the command line: one row per command and per option; parser and --help both use the rows.
 * Pure but for printing; the results borrow from argv.
 */
#ifndef LOOM_CLI_ARGS_H
#define LOOM_CLI_ARGS_H

#include "common/base/err.h"
#include "common/base/str.h"

#include <stdio.h>

#define ARGS_MAX_OPTIONS    64
#define ARGS_MAX_POSITIONAL 33

struct cli;
struct args;

struct option {
	const char *name; /* "template" is --template */
	char letter;      /* 'o' is -o too; 0: none */
	const char *arg;  /* "T"; NULL: a flag */
	const char *doc;
};

struct command {
	const char *words;            /* "cluster create" */
	const char *args;             /* "NAME", for --help */
	size_t min, max;              /* number of arguments */
	const char *summary;          /* one line */
	const struct option *options; /* ends with a NULL name; NULL: none */
	int (*run)(struct cli *c, const struct args *a);
	const void *data; /* for the command's own use */
};

struct args {
	const struct command *command; /* NULL: none was given */
	const char *positional[ARGS_MAX_POSITIONAL];
	size_t n;
	struct {
		const struct option *option;
		const char *value; /* "" for a flag */
		char letter;       /* the letter that was used; 0: the name */
	} given[ARGS_MAX_OPTIONS];
	size_t n_given;
	bool help, version;
	const char *group; /* without a command: the first word of some commands, or NULL */
};

extern const struct option args_common[]; /* options of every command */

/* 0, or CLI_USAGE with err filled. commands ends with a NULL words. */
LOOM_MUST_CHECK int args_parse(struct args *a, const struct command *commands, int argc,
                               char **argv, struct loom_err *err);
const char *args_get(const struct args *a, const char *option); /* its last value; NULL: not
                                                                 * given */
bool args_has(const struct args *a, const char *option);

/* group: only commands that begin with this word; NULL: all. */
void args_help(const struct command *commands, const char *group, FILE *f);
void args_help_command(const struct command *c, FILE *f);

#endif
