/* SPDX-License-Identifier: Apache-2.0 */
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

static bool alive(pid_t pid)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("/proc/%d/stat", (int)pid);
	char state = 'Z';
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	(void)fclose(f);
	return state != 'Z' && state != 'X';
}

/* The kill is certain, the dying takes a moment. */
static void check_dies(pid_t pid)
{
	int64_t until = clock_mono_ms() + 5000;

	while (alive(pid) && clock_mono_ms() < until)
		(void)poll(NULL, 0, 5);
	ck_assert_msg(!alive(pid), "process %d lives on", (int)pid);
}

static pid_t pid_in(const char *name)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", base, name);
	int64_t until = clock_mono_ms() + 5000;
	int pid = 0;

	while (pid <= 0 && clock_mono_ms() < until) {
		FILE *f = fopen(path, "re");
		if (f && fscanf(f, "%d", &pid) != 1) /* NOLINT(cert-err34-c): a test's own file */
			pid = 0;
		if (f)
			(void)fclose(f);
		if (pid <= 0)
			(void)poll(NULL, 0, 5);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static const struct {
	const char *script;
	int exit_code, signo;
} codes[] = {
	{ "exit 0", 0, 0 },
	{ "exit 1", 1, 0 },
	{ "exit 100", 100, 0 },
	{ "exit 255", 255, 0 },
	{ "kill -TERM $$", -1, SIGTERM },
	{ "kill -KILL $$", -1, SIGKILL },
	{ "kill -SEGV $$", -1, SIGSEGV },
	{ "kill -USR2 $$", -1, SIGUSR2 },
};

START_TEST(exit_codes)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end(codes[_i].script, "", 10000, &seen);
	ck_assert_int_eq(seen.end.exit_code, codes[_i].exit_code);
	ck_assert_int_eq(seen.end.signo, codes[_i].signo);
	ck_assert(!seen.end.timed_out && !seen.end.stopped);
	fini_seen(&seen);
}
END_TEST

START_TEST(what_a_plugin_gets)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end(
		"echo \"$# $1\"; pwd; cat; env | sort | grep -v '^\\(_\\|SHLVL\\|PWD\\)='\n"
		"ls /proc/self/fd | tr '\\n' ' '; cat /proc/self/status | grep '^Sig[BI]' |"
		" sed 's/0000000[01][08]0000000$/0000000000000000/'\n"
		"read -r _ _ _ _ group session _ </proc/$$/stat\n"
		"[ $group = $PPID ] && [ $session = $PPID ] && echo own >&2; printf '{}' >&3; ulimit -c",
		"the input\n", 10000, &seen);
	LOOM_CLEANUP_STR char *want =
		loom_asprintf("1 create\n%s\nthe input\nLOOM_TASK_ID=t1\nPATH=/usr/bin:/bin\n"
	                      "0 1 2 3 4 SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n",
	                      base);
	/* 4: ls's own. Signals 32 and 33 are the C library's own, which make(1) leaves ignored; the
	 * sed above takes them out. */
	ck_assert_str_eq(buf_str(&seen.out), want);
	ck_assert_str_eq(buf_str(&seen.err), "own\n");
	ck_assert_str_eq(buf_str(&seen.result), "{}");
	ck_assert_int_eq(seen.end.exit_code, 0);
	fini_seen(&seen);
}
END_TEST

START_TEST(large_input_and_output)
{
	LOOM_CLEANUP_STR char *input = loom_malloc((3 << 20) + 1);
	struct seen seen;

	init_seen(&seen);
	memset(input, 'i', 3 << 20);
	input[3 << 20] = '\0';
	run_to_end("tee /dev/stderr", input, 20000, &seen);
	ck_assert_str_eq(buf_str(&seen.out), input);
	ck_assert_str_eq(buf_str(&seen.err), input);
	fini_seen(&seen);
}
END_TEST

START_TEST(unread_input_is_no_error)
{
	LOOM_CLEANUP_STR char *input = loom_malloc((1 << 20) + 1);
	struct seen seen;

	init_seen(&seen);
	memset(input, 'i', 1 << 20);
	input[1 << 20] = '\0';
	run_to_end("exec 0<&-; echo ok", input, 20000, &seen);
	ck_assert_int_eq(seen.end.exit_code, 0);
	ck_assert_str_eq(buf_str(&seen.out), "ok\n");
	fini_seen(&seen);
}
END_TEST

START_TEST(output_comes_as_it_is_written)
{
	struct seen seen;

	init_seen(&seen);
	seen.stop_at_output = start("echo first; sleep 60; echo second", "", 50000, &seen);
	loop_run(loop);
	ck_assert(seen.ended && seen.end.stopped && !seen.end.timed_out);
	ck_assert_int_eq(seen.end.signo, SIGTERM);
	ck_assert_str_eq(buf_str(&seen.out), "first\n");
	fini_seen(&seen);
}
END_TEST

