/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle - joins the page's modules into one script, so that a first load takes two round trips,
 * not a request for each module. Pure; made once, at the start.
 *
 * It supports only the syntax that this page's modules use, and refuses anything else: each import
 * is one line, `import { a, b as c } from "./x.js";` or `import * as x from "./x.js";`, an export
 * is a const, function or class at its declaration, and imports have no cycles.
 */
#ifndef LOOM_GATEWAY_BUNDLE_H
#define LOOM_GATEWAY_BUNDLE_H

#include "common/base/err.h"
#include "common/base/str.h"

/* The text of the module of that name ("dom.js"), borrowed; NULL when there is none. */
typedef const char *(*bundle_read)(const void *arg, const char *name);

/* The script equivalent to the module `entry`. Returns owned, NULL with err filled. */
char *bundle_modules(bundle_read read, const void *arg, const char *entry, struct loom_err *err);

/* The page without preloads of modules: the script has them. Returns owned. */
char *bundle_page(const char *page);

#endif
