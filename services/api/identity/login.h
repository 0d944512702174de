/* SPDX-License-Identifier: Apache-2.0 */
/* login - shared by handlers that take passwords. Worker threads. */
#ifndef LOOM_API_LOGIN_H
#define LOOM_API_LOGIN_H

#include "common/net/http_server.h"

/* What is wrong with a new password; NULL: nothing. */
const char *login_wrong_password(const char *password);
/* Returns owned; NULL after answering 503, as only few hashes run at once: each takes 64 MiB. */
char *login_hash(struct http_req *req, const char *password);

#endif
