/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_resources - what the calls about files for plug-ins share. Worker threads. */
#ifndef LOOM_API_PLUGIN_RESOURCES_H
#define LOOM_API_PLUGIN_RESOURCES_H

#include "common/model/plugin_resource.h"
#include "services/api/request.h"

/* Which one a request names, borrowed from it; the tenant is the caller's. false when answered:
 * there is no such plug-in or type of files, or the version is no number. */
bool plugin_resource_of(struct http_req *req, struct plugin_resource_at *ret);
/* By the row's path. */
enum entity_kind plugin_kind_of(const struct http_req *req);

/* Answers a refusal or fault about at. */
void plugin_resource_refuse(struct http_req *req, const struct plugin_resource_at *at, int rc);

#endif
