/* SPDX-License-Identifier: Apache-2.0 */
/*
 * static - the web app's files, read into memory once.
 *
 * A request can only name files found at the start: no path of a request reaches the file system.
 * Only files with a known extension are served; hidden files and links are not. Loop thread.
 */
#ifndef LOOM_GATEWAY_STATIC_H
#define LOOM_GATEWAY_STATIC_H

#include "common/net/http_server.h"

struct site;

/* 0, or positive with err filled: no index.html, unreadable, too large. With bundle, js/main.js and
 * js/hubworker.js contain the modules that they import (bundle.h), and the page loads no others; if
 * bundling fails the files are served as they are. */
LOOM_MUST_CHECK int site_load(const char *dir, bool bundle, struct site **ret,
                              struct loom_err *err);
void site_destroy(struct site *s);
size_t site_count(const struct site *s);

/* Answers a GET or HEAD with the file at that path (decoded, "/" is the index), 304 or 404. */
void site_serve(const struct site *s, struct http_req *req);

/* Does an If-None-Match value name this tag?  Pure. */
bool site_tag_matches(const char *if_none_match, const char *tag);
/* Content-Type by the name's extension, NULL for an unknown one. Pure. */
const char *site_type(const char *name);

LOOM_DEFINE_CLEANUP(struct site *, site_destroy)

#endif