START_TEST(oversized_result)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end("head -c 3000000 /dev/zero | tr '\\0' x >&3; echo written", "", 20000, &seen);
	ck_assert_int_eq(seen.end.exit_code, 0);
	ck_assert(seen.end.result_too_large);
	ck_assert_uint_eq(seen.result.len, RUN_RESULT_MAX);
	ck_assert_str_eq(buf_str(&seen.out), "written\n");
	fini_seen(&seen);
	init_seen(&seen);
	run_to_end("head -c 262144 /dev/zero | tr '\\0' x >&3", "", 20000, &seen);
	ck_assert(!seen.end.result_too_large);
	ck_assert_uint_eq(seen.result.len, RUN_RESULT_MAX);
	fini_seen(&seen);
}
END_TEST

/* Children, grandchildren, and those who do not listen to TERM. */
START_TEST(time_limit_ends_the_whole_group)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end("trap 'echo got TERM' TERM\n"
	           "(echo $BASHPID >child; bash -c 'trap \"\" TERM; echo $$ >grandchild;"
	           " while :; do sleep 1; done') &\n"
	           "while :; do sleep 0.05; done",
	           "", 500, &seen);
	ck_assert(seen.end.timed_out && !seen.end.stopped);
	ck_assert_int_eq(seen.end.signo, SIGKILL);
	ck_assert_ptr_nonnull(strstr(buf_str(&seen.out), "got TERM"));
	check_dies(pid_in("child"));
	check_dies(pid_in("grandchild"));
	fini_seen(&seen);
}
END_TEST

START_TEST(a_plugin_may_end_in_order_on_term)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end("trap 'echo {} >&3; exit 7' TERM; while :; do sleep 0.05; done", "", 300, &seen);
	ck_assert(seen.end.timed_out);
	ck_assert_int_eq(seen.end.exit_code, 7);
	ck_assert_str_eq(buf_str(&seen.result), "{}\n");
	fini_seen(&seen);
}
END_TEST

START_TEST(what_is_left_in_the_group_is_killed)
{
	struct seen seen;
	int64_t before = clock_mono_ms();

	init_seen(&seen);
	run_to_end("sleep 300 & echo $! >left; echo done", "", 20000, &seen);
	ck_assert_int_eq(seen.end.exit_code, 0);
	ck_assert_str_eq(buf_str(&seen.out), "done\n");
	check_dies(pid_in("left"));
	ck_assert_int_lt(clock_mono_ms() - before, 10000);
	fini_seen(&seen);
}
END_TEST

START_TEST(a_daemon_elsewhere_holds_up_nothing)
{
	struct seen seen;
	int64_t before = clock_mono_ms();

	init_seen(&seen);
	/* In a session of its own, with the pipes still open. */
	run_to_end("setsid bash -c 'echo $$ >daemon; exec sleep 300' & "
	           "while ! [ -s daemon ]; do sleep 0.01; done; echo done",
	           "", 20000, &seen);
	ck_assert_int_eq(seen.end.exit_code, 0);
	ck_assert_str_eq(buf_str(&seen.out), "done\n");
	ck_assert_int_lt(clock_mono_ms() - before, 10000);
	ck_assert(alive(pid_in("daemon")));
	ck_assert_int_eq(kill(pid_in("daemon"), SIGKILL), 0);
	fini_seen(&seen);
}
END_TEST

START_TEST(a_plugin_that_cannot_be_executed)
{
	struct seen seen;

	init_seen(&seen);
	LOOM_CLEANUP_STR char *exec = loom_asprintf("%s/absent", base);
	char *const env[] = { NULL };
	struct run_spec spec = { .exec = exec,
		                 .action = "x",
		                 .cwd = base,
		                 .env = env,
		                 .input = "",
		                 .timeout_ms = 5000 };
	struct run *run = NULL;
	ck_assert_int_eq(run_start(loop, &spec, &ops, &seen, &run), 0);
	loop_run(loop);
	ck_assert_int_eq(seen.end.exit_code, 127);
	ck_assert_ptr_nonnull(strstr(buf_str(&seen.err), "cannot execute"));
	fini_seen(&seen);
}
END_TEST

START_TEST(a_killed_guard_takes_the_plugin_along)
{
	struct seen seen;

	init_seen(&seen);
	run_to_end("echo $$ >plugin.pid; sleep 300 & echo $! >child; kill -KILL $PPID; sleep 300",
	           "", 20000, &seen);
	ck_assert_int_eq(seen.end.signo, SIGKILL);
	check_dies(pid_in("plugin.pid"));
	check_dies(pid_in("child"));
	fini_seen(&seen);
}
END_TEST

START_TEST(the_group_dies_with_its_lease)
{
	struct seen seen;

	init_seen(&seen);
	lease = spawn_shared(1);
	atomic_store(lease, clock_mono_ms() + 300);
	run_to_end("trap '' TERM ALRM; sleep 300 & echo $! >child; echo $$ >plugin.pid; wait", "",
	           20000, &seen);
	lease = NULL;
	ck_assert_int_eq(seen.end.signo, SIGKILL);
	ck_assert(!seen.end.timed_out && !seen.end.stopped);
	check_dies(pid_in("plugin.pid"));
	check_dies(pid_in("child"));
	fini_seen(&seen);
}
END_TEST

