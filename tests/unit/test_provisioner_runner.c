/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/runner_case.h"

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
	ck_assert_ptr_nonnull(
		strstr(buf_str(&seen.err), "plugin: it is not there, or what its first line"));
	fini_seen(&seen);
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
	tcase_add_test(tc, a_plugin_that_cannot_be_executed);
	tcase_add_test(tc, many_at_once);
	return UNIT_RUN("provisioner_runner", tc);
}
