/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expander - macros (macro.h) over the nodes of one cluster: for the configuration that tasks get
 * and the links that users see. Borrows the nodes. Pure.
 */
#ifndef LOOM_MODEL_EXPANDER_H
#define LOOM_MODEL_EXPANDER_H

#include "common/model/cluster/macro.h"
#include "common/model/cluster/node.h"

struct expander;

struct expander *expander_create(const struct nodes *ns, const char *owner);
void expander_destroy(struct expander *e);

/* As macro_expand(); node NULL: no node is "self". */
LOOM_MUST_CHECK int expander_config(const struct expander *e, const char *node_id,
                                    const struct json *config, struct json **ret,
                                    struct loom_err *err);
/* As macro_check(). */
LOOM_MUST_CHECK int expander_check(const struct expander *e, const struct json *config,
                                   struct loom_err *err);
/* Expands the URLs of links ([{label, url}]); one that cannot be expanded stays as it is. Returns
 * owned. */
struct json *expander_links(const struct expander *e, const char *node_id,
                            const struct json *links);

LOOM_DEFINE_CLEANUP(struct expander *, expander_destroy)

#endif
