/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_resources - shared by the calls about plug-in files. Worker threads. */
#ifndef LOOM_API_PLUGIN_RESOURCES_H
#define LOOM_API_PLUGIN_RESOURCES_H

#include "common/model/catalog/plugin_resource.h"
#include "services/api/request/request.h"

/* Reads from the request which file it names, borrowed from it; the tenant is the caller's. false
 * when answered: no such plug-in or type of files, or the name or the version cannot be one. */
bool plugin_resource_of(struct http_req *req, struct plugin_resource_at *ret);
/* The kind that the route's path names. */
enum entity_kind plugin_kind_of(const struct http_req *req);

/* Wakes who waits for a change of these lists. */
void plugin_resources_changed(struct api *a, const char *tenant);

/* Answers a refusal or an error concerning `at`. */
void plugin_resource_refuse(struct http_req *req, const struct plugin_resource_at *at, int rc);

#endif
