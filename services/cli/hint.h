/* SPDX-License-Identifier: Apache-2.0 */
/* hint - suggestions for unknown words. Pure; results borrow from the rows unless said to be
 * owned. */
#ifndef LOOM_CLI_HINT_H
#define LOOM_CLI_HINT_H

#include "services/cli/args.h"

#include "common/json/json.h"

/* "; did you mean 'cluster list'?", or "" when nothing is near. Owned. */
char *hint_command(const struct command *commands, const struct strs *words);

/* The same for an option's name, of n bytes: searches first the options of command (NULL: not
 * known), then all. Owned. */
char *hint_option(const struct command *commands, const struct command *command, const char *name,
                  size_t n);

/* The name in a list of objects with "name" that was probably meant; NULL when the name exists, or
 * none is near. */
const char *hint_name(const struct json *list, const char *name);

#endif
