/* SPDX-License-Identifier: Apache-2.0 */
#include "services/provisioner/files.h"
#include "services/provisioner/spool.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char base[64];
static char dir[128];

static void set_up(void)
{
	(void)snprintf(base, sizeof(base), "/tmp/loom-spool-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	(void)snprintf(dir, sizeof(dir), "%s/a/spool", base);
}

static void tear_down(void)
{
	ck_assert_int_eq(files_remove_tree(base), 0);
}

static struct spool *open_spool(void)
{
	struct spool *s = NULL;

	ck_assert_int_eq(spool_open(dir, &s), 0);
	return s;
}

static void write_file(const char *name, const char *text, long age_s)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", dir, name);
	struct timespec times[2];
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
	times[0].tv_sec -= age_s;
	times[1] = times[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static char *listed(struct spool *s)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };

	ck_assert_int_eq(spool_list(s, &names), 0);
	return strs_join(&names, " ");
}

static void check_listed(struct spool *s, const char *want)
{
	LOOM_CLEANUP_STR char *names = listed(s);

	ck_assert_str_eq(names, want);
}

START_TEST(keeps_and_gives_back)
{
	LOOM_CLEANUP(spool_close) struct spool *s = open_spool();
	LOOM_CLEANUP_STR char *name = spool_name("00000001-001-002", 3);
	LOOM_CLEANUP_STR char *text = NULL;
	LOOM_CLEANUP_STR char *again = NULL;
	size_t len = 0;
	struct stat st;

	ck_assert_str_eq(name, "00000001-001-002.3.json");
	ck_assert_int_eq(spool_get(s, name, &text, &len), -ENOENT);
	ck_assert_int_eq(spool_put(s, name, "first", 5), 0);
	ck_assert_int_eq(spool_get(s, name, &text, &len), 0);
	ck_assert_str_eq(text, "first");
	ck_assert_int_eq(spool_put(s, name, "2nd", 3), 0);
	ck_assert_int_eq(spool_get(s, name, &again, &len), 0);
	ck_assert_str_eq(again, "2nd");
	ck_assert_uint_eq(len, 3);
	check_listed(s, name);
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", dir, name);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(spool_del(s, name), 0);
	ck_assert_int_eq(spool_del(s, name), 0);
	check_listed(s, "");
}
END_TEST

START_TEST(partial_files_are_no_results)
{
	struct spool *s = open_spool();

	write_file("00000001-001-001.1.json.tmp", "{\"taskId\":", 0);
	write_file("00000001-001-002.1.json", "{}", 0);
	write_file("notes.txt", "x", 0);
	check_listed(s, "00000001-001-002.1.json");
	spool_close(s);
	s = open_spool(); /* a new start removes what was cut off */
	LOOM_CLEANUP_STR char *partial = loom_asprintf("%s/00000001-001-001.1.json.tmp", dir);
	ck_assert_int_eq(access(partial, F_OK), -1);
	check_listed(s, "00000001-001-002.1.json");
	spool_close(s);
}
END_TEST

START_TEST(oldest_first)
{
	LOOM_CLEANUP(spool_close) struct spool *s = open_spool();

	write_file("00000009-001-001.1.json", "{}", 300);
	write_file("00000001-001-001.1.json", "{}", 100);
	write_file("00000005-001-001.1.json", "{}", 200);
	check_listed(s, "00000009-001-001.1.json 00000005-001-001.1.json 00000001-001-001.1.json");
}
END_TEST

START_TEST(bad_files)
{
	LOOM_CLEANUP(spool_close) struct spool *s = open_spool();
	LOOM_CLEANUP_STR char *big = loom_malloc(SPOOL_MAX_BYTES + 1);
	LOOM_CLEANUP_STR char *folder = loom_asprintf("%s/00000001-001-003.1.json", dir);
	LOOM_CLEANUP_STR char *link = loom_asprintf("%s/00000001-001-004.1.json", dir);
	char *text = NULL;
	size_t len;

	memset(big, 'x', SPOOL_MAX_BYTES + 1);
	ck_assert_int_eq(spool_put(s, "a.json", big, SPOOL_MAX_BYTES + 1), -EFBIG);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(symlink("/etc/passwd", link), 0);
	check_listed(s, "");
	ck_assert_int_eq(spool_get(s, "00000001-001-003.1.json", &text, &len), -EINVAL);
	ck_assert_int_eq(spool_get(s, "00000001-001-004.1.json", &text, &len), -ELOOP);
	write_file("00000001-001-005.1.json", "not JSON", 0);
	ck_assert_int_eq(spool_set_aside(s, "00000001-001-005.1.json"), 0);
	check_listed(s, "");
}
END_TEST

