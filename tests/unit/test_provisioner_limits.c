/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins that outlive their time, their lease or their provisioner. */
#include "tests/unit/runner_case.h"

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
	int64_t until = clock_mono_ms() + 60000;

	while (alive(pid) && clock_mono_ms() < until)
		(void)poll(NULL, 0, 5);
	ck_assert_msg(!alive(pid), "process %d lives on", (int)pid);
}

static pid_t pid_in(const char *name)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/%s", base, name);
	int64_t until = clock_mono_ms() + 60000;
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
	ck_assert_int_lt(clock_mono_ms() - before, 19000);
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
	ck_assert_int_lt(clock_mono_ms() - before, 19000);
	ck_assert(alive(pid_in("daemon")));
	ck_assert_int_eq(kill(pid_in("daemon"), SIGKILL), 0);
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
	atomic_store(lease, clock_mono_ms() + 3000);
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
	atomic_store(lease, clock_mono_ms() + 3000);
}

START_TEST(a_renewed_lease_ends_nothing)
{
	struct seen seen;

	init_seen(&seen);
	lease = spawn_shared(1);
	renew(NULL);
	struct loop_timer *timer = loop_timer_create(loop, "renew", renew, NULL);
	loop_timer_every(timer, 50);
	run_to_end("sleep 4; echo well", "", 60000, &seen); /* longer than one lease */
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

int main(void)
{
	TCase *tc = tcase_create("runner");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, time_limit_ends_the_whole_group);
	tcase_add_test(tc, a_plugin_may_end_in_order_on_term);
	tcase_add_test(tc, what_is_left_in_the_group_is_killed);
	tcase_add_test(tc, a_daemon_elsewhere_holds_up_nothing);
	tcase_add_test(tc, a_killed_guard_takes_the_plugin_along);
	tcase_add_test(tc, the_group_dies_with_its_lease);
	tcase_add_test(tc, a_renewed_lease_ends_nothing);
	tcase_add_test(tc, a_lease_that_has_ended_already);
	tcase_add_test(tc, destroying_kills_at_once);
	tcase_add_test(tc, the_group_dies_with_the_provisioner);
	return UNIT_RUN("provisioner_limits", tc);
}
