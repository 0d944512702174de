/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oidc - callers known to an OpenID provider: they show a token that it has signed, and have the
 * role that one of their groups grants here. Nothing is stored of them. The provider's keys are
 * read at the start, every few minutes, and when a token names an unknown key, as providers rotate
 * theirs.
 */
#ifndef LOOM_API_OIDC_H
#define LOOM_API_OIDC_H

#include "common/model/identity/token.h"
#include "services/api/api.h"

/* Checks the settings oidc_...: 0, or 400 with err. */
LOOM_MUST_CHECK int oidc_config_check(const struct api_config *cfg, struct loom_err *err);
void oidc_start(struct api *a); /* loop thread; does nothing without oidc_issuer */
void oidc_stop(struct api *a);  /* after the last worker has ended */

/* Is this text a token for the provider's keys to verify? */
bool oidc_takes(const struct api *a, const char *token);
/* Finds the owner of a token. tenant: the name of the one that he wants to work in; NULL: the first
 * in which he has a role. 0; 401 or 403 with err, 503 with err when the keys cannot be read; or a
 * DB_E_ code. Worker threads. */
LOOM_MUST_CHECK int oidc_owner(struct api *a, const char *token, const char *tenant,
                               struct token_owner *ret, struct loom_err *err);

#endif
