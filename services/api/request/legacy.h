/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy - the forms of version 0.9.7 of the original (REST spec 18), whose clients use paths below
 * /v1/loom. Converts their requests to today's form, and today's answers to theirs. Pure; any
 * thread.
 */
#ifndef LOOM_API_LEGACY_H
#define LOOM_API_LEGACY_H

#include "common/model/catalog/entity.h"
#include "common/net/http_server.h"

#define LEGACY_PREFIX "/v1/loom"

bool legacy_path(const char *path);
bool legacy_is(const struct http_req *req);
/* The path without its version: "/clusters/7" of "/v2/clusters/7" and "/v1/loom/clusters/7"; other
 * paths unchanged. */
const char *legacy_below(const char *path);

/* A document of the 0.9.7 form in today's form; owned. */
struct json *legacy_document(enum entity_kind k, const struct json *in);
/* The same for a whole catalog. */
struct json *legacy_catalog(const struct json *in);

/* Each takes an answer for today's clients, and returns it, or a new one, owned. */
struct json *legacy_summary(struct json *summary); /* a list's element */
struct json *legacy_details(struct json *details);
struct json *legacy_status(struct json *status);

/* The node's properties and the results of its tasks merged into one object; owned. */
struct json *legacy_properties(const struct json *properties, const struct json *results);

/* A task in the form that a 0.9.7 worker takes; owned. */
struct json *legacy_task(const struct json *task);
/* A 0.9.7 worker's report in today's form, with its provisioner and tenant; owned. */
struct json *legacy_finish(const struct json *finish);

#endif
