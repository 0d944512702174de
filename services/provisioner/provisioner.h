/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provisioner - the whole service: its settings and the assembly of its parts.
 *
 * Everything runs on the loop thread: calls to the server, plugins' pipes, timers, the admin port.
 * Only disk work that may take time (spool, removal of task folders) runs on the pool. So no locks
 * are needed.
 */
#ifndef LOOM_PROVISIONER_PROVISIONER_H
#define LOOM_PROVISIONER_PROVISIONER_H

#include "common/net/http_client.h"
#include "common/service/service.h"

struct provisioner_settings {
	char *admin_listen, *server_uri, *plugin_dir, *work_dir, *provisioner_id, *tenant,
		*token_file;
	int64_t capacity, drain_timeout;
	struct tls_config tls;
	struct http_trust trust;
};

extern const struct config_key provisioner_keys[];

struct provisioner;

struct provisioner *provisioner_create(const struct provisioner_settings *settings); /* borrows */
void provisioner_destroy(struct provisioner *p);

/* The hooks of struct service_def; ctx points at a struct provisioner *. */
int provisioner_check(void *ctx, struct loom_err *err);
LOOM_MUST_CHECK int provisioner_start(struct service *s, void *ctx, struct loom_err *err);
void provisioner_drain(struct service *s, void *ctx);
void provisioner_stop(struct service *s, void *ctx);
bool provisioner_ready(struct service *s, void *ctx, struct loom_err *err);

#endif
