/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold one secret. */
#include "common/base/secret_file.h"

#include "common/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

char *secret_file_read(const char *setting, const char *path, struct loom_err *err)
{
	char text[SECRET_FILE_MAX];
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0) {
		err_set(err, 500, "%s %s: %s", setting, path, strerror(errno));
		return NULL;
	}
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	bool one = n > 0 && !memchr(text, '\n', (size_t)n) && !memchr(text, '\0', (size_t)n);
	char *ret = one ? loom_strndup(text, (size_t)n) : NULL;
	sodium_memzero(text, sizeof(text));
	if (!ret)
		err_set(err, 500, "%s %s %s", setting, path, n ? "has several lines" : "is empty");
	return ret;
}

void secret_file_free(char *text)
{
	if (text)
		sodium_memzero(text, strlen(text));
	loom_free(text);
}
