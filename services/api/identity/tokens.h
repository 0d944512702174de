/* SPDX-License-Identifier: Apache-2.0 */
/* tokens - the tokens that the service creates at start. */
#ifndef LOOM_API_TOKENS_H
#define LOOM_API_TOKENS_H

#include "services/api/api.h"

/* Stores the tokens in admin_token_file and provisioner_token_file, if these are set. If still
 * nobody can sign in, makes the first account with a token, written to the log and to
 * first_token_file. At start; 0 or an error code with err. */
LOOM_MUST_CHECK int tokens_start(struct api *a, struct loom_err *err);

#endif
