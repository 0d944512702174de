/* SPDX-License-Identifier: Apache-2.0 */
/* login_page - the page shown when a login has failed. Any thread. */
#ifndef LOOM_GATEWAY_LOGIN_PAGE_H
#define LOOM_GATEWAY_LOGIN_PAGE_H

#include "common/net/http_server.h"

/* Answers with a page: what happened, what to do, and a link to try again. The texts are escaped,
 * so they may come from anybody. */
void login_page(struct http_req *req, int status, const char *what, const char *todo);

#endif
