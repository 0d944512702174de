/* SPDX-License-Identifier: Apache-2.0 */
/* secret_file - a password or token that an operator keeps in a file. Any thread. */
#ifndef LOOM_BASE_SECRET_FILE_H
#define LOOM_BASE_SECRET_FILE_H

#include "common/base/err.h"

#define SECRET_FILE_MAX 4096

/* The only line of the file, without trailing white space. err calls the file by its setting.
 * Returns owned, for secret_file_free(); NULL with err (500) if it cannot be read, is empty or has
 * several lines. */
char *secret_file_read(const char *setting, const char *path, struct loom_err *err);
void secret_file_free(char *text); /* wiped; NULL ok */

LOOM_DEFINE_CLEANUP(char *, secret_file_free)

#endif
