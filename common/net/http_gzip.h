/* SPDX-License-Identifier: Apache-2.0 */
/* http_gzip - compresses answers for clients that accept it (RFC 9110 8.4, 12.5.3). Pure. */
#ifndef LOOM_NET_HTTP_GZIP_H
#define LOOM_NET_HTTP_GZIP_H

#include "common/base/str.h"

#define GZIP_FAST  1
#define GZIP_BEST  9
#define GZIP_LEAST ((size_t)1400) /* bytes; an answer that fits one packet gains nothing */

/* Does an Accept-Encoding value (NULL: none) allow gzip? */
bool gzip_accepted(const char *accept_encoding);
/* Does this type compress well? NULL does not. */
bool gzip_helps(const char *type);
/* Returns owned; NULL if the result would not be smaller. */
char *gzip_make(const char *data, size_t len, int level, size_t *ret_len);

#endif
