/* SPDX-License-Identifier: Apache-2.0 */
/*
 * macro - expands %...% in the string values of a configuration (solver spec 4).
 *
 *   %host.self% %ip.self% %ip.TYPE.self% %cluster.owner% %num.service.S%
 *   %host.service.S% %ip.service.S% %ip.TYPE.service.S% %instance.self.service.S%
 *   NAME[i]  map(NAME,'$:80')  join(NAME or map(..),',')  %% for a percent sign
 *
 * Lists are in order of nodenum. A macro that has no value here (no node has the service) stays as
 * it is written; the rest of the string is expanded.
 *
 * A struct macro indexes the nodes once and may expand for many of them. It borrows the nodes.
 * Pure; a struct macro may be used by several threads at once.
 */
#ifndef LOOM_MODEL_MACRO_H
#define LOOM_MODEL_MACRO_H

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/json.h"

#define MACRO_MAX_BYTES (1u << 20) /* of all texts of one configuration */

struct macro_node {
	const char *id;
	int nodenum;
	const char *hostname;           /* NULL or "": not known yet */
	const struct json *ipaddresses; /* {"access_v4": "..", "bind_v4": ".."}; NULL: none yet */
	const struct strs *services;
};

struct macro;

/* MACRO_E_INCOMPLETE: a node has no host name or address yet, or there are too few nodes. */

/* nodes in any order, borrowed. owner is the user id of the cluster's owner; copied, because the
 * row that tells it is read anew for each transaction and the index is kept between them. */
struct macro *macro_create(const struct macro_node *nodes, size_t n, const char *owner);
void macro_destroy(struct macro *m);

/* self: index into nodes, or MACRO_NO_SELF: macros about the own node stay as written. 0 with *ret
 * owned, a new document; or a MACRO_E_ code with err naming the place. */
#define MACRO_NO_SELF ((size_t)-1)
LOOM_MUST_CHECK int macro_expand(const struct macro *m, size_t self, const struct json *config,
                                 struct json **ret, struct loom_err *err);
/* Does each [i] find a node? Names and addresses need not be known. 0 or a MACRO_E_ code, as above.
 */
LOOM_MUST_CHECK int macro_check(const struct macro *m, const struct json *config,
                                struct loom_err *err);
/* Expands one text, such as a link's URL. *ret owned. */
LOOM_MUST_CHECK int macro_expand_str(const struct macro *m, size_t self, const char *text,
                                     char **ret, struct loom_err *err);

LOOM_DEFINE_CLEANUP(struct macro *, macro_destroy)

#endif
