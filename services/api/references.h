/* SPDX-License-Identifier: Apache-2.0 */
/*
 * references - which documents name which: a template its services, a service the types of its
 * plugins. From one table; pure, any thread.
 */
#ifndef LOOM_API_REFERENCES_H
#define LOOM_API_REFERENCES_H

#include "common/base/err.h"
#include "common/json/json.h"
#include "common/model/entity.h"

/* One name in a document. path: "constraints.services.web", valid during the call. */
typedef void (*reference_fn)(enum entity_kind to, const char *name, const char *path, void *arg);

void references_each(enum entity_kind k, const struct json *doc, reference_fn each, void *arg);
bool references_kind(enum entity_kind from, enum entity_kind to); /* may it name one? */

/* A service's actions beside the automator types they name (an object by name, as far as they are
 * known): 400 with err for a field that is none of its type's and looks like a misspelt one. */
LOOM_MUST_CHECK int references_check_fields(const struct json *service, const struct json *types,
                                            struct loom_err *err);

#endif
