/* SPDX-License-Identifier: Apache-2.0 */
/* stdfds - takes the numbers of standard descriptors that are closed. */
#include "common/base/stdfds.h"

#include <fcntl.h>
#include <unistd.h>

void stdfds_take(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest number is free, so it is fd. */
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(1);
	}
}
