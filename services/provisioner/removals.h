/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removals - removes folders, one after the other, on a thread of its own.
 *
 * A disk that hangs holds up that thread, and nothing else. What is not removed when the process
 * ends is left to the next start. Loop thread only; nothing here waits for the disk.
 */
#ifndef LOOM_PROVISIONER_REMOVALS_H
#define LOOM_PROVISIONER_REMOVALS_H

#include "common/base/str.h"
#include "common/net/loop.h"

struct removals;

struct removals *removals_create(struct loop *l);
/* Waits a little for what is under way, and leaves the rest to the next start. NULL ok. */
void removals_destroy(struct removals *r);

/* Removes a folder (taken) with all that is in it. */
void removals_add(struct removals *r, char *path);
/* Likewise those of `dir` that have these names (taken), and no other: new ones may be there when
 * their turn comes. */
void removals_add_all(struct removals *r, const char *dir, struct strs *names);

#endif
