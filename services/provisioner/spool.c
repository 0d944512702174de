/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps undelivered results on disk, in order, each complete or absent. */
#include "spool.h"

#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX      ".json"
#define TEMP_SUFFIX ".tmp"

struct spool {
	char *path;
	int dir;
};

/* A listed result. */
struct aged {
	char *name;
	struct timespec written;
};

char *spool_name(const char *task, int64_t attempt)
{
	return loom_asprintf("%s.%" PRId64 SUFFIX, task, attempt);
}

/* Calls fn for each name in the folder until it returns non-zero. */
static int each_name(struct spool *s, int (*fn)(struct spool *, const char *, void *), void *arg)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;
	if (!dir) {
		rc = -errno;
		loom_close(fd);
		return rc;
	}
	while (!rc && (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): own stream */
		rc = fn(s, entry->d_name, arg);
	(void)closedir(dir);
	return rc;
}

static int remove_partial(struct spool *s, const char *name, void *arg)
{
	(void)arg;
	return str_ends(name, TEMP_SUFFIX) ? spool_del(s, name) : 0;
}

int spool_open(const char *dir, struct spool **ret)
{
	LOOM_CLEANUP(spool_close) struct spool *s = loom_calloc(1, sizeof(*s));
	int rc;

	s->dir = -1;
	s->path = loom_strdup(dir);
	rc = files_make_dir(dir);
	if (rc)
		return rc;
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return -errno;
	rc = each_name(s, remove_partial, NULL);
	if (rc)
		return rc;
	*ret = loom_take(s);
	return 0;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	loom_close(s->dir);
	loom_free(s->path);
	loom_free(s);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_synced(struct spool *s, const char *name, const char *data, size_t len)
{
	LOOM_CLEANUP_FD int fd =
		openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	int rc = write_all(fd, data, len);
	if (rc)
		return rc;
	return fsync(fd) < 0 ? -errno : 0;
}

/* The folder was removed, mostly by who made room on the disk: another one, under the descriptor
 * that other threads may be using. */
static int make_again(struct spool *s)
{
	int rc = files_make_dir(s->path);
	if (rc)
		return rc;
	LOOM_CLEANUP_FD int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || dup3(fd, s->dir, O_CLOEXEC) < 0 ? -errno : 0;
}

int spool_put(struct spool *s, const char *name, const char *data, size_t len)
{
	LOOM_CLEANUP_STR char *temp = loom_asprintf("%s" TEMP_SUFFIX, name);
	if (len > SPOOL_MAX_BYTES)
		return -EFBIG;
	int rc = write_synced(s, temp, data, len);
	if (rc == -ENOENT && !make_again(s))
		rc = write_synced(s, temp, data, len);
	if (!rc && renameat(s->dir, temp, s->dir, name) < 0)
		rc = -errno;
	if (rc) {
		(void)spool_del(s, temp);
		return rc;
	}
	return fsync(s->dir) < 0 ? -errno : 0;
}

int spool_get(struct spool *s, const char *name, char **ret, size_t *ret_len)
{
	LOOM_CLEANUP_FD int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	size_t have = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)SPOOL_MAX_BYTES)
		return -EFBIG;
	size_t size = (size_t)st.st_size;
	LOOM_CLEANUP_STR char *text = loom_malloc(size + 1);
	while (have < size) {
		ssize_t n = read(fd, text + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		have += (size_t)n;
	}
	text[have] = '\0';
	*ret_len = have;
	*ret = loom_take(text);
	return 0;
}

int spool_del(struct spool *s, const char *name)
{
	if (unlinkat(s->dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int spool_set_aside(struct spool *s, const char *name)
{
	LOOM_CLEANUP_STR char *aside = loom_asprintf("%s.bad", name);
	return renameat(s->dir, name, s->dir, aside) < 0 ? -errno : 0;
}

struct listing {
	struct aged *v;
	size_t n, cap;
};

static int add_result(struct spool *s, const char *name, void *arg)
{
	struct listing *l = arg;
	struct stat st;
	if (!str_ends(name, SUFFIX))
		return 0;
	if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = loom_realloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = (struct aged){ .name = loom_strdup(name), .written = st.st_mtim };
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;
	if (x->written.tv_sec != y->written.tv_sec)
		return x->written.tv_sec < y->written.tv_sec ? -1 : 1;
	if (x->written.tv_nsec != y->written.tv_nsec)
		return x->written.tv_nsec < y->written.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

int spool_list(struct spool *s, struct strs *ret)
{
	struct listing l = { 0 };
	int rc = each_name(s, add_result, &l);
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_age);
	for (size_t i = 0; i < l.n; i++) {
		if (!rc)
			strs_add(ret, l.v[i].name);
		loom_free(l.v[i].name);
	}
	loom_free(l.v);
	return rc;
}
