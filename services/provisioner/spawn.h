/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn - starts a plugin under a guard.
 *
 * The guard is a forked copy of this process, leader of a session and process group of its own, and
 * parent of the plugin. It does four things that nothing else can do without a race: it kills the
 * whole group when the provisioner dies (even by kill -9, as the kernel signals it), and when the
 * task's lease ends (even when the provisioner hangs); it kills remaining processes of the group
 * once the plugin has ended; and its pid, which is the group's number, is not given to anyone else
 * before the provisioner has waited for it.
 *
 * Must be called on a thread that lives as long as the process (the loop's): the kernel's "parent
 * died" signal is about the thread that forked. The forked code calls async-signal-safe functions
 * only, because other threads exist.
 */
#ifndef LOOM_PROVISIONER_SPAWN_H
#define LOOM_PROVISIONER_SPAWN_H

#include "common/base/mem.h"

#include <sys/types.h>

struct spawn_spec {
	const char *exec;   /* absolute path */
	const char *action; /* its only argument */
	const char *cwd;
	char *const *env; /* "NAME=value" ..., NULL */
	/* Monotonic ms, in memory shared with the guard (see spawn_shared) that stays until the
	 * guard has ended; the caller updates it when the lease is renewed. NULL: no lease. */
	const _Atomic int64_t *lease_until;
};

/* Zeroed memory for n leases; never unmapped, as a process makes it once. */
_Atomic int64_t *spawn_shared(size_t n);

/* The provisioner's ends; non-blocking, close-on-exec, owned by the caller. */
struct spawn_pipes {
	int in;     /* the plugin's standard input, to write */
	int out;    /* its standard output */
	int err;    /* its standard error */
	int result; /* its descriptor 3 */
	/* Delivers the plugin's wait status (one int) when it has ended, then end of file; end of
	 * file alone means that the guard itself was killed. The group is dead by then. */
	int control;
};

/* 0 with the guard's pid, for which the caller must wait; or -errno and nothing was started. */
LOOM_MUST_CHECK int spawn_guarded(const struct spawn_spec *spec, pid_t *ret_pid,
                                  struct spawn_pipes *ret);

#endif
