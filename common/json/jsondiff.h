/* SPDX-License-Identifier: Apache-2.0 */
/* jsondiff - the differences of two documents, for people.  Pure. */
#ifndef LOOM_JSON_JSONDIFF_H
#define LOOM_JSON_JSONDIFF_H

#include "common/json/json.h"

/* [{"path": "/web/port", "from": .., "to": ..}]: compares objects member by member, and other
 * values as a whole; an absent `from` or `to` is left out. Either may be NULL. Returns owned. */
struct json *json_diff(const struct json *from, const struct json *to);

#endif
