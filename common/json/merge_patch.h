/* SPDX-License-Identifier: Apache-2.0 */
/* merge_patch - a change to a document as a document of what changes (RFC 7396). Pure. */
#ifndef LOOM_JSON_MERGE_PATCH_H
#define LOOM_JSON_MERGE_PATCH_H

#include "common/json/json.h"

/* What the document (NULL: none) is with the patch: members of objects are set, or with null
 * removed; all else is replaced as a whole. Returns owned; both are borrowed. */
struct json *json_merge_patch(const struct json *doc, const struct json *patch);

#endif
