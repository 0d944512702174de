/* SPDX-License-Identifier: Apache-2.0 */
/* identity - what `loom login` leaves for the commands after it. */
#ifndef LOOM_CLI_IDENTITY_H
#define LOOM_CLI_IDENTITY_H

/* Where it keeps the token: ~/.config/loom/token. Owned; NULL without a home. */
char *identity_file(void);

#endif
