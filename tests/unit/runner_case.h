/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_case - a runner on a loop, and plugins that are shell scripts.
 */
#ifndef TESTS_RUNNER_CASE_H
#define TESTS_RUNNER_CASE_H

#include "services/provisioner/files.h"
#include "services/provisioner/runner.h"
#include "services/provisioner/spawn.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];
static struct loop *loop;

/* What one run left. */
struct seen {
	struct run_end end;
	struct buf out, err, result;
	int outputs;
	bool ended;
	struct run *stop_at_output; /* told to stop at its first output */
};

static void set_up(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(base, sizeof(base), "/tmp/loom-runner-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	loop = loop_create();
}

static void tear_down(void)
{
	ck_assert_int_eq(loop_destroy(loop), 0);
	ck_assert_int_eq(files_remove_tree(base), 0);
}

static void on_output(enum run_stream stream, const char *data, size_t len, void *arg)
{
	struct seen *seen = arg;

	buf_add(stream == RUN_STDOUT ? &seen->out : &seen->err, data, len);
	seen->outputs++;
	if (seen->stop_at_output)
		run_stop(seen->stop_at_output);
}

static void on_end(const struct run_end *end, void *arg)
{
	struct seen *seen = arg;

	seen->end = *end;
	buf_add(&seen->result, end->result, end->result_len);
	seen->end.result = NULL;
	seen->ended = true;
	loop_stop(loop);
}

static const struct run_ops ops = { .on_output = on_output, .on_end = on_end };

static void init_seen(struct seen *seen)
{
	*seen = (struct seen){ .out = BUF_INIT(16 << 20),
		               .err = BUF_INIT(16 << 20),
		               .result = BUF_INIT(1 << 20) };
}

static void fini_seen(struct seen *seen)
{
	buf_fini(&seen->out);
	buf_fini(&seen->err);
	buf_fini(&seen->result);
}

static char *script(const char *text)
{
	char *path = loom_asprintf("%s/plugin", base);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_gt(fprintf(f, "#!/bin/bash\n%s\n", text), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	return path;
}

static _Atomic int64_t *lease; /* of what is started; NULL: none */

static struct run *start(const char *text, const char *input, int64_t timeout_ms, struct seen *seen)
{
	static char path[] = "PATH=/usr/bin:/bin", one[] = "LOOM_TASK_ID=t1";
	char *const env[] = { path, one, NULL };
	LOOM_CLEANUP_STR char *exec = script(text);
	struct run_spec spec = { .exec = exec,
		                 .action = "create",
		                 .cwd = base,
		                 .env = env,
		                 .input = input,
		                 .input_len = strlen(input),
		                 .timeout_ms = timeout_ms,
		                 .grace_ms = 200,
		                 .lease_until = lease };
	struct run *run = NULL;

	ck_assert_int_eq(run_start(loop, &spec, &ops, seen, &run), 0);
	return run;
}

static void run_to_end(const char *text, const char *input, int64_t timeout_ms, struct seen *seen)
{
	(void)start(text, input, timeout_ms, seen);
	loop_run(loop);
	ck_assert(seen->ended);
}

#endif
