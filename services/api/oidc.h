/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oidc - callers whom an OpenID provider knows: by a token that it has signed, in the role that one
 * of its groups has here. Nothing of them is stored. The provider's keys are read at the start,
 * every few minutes, and when a token names one that is not known, which is how keys change.
 */
#ifndef LOOM_API_OIDC_H
#define LOOM_API_OIDC_H

#include "common/model/token.h"
#include "services/api/api.h"

/* Checks the keys oidc_...: 0, or 400 with err. */
LOOM_MUST_CHECK int oidc_config_check(const struct api_config *cfg, struct loom_err *err);
void oidc_start(struct api *a); /* loop; nothing without oidc_issuer */
void oidc_stop(struct api *a);  /* when no worker is left */

/* Is this text for the provider's keys to judge? */
bool oidc_takes(const struct api *a, const char *token);
/* Whose it is. tenant: the name of the one that he wants to work in; NULL: the first in which he
 * has a role. 0; 401 or 403 with err, 503 with err when the keys cannot be had; or a DB_E_ code.
 * Worker threads. */
LOOM_MUST_CHECK int oidc_owner(struct api *a, const char *token, const char *tenant,
                               struct token_owner *ret, struct loom_err *err);

#endif
