/* SPDX-License-Identifier: Apache-2.0 */
/* entities - which documents a path names. Pure; any thread. */
#ifndef LOOM_API_ENTITIES_H
#define LOOM_API_ENTITIES_H

#include "common/model/catalog/entity.h"
#include "common/net/http_server.h"

/* The kind in "/v2/providers/x" or "/v2/plugins/providertypes/x". */
enum entity_kind entities_kind(const struct http_req *req);
/* The tenant that stores this kind; borrowed. Plugin types are shared by all, and stored in one. */
const char *entities_home(enum entity_kind k, const char *tenant);

#endif
