/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool - finished results kept on disk until the server has them.
 *
 * One file per result, named "<task>.<attempt>.json". A file under that name is complete: it is
 * written under another name, synced, renamed, and the folder synced, so a crash at any point
 * leaves either all of it or a part that the next start removes.
 *
 * Any thread: the object never changes after opening. All functions block on the disk.
 */
#ifndef LOOM_PROVISIONER_SPOOL_H
#define LOOM_PROVISIONER_SPOOL_H

#include "common/base/str.h"

#define SPOOL_MAX_BYTES (4u << 20) /* of one result */

struct spool;

/* Makes the folder if needed and removes remains of interrupted writes. 0 or -errno. */
LOOM_MUST_CHECK int spool_open(const char *dir, struct spool **ret);
void spool_close(struct spool *s);

/* The file name of a result; task must be a task id. Returns owned. */
char *spool_name(const char *task, int64_t attempt);

/* 0: the result is durable; -errno: nothing was stored. Replaces an older file. */
LOOM_MUST_CHECK int spool_put(struct spool *s, const char *name, const char *data, size_t len);
/* Returns owned text in *ret. 0, -ENOENT, -EFBIG or -errno. */
LOOM_MUST_CHECK int spool_get(struct spool *s, const char *name, char **ret, size_t *ret_len);
/* 0 (also if absent) or -errno. */
int spool_del(struct spool *s, const char *name);
/* Renames an unreadable file to "<name>.bad". 0 or -errno. */
int spool_set_aside(struct spool *s, const char *name);
/* Adds the names of all complete results, oldest first. 0 or -errno. */
LOOM_MUST_CHECK int spool_list(struct spool *s, struct strs *ret);

LOOM_DEFINE_CLEANUP(struct spool *, spool_close)

#endif