/* Killed at any moment while it writes one result over and over, the writer leaves either nothing
 * or a whole one under the result's name. */
START_TEST(a_killed_writer_leaves_whole_results)
{
	LOOM_CLEANUP_STR char *body = loom_malloc(200001);
	struct spool *s = open_spool();

	memset(body, 'y', 200000);
	body[200000] = '\0';
	for (int i = 0; i < 20; i++) {
		char *text = NULL;
		size_t len = 0;
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				if (spool_put(s, "00000001-001-001.1.json", body, 200000))
					_exit(1);
		ck_assert_int_gt(pid, 0);
		(void)usleep((useconds_t)(200 + i * 313));
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		int r = spool_get(s, "00000001-001-001.1.json", &text, &len);
		ck_assert(r == 0 || r == -ENOENT);
		if (r == 0)
			ck_assert_str_eq(text, body);
		loom_free(text);
		spool_close(s);
		s = open_spool();
	}
	spool_close(s);
}
END_TEST

START_TEST(trees_are_removed_and_links_not_followed)
{
	LOOM_CLEANUP_STR char *outside = loom_asprintf("%s/outside", base);
	LOOM_CLEANUP_STR char *tree = loom_asprintf("%s/tree", base);
	LOOM_CLEANUP_STR char *deep = loom_asprintf("%s/tree/x/y/z", base);
	LOOM_CLEANUP_STR char *link = loom_asprintf("%s/tree/x/link", base);
	LOOM_CLEANUP_STR char *file = loom_asprintf("%s/keep", outside);
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };

	ck_assert_int_eq(files_make_dir(outside), 0);
	ck_assert_int_eq(files_make_dir(deep), 0);
	ck_assert_int_eq(files_make_dir(deep), 0);
	ck_assert_int_eq(symlink(outside, link), 0);
	LOOM_CLEANUP_FD int fd = open(file, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(files_make_dir(file), -ENOTDIR);
	ck_assert_int_eq(files_names(tree, &names), 0);
	ck_assert_uint_eq(names.n, 1);
	ck_assert_str_eq(names.v[0], "x");
	ck_assert_int_eq(files_remove_tree(tree), 0);
	ck_assert_int_eq(access(file, F_OK), 0);
	ck_assert_int_eq(files_remove_tree(tree), 0);
	ck_assert_int_eq(access(tree, F_OK), -1);
}
END_TEST

/* Folders one in another, more than one path can name, with a file and a link to `outside` now and
 * then; in the end one with more folders than are read at once. */
static void make_deep(const char *top, const char *outside)
{
	static const char name[] = "a folder whose name is long enough for the path to be too long";
	ck_assert_int_eq(files_make_dir(top), 0);
	int at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 3 * (size_t)PATH_MAX / sizeof(name); i++) {
		ck_assert_int_eq(mkdirat(at, name, 0700), 0);
		ck_assert_int_eq(symlinkat(outside, at, "link"), 0);
		ck_assert_int_eq(mknodat(at, "file", S_IFREG | 0600, 0), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		loom_close(at);
		ck_assert_int_ge(next, 0);
		at = next;
	}
	for (int i = 0; i < 3000; i++) {
		char wide[32];
		(void)snprintf(wide, sizeof(wide), "%d", i);
		ck_assert_int_eq(mkdirat(at, wide, 0700), 0);
		(void)snprintf(wide, sizeof(wide), "%d/empty", i);
		ck_assert_int_eq(mkdirat(at, wide, 0700), 0);
	}
	loom_close(at);
}

