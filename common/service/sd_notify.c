/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager that the service is ready, stopping or alive. */
#include "common/service/sd_notify.h"

#include "common/base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int sd_notify_send(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (!path || (path[0] != '/' && path[0] != '@'))
		return 0;
	size_t n = strlen(path);
	if (n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	LOOM_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
	                     (struct sockaddr *)&sa, len) < 0)
		return -errno;
	return 0;
}

int64_t sd_notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t n;
	if (!usec || str_to_int(usec, &n) != 0 || n <= 0)
		return 0;
	int64_t us = n;
	if (pid && (str_to_int(pid, &n) != 0 || n != getpid()))
		return 0;
	return us / 2000 > 0 ? us / 2000 : 1;
}
