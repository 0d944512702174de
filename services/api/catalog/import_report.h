/* SPDX-License-Identifier: Apache-2.0 */
/* import_report - what an import does, or would do, to each document. Pure. */
#ifndef LOOM_API_IMPORT_REPORT_H
#define LOOM_API_IMPORT_REPORT_H

#include "common/model/catalog/entity.h"

/* Adds to faults that the i-th document of the kind is refused, and why: {"pointer", "at",
 * "detail"} (json/schema.h), and for a report {"kind", "name"}. */
void import_fault(struct json *faults, enum entity_kind k, size_t i, const char *name,
                  const char *why);
/* {"items": [{"kind", "name", "result"}], "created", "updated", "unchanged", "deleted", "refused"}:
 * the result for each document of the first n kinds, from the stored documents before and after,
 * and for the refused ones. Owned. */
struct json *import_report(int n, const struct json *before, const struct json *after,
                           const struct json *faults);

#endif
