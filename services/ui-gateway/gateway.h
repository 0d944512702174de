/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway - the server for browsers: the web app's files, and Loom's REST API below /api/.
 *
 * It holds no state that its other copies lack, so any number of them may stand behind one address.
 * Everything runs on the loop, except gateway_ready(), which runs on a worker.
 */
#ifndef LOOM_GATEWAY_GATEWAY_H
#define LOOM_GATEWAY_GATEWAY_H

#include "proxy.h"
#include "session.h"
#include "static.h"

#include "common/service/service.h"

struct gateway_config {
	char *listen;
	char *api_uri;
	char *web_dir;
	bool bundle;
	char *default_user;
	char *default_tenant;
	struct provider_config provider;
	struct http_config http;
	struct tls_config tls;
	struct http_trust trust;
};

struct gateway {
	struct gateway_config cfg;
	struct service *service;
	struct loop *loop;
	struct pool *pool;
	struct http_client *client;
	struct http_server *server;
	struct site *site;
	struct proxy *proxy;
	struct sessions sessions;
	struct login *login; /* NULL: no provider is configured */
	struct renewals *renewals;
	struct loop_timer *drain;
};

extern const struct config_key gateway_config_keys[];

int gateway_check(void *ctx, struct loom_err *err);
int gateway_start(struct service *service, void *ctx, struct loom_err *err);
void gateway_drain(struct service *service, void *ctx);
void gateway_stop(struct service *service, void *ctx);
bool gateway_ready(struct service *service, void *ctx, struct loom_err *err);

#endif
