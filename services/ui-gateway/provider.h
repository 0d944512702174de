/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider - the OpenID provider as used by a client: discovery of its endpoints (OpenID Connect
 * Discovery 1.0), and requests to them (Core 1.0, 3.1 and 12; RP-Initiated Logout 1.0; RFC 7009).
 *
 * Every function but create and destroy is for worker threads: it may wait for the provider, some
 * seconds at most.
 */
#ifndef LOOM_GATEWAY_PROVIDER_H
#define LOOM_GATEWAY_PROVIDER_H

#include "services/ui-gateway/ticket.h"

#include "common/base/config.h"

struct provider_config {
	char *oidc_issuer; /* "": none */
	char *oidc_name;
	char *oidc_client_id;
	char *oidc_client_secret_file;
	char *oidc_redirect;
	char *oidc_scope;
	int64_t oidc_session;
	char *cluster_key_file, *session_key_file;
};
extern const struct config_key provider_config_keys[];

struct provider;

/* Borrows cfg. 0, or positive with err when a setting is wrong. */
LOOM_MUST_CHECK int provider_create(const struct provider_config *cfg, struct provider **ret,
                                    struct loom_err *err);
void provider_destroy(struct provider *p); /* NULL ok */

struct provider_tokens {
	char *id;      /* the ID token, not checked yet; NULL: the renewal gave none */
	char *renewal; /* the refresh token; NULL: none */
};
void provider_tokens_fini(struct provider_tokens *t);

/* The address where the browser logs in or out (NULL for logout: the provider has none). 0 with a
 * text that the caller owns, or 502 with err. */
LOOM_MUST_CHECK int provider_login_url(struct provider *p, const struct ticket_attempt *a,
                                       char **ret, struct loom_err *err);
LOOM_MUST_CHECK int provider_logout_url(struct provider *p, const char *id_token, const char *back,
                                        char **ret, struct loom_err *err);

/* Exchanges the code of a login, or a refresh token, for tokens. 0; 400 with err when the provider
 * refuses; 502 when it does not answer properly. */
LOOM_MUST_CHECK int provider_redeem(struct provider *p, const struct ticket_attempt *a,
                                    const char *code, struct provider_tokens *ret,
                                    struct loom_err *err);
LOOM_MUST_CHECK int provider_renew(struct provider *p, const char *renewal,
                                   struct provider_tokens *ret, struct loom_err *err);
/* Revokes a refresh token, if the provider supports it. */
void provider_revoke(struct provider *p, const char *renewal);

LOOM_DEFINE_CLEANUP(struct provider *, provider_destroy)

#endif
