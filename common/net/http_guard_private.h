/* SPDX-License-Identifier: Apache-2.0 */
/* http_guard_private - shared by the two sources of the guard. Pure. */
#ifndef LOOM_NET_HTTP_GUARD_PRIVATE_H
#define LOOM_NET_HTTP_GUARD_PRIVATE_H

#include "common/net/http_guard.h"

enum guard_field { GUARD_OTHER, GUARD_HOST, GUARD_LENGTH, GUARD_CODING, GUARD_EXPECT };

bool guard_is_digit(unsigned char c);
bool guard_is_token(unsigned char c); /* RFC 9110 tchar */
bool guard_is_host_char(unsigned char c);
/* Is this the word just read, in any case? */
bool guard_word_is(const struct http_guard *g, const char *s);
enum guard_field guard_field(const struct http_guard *g); /* by the name just read */
int guard_check_value(struct http_guard *g);              /* of that field: 0, or refuses */

#endif
