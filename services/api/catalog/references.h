/* SPDX-License-Identifier: Apache-2.0 */
/*
 * references - which documents name which: a template its services, a service the types of its
 * plugins. From one table; pure, any thread.
 */
#ifndef LOOM_API_REFERENCES_H
#define LOOM_API_REFERENCES_H

#include "common/base/err.h"
#include "common/json/json.h"
#include "common/model/catalog/entity.h"

/* One name in a document. path: "constraints.services.web", valid during the call. */
typedef void (*reference_fn)(enum entity_kind to, const char *name, const char *path, void *arg);

void references_each(enum entity_kind k, const struct json *doc, reference_fn each, void *arg);
bool references_kind(enum entity_kind from, enum entity_kind to); /* may a document of kind `from`
                                                                   * name one? */

/* Checks the fields of a service's actions against their automator types (an object by name, with
 * the known ones): 400 with err for an unknown field that looks like a misspelt one. */
LOOM_MUST_CHECK int references_check_fields(const struct json *service, const struct json *types,
                                            struct loom_err *err);

#endif
