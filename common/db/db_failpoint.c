/* SPDX-License-Identifier: Apache-2.0 */
/* Failpoints of tests: cuts connections and ends processes before, during or after a commit. */
#include "common/db/db_failpoint.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_POINTS = 8, MAX_SEEN = 4096 };

static const char *const names[] = { "before_commit", "during_commit", "after_commit" };
static const char dies[] = "exit_", each[] = "exit_each:";

struct failpoint {
	enum db_fail_point point;
	bool dies;
	bool every;
	uint64_t n;
};

struct seen {
	enum db_fail_point point;
	uint64_t kind;
};

struct db_failpoints {
	struct failpoint v[MAX_POINTS];
	size_t n;
	/* exit_each: where this process and earlier ones have ended. */
	char *path;
	pthread_mutex_t lock;
	struct seen seen[MAX_SEEN];
	size_t n_seen;
};

/* ---- reading LOOM_DB_FAIL ------------------------------------------------------------------- */

/* Reads one failpoint of the list; moves *s behind it. */
static bool read_point(const char **s, struct failpoint *ret)
{
	*ret = (struct failpoint){ .dies = str_starts(*s, dies) };
	const char *name = *s + (ret->dies ? sizeof(dies) - 1 : 0);
	size_t len = strcspn(name, ":"), i = 0;
	char *end;

	while (i < LOOM_COUNT(names) &&
	       (strlen(names[i]) != len || strncmp(name, names[i], len) != 0))
		i++;
	if (i == LOOM_COUNT(names) || !name[len])
		return false;
	const char *number = name + len + 1;
	ret->point = (enum db_fail_point)i;
	ret->every = *number == '/';
	ret->n = strtoull(number + ret->every, &end, 10);
	if (!ret->n || (*end && *end != ','))
		return false;
	*s = *end ? end + 1 : end;
	return true;
}

static int read_seen(struct db_failpoints *f, struct loom_err *err)
{
	FILE *file = fopen(f->path, "re");
	char line[64];
	if (!file)
		return errno == ENOENT
		               ? 0
		               : err_set(err, 500, "%s: %s", f->path, strerrordesc_np(errno));
	while (f->n_seen < MAX_SEEN && fgets(line, sizeof(line), file)) {
		const char *kind = strchr(line, ' ');
		bool before = str_starts(line, names[FAIL_BEFORE_COMMIT]);
		if (kind)
			f->seen[f->n_seen++] =
				(struct seen){ before ? FAIL_BEFORE_COMMIT : FAIL_AFTER_COMMIT,
				               strtoull(kind, NULL, 16) };
	}
	(void)fclose(file);
	return 0;
}

int db_failpoints_read(struct db_failpoints **ret, struct loom_err *err)
{
	const char *s = getenv("LOOM_DB_FAIL"); /* NOLINT(concurrency-mt-unsafe): never set later */
	*ret = NULL;
	if (!s || !*s)
		return 0;
	struct db_failpoints *f = *ret = loom_calloc(1, sizeof(*f));
	(void)pthread_mutex_init(&f->lock, NULL);
	if (str_starts(s, each)) {
		f->path = loom_strdup(s + sizeof(each) - 1);
		return read_seen(f, err);
	}
	while (*s) {
		if (f->n == MAX_POINTS || !read_point(&s, &f->v[f->n++]))
			return err_set(err, 500, "LOOM_DB_FAIL is malformed at \"%s\"", s);
	}
	return 0;
}

void db_failpoints_free(struct db_failpoints *f)
{
	if (!f)
		return;
	(void)pthread_mutex_destroy(&f->lock);
	loom_free(f->path);
	loom_free(f);
}

/* ---- failing --------------------------------------------------------------------------------- */

/* Records the point for later processes; false if one of them, or this one, was here before. */
static bool first_time(struct db_failpoints *f, enum db_fail_point point, uint64_t kind)
{
	bool first = false;
	(void)pthread_mutex_lock(&f->lock);
	size_t i = 0;
	while (i < f->n_seen && (f->seen[i].point != point || f->seen[i].kind != kind))
		i++;
	LOOM_CLEANUP_FD int fd =
		i < f->n_seen || i == MAX_SEEN
			? -1
			: open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		first = dprintf(fd, "%s %" PRIx64 "\n", names[point], kind) > 0;
		f->seen[f->n_seen++] = (struct seen){ point, kind };
	}
	(void)pthread_mutex_unlock(&f->lock);
	return first;
}

enum db_fail db_fails_at(struct db_failpoints *f, enum db_fail_point point, uint64_t run,
                         uint64_t kind)
{
	if (!f)
		return DB_FAIL_NOT;
	if (f->path)
		return point != FAIL_DURING_COMMIT && first_time(f, point, kind) ? DB_FAIL_END
		                                                                 : DB_FAIL_NOT;
	for (size_t i = 0; i < f->n; i++) {
		const struct failpoint *p = &f->v[i];
		if (p->point == point && (p->every ? run % p->n == 0 : run == p->n))
			return p->dies ? DB_FAIL_END : DB_FAIL_CUT;
	}
	return DB_FAIL_NOT;
}

void db_fail_end(void)
{
	(void)raise(SIGKILL);
}
