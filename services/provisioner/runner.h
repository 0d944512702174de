/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner - one plugin process from start to end. Loop thread only.
 *
 * The plugin gets its input on stdin; its output is passed on as it arrives; its result on
 * descriptor 3 is collected up to a bound, and discarded beyond it. At the time limit, or on
 * run_stop(), its process group gets TERM, and KILL after the grace time, or when its lease ends.
 * When it has ended by itself, processes left in its group are killed, too.
 */
#ifndef LOOM_PROVISIONER_RUNNER_H
#define LOOM_PROVISIONER_RUNNER_H

#include "common/net/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define RUN_RESULT_MAX (256u << 10)

struct run;

enum run_stream { RUN_STDOUT, RUN_STDERR, RUN_STREAMS_ };

struct run_spec {
	const char *exec;   /* absolute path */
	const char *action; /* its only argument */
	const char *cwd;
	char *const *env; /* "NAME=value" ..., NULL: its whole environment */
	const char *input;
	size_t input_len;
	int64_t timeout_ms;
	int64_t grace_ms;                   /* between TERM and KILL; 0 = 5000 */
	const _Atomic int64_t *lease_until; /* as in spawn.h */
};

struct run_end {
	int exit_code; /* -1 if a signal ended it */
	int signo;     /* that signal, else 0 */
	bool timed_out;
	bool stopped; /* by run_stop() */
	const char *result;
	size_t result_len;
	bool result_too_large; /* then result is only its first part */
};

struct run_ops {
	void (*on_output)(enum run_stream stream, const char *data, size_t len, void *arg);
	void (*on_end)(const struct run_end *end, void *arg); /* called once; then the run is
	                                                       * freed */
};

/* Copies what it needs of spec. 0, or -errno and no callback follows. */
LOOM_MUST_CHECK int run_start(struct loop *l, const struct run_spec *spec,
                              const struct run_ops *ops, void *arg, struct run **ret);
void run_stop(struct run *r);    /* on_end follows; may be called again */
void run_destroy(struct run *r); /* kills at once, no callback follows; NULL ok */

#endif
