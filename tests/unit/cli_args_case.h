/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_args_case - what the tests of the command line share.
 */
#ifndef TESTS_CLI_ARGS_CASE_H
#define TESTS_CLI_ARGS_CASE_H

#include "services/cli/commands.h"
#include "services/cli/hint.h"
#include "services/cli/plan_diff.h"
#include "services/cli/table.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct commands commands;
static struct args a;
static struct loom_err err;
static char words[512];
static char *argv[32];

/* Splits at spaces, as a shell would without quotes. */
static int parse(const char *line)
{
	int argc = 0;
	snprintf(words, sizeof(words), "loom %s", line);
	for (char *at = words; at && *at; argc++) {
		argv[argc] = at;
		at = strchr(at, ' ');
		if (at)
			*at++ = '\0';
	}
	argv[argc] = NULL;
	memset(&err, 0, sizeof(err));
	return args_parse(&a, commands.v, argc, argv, &err);
}

#endif
