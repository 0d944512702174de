/* SPDX-License-Identifier: Apache-2.0 */
/* tokens - those that a start brings. */
#ifndef LOOM_API_TOKENS_H
#define LOOM_API_TOKENS_H

#include "services/api/api.h"

/* Keeps the tokens in admin_token_file and provisioner_token_file, if they are set. If nobody can
 * sign in even so, makes the first account and a token of it, on the log and in first_token_file.
 * At start; 0 or an error code with err. */
LOOM_MUST_CHECK int tokens_start(struct api *a, struct loom_err *err);

#endif
