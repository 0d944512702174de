/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy - the forms of version 0.9.7 of the original (REST spec 18), whose clients use paths below
 * /v1/loom: what they send as today's form, and what they are answered. Pure, but for what takes a
 * request.
 */
#ifndef LOOM_API_LEGACY_H
#define LOOM_API_LEGACY_H

#include "common/model/entity.h"
#include "common/net/http_server.h"

#define LEGACY_PREFIX "/v1/loom"

bool legacy_path(const char *path);
bool legacy_is(const struct http_req *req);
/* A path behind its version: "/clusters/7" of "/v2/clusters/7" and "/v1/loom/clusters/7"; of others
 * the whole. */
const char *legacy_below(const char *path);

/* A document as it was sent then, as today's; owned. */
struct json *legacy_document(enum entity_kind k, const struct json *in);
/* That of a request, checked as today's is; false when answered. Worker threads. */
bool legacy_read(struct http_req *req, enum entity_kind k, struct json **ret);
/* As legacy_document(), of a whole catalog. */
struct json *legacy_catalog(const struct json *in);

/* Each takes what today's clients are answered, and returns it, or another, owned. */
struct json *legacy_summary(struct json *summary); /* of a list */
struct json *legacy_details(struct json *details);
struct json *legacy_status(struct json *status);

/* The properties of a node in one object, with what its tasks have answered; owned. */
struct json *legacy_properties(const struct json *properties, const struct json *results);

/* A task as a worker takes it; owned. */
struct json *legacy_task(const struct json *task);
/* What a worker says, as today's workers say it: of its provisioner and tenant; owned. */
struct json *legacy_finish(const struct json *said);

#endif
