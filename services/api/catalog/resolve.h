/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve - makes one cluster template out of a template, its ancestors (`extends`) and the partial
 * templates they all include (`includes`), later ones over earlier ones (REST spec 3.8): from the
 * topmost ancestor down, each template's includes in order, then the template itself.
 *
 * Pure logic: a callback provides the documents. Any thread.
 */
#ifndef LOOM_API_RESOLVE_H
#define LOOM_API_RESOLVE_H

#include "common/json/json.h"
#include "common/model/catalog/entity.h"

struct resolve_source {
	/* 0 with *ret owned, ENTITY_E_NONE, or a DB_E_ code, which resolve() returns as it is. */
	int (*get)(void *arg, enum entity_kind k, const char *name, struct json **ret);
	void *arg;
};

/* 0 with *ret owned. name, label, description, icon, version, links, extends and includes are the
 * leaf's. 400: a circle (err names it), or a key that an immutable partial has set; 404: a named
 * document does not exist. */
LOOM_MUST_CHECK int resolve(const struct json *leaf, const struct resolve_source *src,
                            struct json **ret, struct loom_err *err);

/* Is it complete: default services, a default provider, a valid DNS suffix. 0, or 400 with err. */
LOOM_MUST_CHECK int resolve_check(const struct json *resolved, struct loom_err *err);

#endif