static void renew(void *arg LOOM_UNUSED)
{
	atomic_store(lease, clock_mono_ms() + 300);
}

START_TEST(a_renewed_lease_ends_nothing)
{
	struct seen seen;

	init_seen(&seen);
	lease = spawn_shared(1);
	renew(NULL);
	struct loop_timer *timer = loop_timer_create(loop, "renew", renew, NULL);
	loop_timer_every(timer, 50);
	run_to_end("sleep 1; echo well", "", 20000, &seen);
	loop_timer_destroy(timer);
	lease = NULL;
	ck_assert_int_eq(seen.end.exit_code, 0);
	ck_assert_str_eq(buf_str(&seen.out), "well\n");
	fini_seen(&seen);
}
END_TEST

START_TEST(a_lease_that_has_ended_already)
{
	struct seen seen;

	init_seen(&seen);
	lease = spawn_shared(1);
	atomic_store(lease, clock_mono_ms() - 1);
	run_to_end("sleep 300", "", 20000, &seen);
	lease = NULL;
	ck_assert_int_eq(seen.end.signo, SIGKILL);
	fini_seen(&seen);
}
END_TEST

START_TEST(destroying_kills_at_once)
{
	struct seen seen;

	init_seen(&seen);
	struct run *run =
		start("trap '' TERM; sleep 300 & echo $! >child; echo $$ >plugin.pid; wait", "",
	              20000, &seen);
	pid_t plugin = pid_in("plugin.pid"), child = pid_in("child");
	run_destroy(run);
	check_dies(plugin);
	check_dies(child);
	ck_assert(!seen.ended);
	fini_seen(&seen);
}
END_TEST

/* What happens to plugins when the provisioner is killed with -9. */
START_TEST(the_group_dies_with_the_provisioner)
{
	pid_t provisioner = fork();

	ck_assert_int_ge(provisioner, 0);
	if (provisioner == 0) {
		struct seen seen;
		loop = loop_create();
		init_seen(&seen);
		run_to_end("trap '' TERM; (trap '' TERM; echo $BASHPID >child; sleep 300; :) &\n"
		           "echo $$ >plugin.pid; wait",
		           "", 60000, &seen);
		_exit(0);
	}
	pid_t child = pid_in("child"), plugin = pid_in("plugin.pid");
	ck_assert(alive(plugin) && alive(child));
	ck_assert_int_eq(kill(provisioner, SIGKILL), 0);
	ck_assert_int_eq(waitpid(provisioner, NULL, 0), provisioner);
	check_dies(plugin);
	check_dies(child);
}
END_TEST

START_TEST(many_at_once)
{
	struct seen seen[12];
	int left = 0;

	for (int i = 0; i < 12; i++) {
		LOOM_CLEANUP_STR char *text = loom_asprintf("echo %d; exit %d", i, i);
		init_seen(&seen[i]);
		LOOM_CLEANUP_STR char *path = script(text);
		LOOM_CLEANUP_STR char *own = loom_asprintf("%s.%d", path, i);
		ck_assert_int_eq(rename(path, own), 0);
		char *const env[] = { NULL };
		struct run_spec spec = { .exec = own,
			                 .action = "x",
			                 .cwd = base,
			                 .env = env,
			                 .input = "",
			                 .timeout_ms = 20000 };
		struct run *run = NULL;
		ck_assert_int_eq(run_start(loop, &spec, &ops, &seen[i], &run), 0);
		left++;
	}
	while (left > 0) {
		loop_run(loop); /* on_end stops it */
		left = 0;
		for (int i = 0; i < 12; i++)
			left += !seen[i].ended;
	}
	for (int i = 0; i < 12; i++) {
		ck_assert_int_eq(seen[i].end.exit_code, i);
		ck_assert_int_eq(atoi(buf_str(&seen[i].out)), i); /* NOLINT(cert-err34-c) */
		fini_seen(&seen[i]);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("runner");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, exit_codes, 0, (int)LOOM_COUNT(codes));
	tcase_add_test(tc, what_a_plugin_gets);
	tcase_add_test(tc, large_input_and_output);
	tcase_add_test(tc, unread_input_is_no_error);
	tcase_add_test(tc, output_comes_as_it_is_written);
	tcase_add_test(tc, oversized_result);
	tcase_add_test(tc, time_limit_ends_the_whole_group);
	tcase_add_test(tc, a_plugin_may_end_in_order_on_term);
	tcase_add_test(tc, what_is_left_in_the_group_is_killed);
	tcase_add_test(tc, a_daemon_elsewhere_holds_up_nothing);
	tcase_add_test(tc, a_plugin_that_cannot_be_executed);
	tcase_add_test(tc, a_killed_guard_takes_the_plugin_along);
	tcase_add_test(tc, the_group_dies_with_its_lease);
	tcase_add_test(tc, a_renewed_lease_ends_nothing);
	tcase_add_test(tc, a_lease_that_has_ended_already);
	tcase_add_test(tc, destroying_kills_at_once);
	tcase_add_test(tc, the_group_dies_with_the_provisioner);
	tcase_add_test(tc, many_at_once);
	return UNIT_RUN("provisioner_runner", tc);
}
