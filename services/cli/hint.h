/* SPDX-License-Identifier: Apache-2.0 */
/* hint - what was meant by a word that there is not.  Pure; what is returned borrows from the rows
 * unless it is said to be owned. */
#ifndef LOOM_CLI_HINT_H
#define LOOM_CLI_HINT_H

#include "services/cli/args.h"

#include "common/json/json.h"

/* "; did you mean 'cluster list'?", or "" when nothing is near. Owned. */
char *hint_command(const struct command *commands, const struct strs *words);

/* The same for an option's name, of n bytes: first among the options of command (NULL: not known),
 * then among all. Owned. */
char *hint_option(const struct command *commands, const struct command *command, const char *name,
                  size_t n);

/* The name of the entity that was meant, of a list of them with "name"; NULL when one is called so,
 * or none is near. */
const char *hint_name(const struct json *list, const char *name);

#endif
