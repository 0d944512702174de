/* SPDX-License-Identifier: Apache-2.0 */
/* files - the few folder operations of the provisioner.  Any thread; blocking. */
#ifndef LOOM_PROVISIONER_FILES_H
#define LOOM_PROVISIONER_FILES_H

#include "common/base/str.h"

/* Makes the folder and those above it, mode 0700. 0 (it may exist already) or -errno. */
LOOM_MUST_CHECK int files_make_dir(const char *path);

/* Removes a file or a whole tree, however deep, never following links or entering what is mounted
 * there. 0 (absent too) or -errno of the first thing that could not be removed: what is beside that
 * is removed. */
int files_remove_tree(const char *path);

/* Adds the names of all that is in the folder. 0 or -errno. */
LOOM_MUST_CHECK int files_names(const char *path, struct strs *ret);

/* Holds path as a lock file for the life of the process: *ret_fd, or -EWOULDBLOCK if another
 * process still has it after wait_ms, or -errno. Start-up only: it waits. */
LOOM_MUST_CHECK int files_lock(const char *path, int wait_ms, int *ret_fd);

#endif
