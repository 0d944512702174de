/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes folders on a thread of its own.
 *
 * The end of the process must not wait for a disk that hangs: after a while the thread is left to
 * itself, with the memory that it uses.
 */
#include "removals.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/pool.h"
#include "files.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>

enum {
	QUEUE = 1024,
	END_WAIT_MS = 2000, /* for all that waits, then as long for the one that is under way */
	END_POLL_MS = 10,
};

struct removals {
	struct pool *pool;
	_Atomic size_t open; /* jobs that have not ended */
	_Atomic bool ending; /* no other folder is begun */
};

struct job {
	struct removals *of;
	struct strs paths;
};

struct removals *removals_create(struct loop *l)
{
	struct removals *r = loom_calloc(1, sizeof(*r));
	r->pool = pool_create(l, 1, QUEUE);
	return r;
}

/* Whether all jobs have ended within a while. */
static bool have_ended(struct removals *r)
{
	int64_t until = clock_mono_ms() + END_WAIT_MS;
	while (atomic_load(&r->open) && clock_mono_ms() < until)
		(void)poll(NULL, 0, END_POLL_MS);
	return !atomic_load(&r->open);
}

void removals_destroy(struct removals *r)
{
	if (!r)
		return;
	bool all = have_ended(r);
	atomic_store(&r->ending, true);
	if (!all && !have_ended(r)) {
		log_warn("the disk does not answer: task folders are left to the next start");
		return;
	}
	if (!all)
		log_warn("there is no time to remove all task folders: the next start does");
	pool_destroy(r->pool);
	loom_free(r);
}

static void remove_one(const char *path)
{
	int rc = files_remove_tree(path);
	if (rc)
		log_warn("task folder cannot be removed", LOG_S("path", path),
		         LOG_S("error", strerrordesc_np(-rc)));
}

static void work(void *arg)
{
	struct job *j = arg;
	struct removals *r = j->of;
	for (size_t i = 0; i < j->paths.n && !atomic_load(&r->ending); i++)
		remove_one(j->paths.v[i]);
	strs_fini(&j->paths);
	loom_free(j);
	atomic_fetch_sub(&r->open, 1);
}

static void submit(struct removals *r, struct job *j)
{
	j->of = r;
	atomic_fetch_add(&r->open, 1);
	if (pool_submit(r->pool, work, NULL, j) == 0)
		return;
	atomic_fetch_sub(&r->open, 1);
	log_warn("too many folders wait to be removed: left to the next start",
	         LOG_S("path", j->paths.v[0]));
	strs_fini(&j->paths);
	loom_free(j);
}

void removals_add(struct removals *r, char *path)
{
	struct job *j = loom_calloc(1, sizeof(*j));
	strs_add(&j->paths, path);
	loom_free(path);
	submit(r, j);
}

void removals_add_all(struct removals *r, const char *dir, struct strs *names)
{
	struct job *j = loom_calloc(1, sizeof(*j));
	for (size_t i = 0; i < names->n; i++)
		strs_addf(&j->paths, "%s/%s", dir, names->v[i]);
	if (names->n)
		submit(r, j);
	else
		loom_free(j);
	strs_fini(names);
}
