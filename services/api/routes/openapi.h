/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi - describes the interface from its own table of routes: for programs as OpenAPI 3.1, for
 * people as a page. Both are made once, at start, and served from memory. Loop thread.
 */
#ifndef LOOM_API_OPENAPI_H
#define LOOM_API_OPENAPI_H

#include "services/api/request/route.h"

/* Owned. internal: address of that port, "10.0.0.1:55055". */
struct json *openapi_make(const struct api_routes *r, const char *internal);
/* Writes all statuses that a row answers with, ascending; returns how many. */
size_t openapi_statuses(const struct route *r, int *ret, size_t max);
/* A self-contained page, owned: no script, nothing from elsewhere. */
char *docs_page_make(const struct api_routes *r);

/* Both descriptions, ready to be sent. */
struct described;
struct described *described_create(const struct api_routes *r, const char *internal);
void described_destroy(struct described *d);

#endif
