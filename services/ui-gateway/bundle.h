/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle - the page's modules as one script, so that a first load takes two rounds, not a request
 * for each.  Pure; made once, at the start.
 *
 * It understands what the modules of this page are written like, and refuses all else: each import
 * is one line, `import { a, b as c } from "./x.js";` or `import * as x from "./x.js";`, what is
 * exported is a const, function or class where it is declared, and modules do not import each other
 * in a circle.
 */
#ifndef LOOM_GATEWAY_BUNDLE_H
#define LOOM_GATEWAY_BUNDLE_H

#include "common/base/err.h"
#include "common/base/str.h"

/* The text of the module of that name ("dom.js"), borrowed; NULL when there is none. */
typedef const char *(*bundle_read)(const void *arg, const char *name);

/* The script that does what the module `entry` does. Returns owned, NULL with err filled. */
char *bundle_modules(bundle_read read, const void *arg, const char *entry, struct loom_err *err);

/* The page without asking for modules beforehand: they are in the script. Returns owned. */
char *bundle_page(const char *page);

#endif
