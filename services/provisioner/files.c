/* SPDX-License-Identifier: Apache-2.0 */
/* Makes folders, and holds a file as a lock. */
#include "files.h"

#include "common/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_RETRY_MS = 50 };

static int make_one(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

int files_make_dir(const char *path)
{
	LOOM_CLEANUP_STR char *part = loom_strdup(path);
	struct stat st;
	for (char *p = part + 1; *part && (p = strchr(p, '/')); p++) {
		*p = '\0';
		int rc = make_one(part);
		*p = '/';
		if (rc)
			return rc;
	}
	int rc = make_one(part);
	if (rc)
		return rc;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int files_names(const char *path, struct strs *ret)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	if (!dir)
		return -errno;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strs_add(ret, entry->d_name);
	}
	(void)closedir(dir);
	return 0;
}

static int wait_for_lock(int fd, int wait_ms)
{
	int64_t until = clock_mono_ms() + wait_ms;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_mono_ms() >= until)
			return -EWOULDBLOCK;
		(void)poll(NULL, 0, LOCK_RETRY_MS);
	}
	return 0;
}

int files_lock(const char *path, int wait_ms, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int rc = wait_for_lock(fd, wait_ms);
	if (rc)
		loom_close(fd);
	else
		*ret_fd = fd;
	return rc;
}
