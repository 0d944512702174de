/* SPDX-License-Identifier: Apache-2.0 */
/* identity - the token that `loom login` stores for later commands. */
#ifndef LOOM_CLI_IDENTITY_H
#define LOOM_CLI_IDENTITY_H

/* The path of the stored token: ~/.config/loom/token. Owned; NULL without a home directory. */
char *identity_file(void);

#endif
