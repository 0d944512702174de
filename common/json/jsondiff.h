/* SPDX-License-Identifier: Apache-2.0 */
/* jsondiff - what differs between two documents, for people.  Pure. */
#ifndef LOOM_JSON_JSONDIFF_H
#define LOOM_JSON_JSONDIFF_H

#include "common/json/json.h"

/* [{"path": "/web/port", "from": .., "to": ..}]: objects are compared member by member, all else as
 * a whole; `from` or `to` is left out where there is none. Either may be NULL. Returns owned. */
struct json *json_diff(const struct json *from, const struct json *to);

#endif
