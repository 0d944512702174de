/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes trees that strangers made: of any depth, with a few descriptors, and without leaving
 * them.
 *
 * A path cannot name what is deeper than PATH_MAX, so the walk goes from folder to folder. Only the
 * deepest is open. The way up is "..", and ends the walk if that is another folder than on the way
 * down: somebody has moved it meanwhile.
 */
#include "services/provisioner/files.h"

#include "common/base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of folders that are kept while they wait: of each level, and more while there is room for
 * all levels. What finds no room is read again, with all that is beside it. */
enum { AT_ONCE = 1024, IN_ALL = 256 << 10, FIRST_LEVELS = 16 };

struct identity {
	uint32_t major, minor;
	uint64_t inode;
};

/* A folder on the way down. */
struct level {
	char *name; /* in its parent */
	struct identity is;
	struct strs inner; /* the folders in it that were found; NULL: entered already */
	size_t next;       /* of those */
	bool more;         /* there are more than were read at once */
	bool progress;     /* one of those that were read is gone */
};

struct walk {
	int fd; /* of the deepest level */
	struct level *v;
	size_t n, room;
	size_t names; /* kept in all levels */
	int error;    /* of the first thing that could not be removed */
};

static void note(struct walk *w, int error)
{
	if (!w->error && error && error != ENOENT)
		w->error = -error;
}

static struct level *deepest(const struct walk *w)
{
	return &w->v[w->n - 1];
}

static void forget_names(struct walk *w, struct level *l)
{
	w->names -= l->inner.n;
	strs_fini(&l->inner);
}

static void level_fini(struct walk *w, struct level *l)
{
	loom_free(l->name);
	forget_names(w, l);
}

static void walk_fini(struct walk *w)
{
	while (w->n)
		level_fini(w, &w->v[--w->n]);
	loom_free(w->v);
	loom_close(w->fd);
}

/* *ret_fd is to be closed in any case. */
static int folder_open(int at, const char *name, int *ret_fd, struct statx *ret)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	*ret_fd = fd;
	return statx(fd, "", AT_EMPTY_PATH, STATX_INO, ret) < 0 ? errno : 0;
}

static struct identity identity_of(const struct statx *st)
{
	return (struct identity){ st->stx_dev_major, st->stx_dev_minor, st->stx_ino };
}

static bool same_device(const struct identity *a, const struct identity *b)
{
	return a->major == b->major && a->minor == b->minor;
}

/* What is mounted here belongs to somebody else, even if it is of the same file system. */
static bool is_mounted(const struct walk *w, const struct statx *st)
{
	struct identity is = identity_of(st);
	if (st->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return st->stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return w->n && !same_device(&is, &deepest(w)->is);
}

/* Removes a file or an empty folder: 0, ENOTEMPTY for a folder that is not empty, or an errno. */
static int remove_one(int at, const char *name)
{
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return errno;
	if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == EEXIST ? ENOTEMPTY : errno;
}

static void meet(struct walk *w, const char *name)
{
	struct level *l = deepest(w);
	int error = remove_one(w->fd, name);
	if (error != ENOTEMPTY) {
		note(w, error);
	} else if (l->inner.n < AT_ONCE || w->names < IN_ALL) {
		strs_add(&l->inner, name);
		w->names++;
	} else {
		l->more = true;
	}
}

/* Removes the files of the deepest folder, and remembers the folders. */
static void read_level(struct walk *w)
{
	struct level *l = deepest(w);
	struct dirent *entry;
	int fd = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	forget_names(w, l);
	l->next = 0;
	l->more = l->progress = false;
	if (!dir) {
		note(w, errno);
		loom_close(fd);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			meet(w, entry->d_name);
	}
	(void)closedir(dir);
}

/* Takes name. */
static void enter(struct walk *w, char *name)
{
	LOOM_CLEANUP_STR char *owned = name;
	struct statx st;
	int fd = -1;
	int error = folder_open(w->n ? w->fd : AT_FDCWD, name, &fd, &st);
	if (!error && is_mounted(w, &st))
		error = EBUSY;
	if (error) {
		note(w, error);
		loom_close(fd);
		return;
	}
	loom_close(w->fd);
	w->fd = fd;
	if (w->n == w->room) {
		w->room = w->room ? 2 * w->room : FIRST_LEVELS;
		w->v = loom_realloc(w->v, w->room * sizeof(*w->v));
	}
	w->v[w->n++] = (struct level){ .name = loom_take(owned), .is = identity_of(&st) };
	read_level(w);
}

/* Opens the parent of the deepest level, which must be the one that it was. */
static bool go_up(struct walk *w)
{
	const struct identity *was = &w->v[w->n - 2].is;
	struct statx st;
	int fd = -1;
	int error = folder_open(w->fd, "..", &fd, &st);
	struct identity is = identity_of(&st);
	loom_close(w->fd);
	w->fd = fd;
	if (!error && (is.inode != was->inode || !same_device(&is, was)))
		error = ESTALE;
	if (error)
		note(w, error);
	return !error;
}

/* Leaves the deepest level and removes it; false: the walk is over. */
static bool leave(struct walk *w)
{
	if (w->n > 1 && !go_up(w))
		return false;
	struct level *l = &w->v[--w->n];
	int error = remove_one(w->n ? w->fd : AT_FDCWD, l->name);
	note(w, error);
	if (!error && w->n)
		deepest(w)->progress = true;
	level_fini(w, l);
	return w->n > 0;
}

static bool step(struct walk *w)
{
	struct level *l = deepest(w);
	if (l->next < l->inner.n) {
		char **name = &l->inner.v[l->next++];
		enter(w, loom_take(*name));
	} else if (l->more && l->progress) {
		read_level(w);
	} else {
		return leave(w);
	}
	return true;
}

int files_remove_tree(const char *path)
{
	struct walk w = { .fd = -1 };
	int error = remove_one(AT_FDCWD, path);
	if (error != ENOTEMPTY)
		return -error;
	enter(&w, loom_strdup(path));
	while (w.n && step(&w))
		;
	walk_fini(&w);
	return w.error;
}
