/* SPDX-License-Identifier: Apache-2.0 */
/* merge_patch - applies a change given as a document (RFC 7396). Pure. */
#ifndef LOOM_JSON_MERGE_PATCH_H
#define LOOM_JSON_MERGE_PATCH_H

#include "common/json/json.h"

/* The document (NULL: none) with the patch applied: sets members of objects, or removes them if
 * null; replaces everything else as a whole. Returns owned; both are borrowed. */
struct json *json_merge_patch(const struct json *doc, const struct json *patch);

#endif