START_TEST(a_tree_of_any_depth_is_removed)
{
	LOOM_CLEANUP_STR char *tree = loom_asprintf("%s/tree", base);
	LOOM_CLEANUP_STR char *outside = loom_asprintf("%s/outside", base);
	LOOM_CLEANUP_STR char *keep = loom_asprintf("%s/outside/keep", base);
	struct rlimit few = { 16, 16 };

	ck_assert_int_eq(files_make_dir(keep), 0);
	make_deep(tree, outside);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(files_remove_tree(tree), 0);
	ck_assert_int_eq(access(tree, F_OK), -1);
	ck_assert_int_eq(access(keep, F_OK), 0);
}
END_TEST

/* How often a folder was read from its start, told by the events of it and of what is in it. */
static int readings(int events)
{
	union {
		struct inotify_event first;
		char bytes[64 << 10];
	} data;
	int n = 0;
	ssize_t got;
	while ((got = read(events, &data, sizeof(data))) > 0) {
		for (ssize_t at = 0; at < got;) {
			const struct inotify_event *e = (const void *)(data.bytes + at);
			n += e->len == 0 && e->mask & IN_ACCESS;
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	return n;
}

/* Else the work would grow with the square of the width. */
START_TEST(a_wide_tree_is_read_once)
{
	LOOM_CLEANUP_STR char *tree = loom_asprintf("%s/tree", base);
	LOOM_CLEANUP_FD int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		LOOM_CLEANUP_STR char *inner = loom_asprintf("%s/%d/inner", tree, i);
		ck_assert_int_eq(files_make_dir(inner), 0);
	}
	ck_assert_int_ge(inotify_add_watch(events, tree, IN_ACCESS | IN_OPEN), 0);
	ck_assert_int_eq(files_remove_tree(tree), 0);
	ck_assert_int_eq(readings(events), 1);
	ck_assert_int_eq(access(tree, F_OK), -1);
}
END_TEST

/* A folder of the same file system that a plug-in has mounted in its own. */
START_TEST(what_is_mounted_in_a_tree_stays)
{
	LOOM_CLEANUP_STR char *outside = loom_asprintf("%s/outside", base);
	LOOM_CLEANUP_STR char *keep = loom_asprintf("%s/outside/keep", base);
	LOOM_CLEANUP_STR char *tree = loom_asprintf("%s/tree", base);
	LOOM_CLEANUP_STR char *beside = loom_asprintf("%s/tree/z/beside", base);
	LOOM_CLEANUP_STR char *mounted = loom_asprintf("%s/tree/x/mounted", base);

	ck_assert_int_eq(files_make_dir(keep), 0);
	ck_assert_int_eq(files_make_dir(mounted), 0);
	ck_assert_int_eq(files_make_dir(beside), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(outside, mounted, NULL, MS_BIND, NULL) < 0)
		return; /* only root may */
	ck_assert_int_eq(files_remove_tree(tree), -EBUSY);
	ck_assert_int_eq(access(keep, F_OK), 0);
	ck_assert_int_eq(access(beside, F_OK), -1);
	ck_assert_int_eq(umount(mounted), 0);
	ck_assert_int_eq(files_remove_tree(tree), 0);
}
END_TEST

START_TEST(one_holder_of_a_lock)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/lock", base);
	int first = -1, second = -1;

	ck_assert_int_eq(files_lock(path, 0, &first), 0);
	ck_assert_int_eq(files_lock(path, 60, &second), -EWOULDBLOCK);
	loom_close(first);
	ck_assert_int_eq(files_lock(path, 0, &second), 0);
	loom_close(second);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("spool");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, keeps_and_gives_back);
	tcase_add_test(tc, partial_files_are_no_results);
	tcase_add_test(tc, oldest_first);
	tcase_add_test(tc, bad_files);
	tcase_add_test(tc, a_killed_writer_leaves_whole_results);
	tcase_add_test(tc, trees_are_removed_and_links_not_followed);
	tcase_add_test(tc, a_tree_of_any_depth_is_removed);
	tcase_add_test(tc, a_wide_tree_is_read_once);
	tcase_add_test(tc, what_is_mounted_in_a_tree_stays);
	tcase_add_test(tc, one_holder_of_a_lock);
	return UNIT_RUN("provisioner_spool", tc);
}
