/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a plugin under a guard that ends it when nobody else can. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	FD_RESULT = 3,      /* of the plugin */
	FD_CONTROL = 4,     /* of the guard */
	FD_ABOVE = 16,      /* the pipes wait from here on while 0..4 are being filled */
	MAX_OPEN = 4096,    /* open files per plugin */
	EXIT_NO_EXEC = 127, /* as in shells */
	PARENT_DIED = SIGUSR2,
};

#define ENOENT_OF_EXEC "it is not there, or what its first line (#!) names is not"

/* In a guard: of its plugin. */
static const _Atomic int64_t *lease_until;

/* The child's ends of the pipes, in the order of their later descriptors. */
struct child_ends {
	int fd[FD_CONTROL + 1];
};

/* ---- in the forked processes: async-signal-safe calls only ------------------------------------
 */

static void say(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));
	(void)n;
}

static void say_failed(const char *what, const char *why)
{
	say("loom-provisioner: ");
	say(what);
	say(": ");
	say(why);
	say("\n");
}

static void kill_group(int signo)
{
	(void)signo;
	(void)kill(0, SIGKILL);
}

static int64_t mono_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Checks again when the present lease ends. setitimer is a bare system call. */
static void watch_lease(int signo)
{
	int64_t left = atomic_load(lease_until) - mono_ms();
	struct itimerval in = { .it_value = { .tv_sec = left / 1000,
		                              .tv_usec = left % 1000 * 1000 } };

	if (left <= 0)
		kill_group(signo);
	(void)setitimer(ITIMER_REAL, &in, NULL);
}

static void default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &sa, NULL);
}

static void limit(void)
{
	struct rlimit core = { 0, 0 }, files;
	(void)setrlimit(RLIMIT_CORE, &core);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > MAX_OPEN) {
		files.rlim_cur = MAX_OPEN;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)umask(022);
}

static _Noreturn void be_plugin(const struct spawn_spec *spec, pid_t guard, char **argv)
{
	sigset_t none;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guard)
		_exit(EXIT_NO_EXEC);
	default_signals();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	limit();
	if (chdir(spec->cwd) < 0) {
		say_failed("cannot enter the task's folder", strerrordesc_np(errno));
		_exit(EXIT_NO_EXEC);
	}
	(void)execve(spec->exec, argv, spec->env);
	say_failed("cannot execute the plugin",
	           errno == ENOENT ? ENOENT_OF_EXEC : strerrordesc_np(errno));
	_exit(EXIT_NO_EXEC);
}

static bool place_descriptors(struct child_ends *ends)
{
	for (int i = 0; i <= FD_CONTROL; i++) {
		if ((ends->fd[i] = fcntl(ends->fd[i], F_DUPFD, FD_ABOVE)) < 0)
			return false;
	}
	for (int i = 0; i <= FD_CONTROL; i++) {
		if (dup2(ends->fd[i], i) < 0)
			return false;
	}
	(void)close_range(FD_CONTROL + 1, ~0U, 0);
	return fcntl(FD_CONTROL, F_SETFD, FD_CLOEXEC) == 0;
}

/* The group exists before the guard reports it. All signals but the kernel's "parent died" and its
 * own alarm are blocked, so that a TERM to the group reaches the plugin and spares the guard. */
static bool become_guard(pid_t provisioner)
{
	struct sigaction sa = { .sa_handler = kill_group }, alarm = { .sa_handler = watch_lease };
	sigset_t mask;
	default_signals();
	(void)sigaction(PARENT_DIED, &sa, NULL);
	(void)sigaction(SIGALRM, &alarm, NULL);
	(void)sigfillset(&mask);
	(void)sigdelset(&mask, PARENT_DIED);
	(void)sigdelset(&mask, SIGALRM);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)prctl(PR_SET_NAME, "loom-guard");
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0)
		return false;
	return getppid() == provisioner;
}

static _Noreturn void be_guard(const struct spawn_spec *spec, pid_t provisioner,
                               struct child_ends *ends, char **argv)
{
	int status = 0;
	pid_t guard = getpid(), plugin;
	if (!become_guard(provisioner) || !place_descriptors(ends) || write(FD_CONTROL, "", 1) != 1)
		_exit(EXIT_NO_EXEC);
	plugin = _Fork();
	if (plugin == 0)
		be_plugin(spec, guard, argv);
	lease_until = spec->lease_until;
	if (lease_until)
		watch_lease(0);
	for (int fd = 0; fd <= FD_RESULT; fd++)
		(void)close(fd);
	if (plugin > 0) {
		while (waitpid(plugin, &status, 0) < 0 && errno == EINTR)
			;
		ssize_t n = write(FD_CONTROL, &status, sizeof(status));
		(void)n;
	}
	kill_group(0);
	_exit(EXIT_NO_EXEC);
}

/* ---- in the provisioner -----------------------------------------------------------------------
 */

_Atomic int64_t *spawn_shared(size_t n)
{
	void *p = mmap(NULL, (n + 1) * sizeof(int64_t), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	loom_assert(p != MAP_FAILED);
	return p;
}

struct pipe_pair {
	int read, write;
};

static void close_pairs(struct pipe_pair *pairs)
{
	for (int i = 0; i <= FD_CONTROL; i++) {
		loom_close(pairs[i].read);
		loom_close(pairs[i].write);
	}
}

static int open_pairs(struct pipe_pair *pairs)
{
	for (int i = 0; i <= FD_CONTROL; i++)
		pairs[i] = (struct pipe_pair){ -1, -1 };
	for (int i = 0; i <= FD_CONTROL; i++) {
		int fd[2];
		if (pipe2(fd, O_CLOEXEC) < 0) {
			int rc = -errno;
			close_pairs(pairs);
			return rc;
		}
		pairs[i] = (struct pipe_pair){ fd[0], fd[1] };
	}
	return 0;
}

/* Forks with all signals blocked, so that the child never runs a handler of this process. */
static pid_t fork_guard(const struct spawn_spec *spec, struct child_ends *ends)
{
	char *argv[] = { loom_strdup(spec->exec), loom_strdup(spec->action), NULL };
	pid_t provisioner = getpid();
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		be_guard(spec, provisioner, ends, argv);
	int failed = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	loom_free(argv[0]);
	loom_free(argv[1]);
	return pid < 0 ? -failed : pid;
}

/* Takes microseconds: the guard writes one byte as soon as its group exists. */
static int await_guard(int control)
{
	char ready;
	ssize_t n;
	do
		n = read(control, &ready, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -ECHILD;
}

static void hand_over(struct pipe_pair *pairs, struct spawn_pipes *ret)
{
	int mine[FD_CONTROL + 1];
	for (int i = 0; i <= FD_CONTROL; i++) {
		mine[i] = i == STDIN_FILENO ? pairs[i].write : pairs[i].read;
		loom_close(i == STDIN_FILENO ? pairs[i].read : pairs[i].write);
		(void)fcntl(mine[i], F_SETFL, O_NONBLOCK);
	}
	*ret = (struct spawn_pipes){ .in = mine[STDIN_FILENO],
		                     .out = mine[STDOUT_FILENO],
		                     .err = mine[STDERR_FILENO],
		                     .result = mine[FD_RESULT],
		                     .control = mine[FD_CONTROL] };
}

int spawn_guarded(const struct spawn_spec *spec, pid_t *ret_pid, struct spawn_pipes *ret)
{
	struct pipe_pair pairs[FD_CONTROL + 1];
	struct child_ends ends;
	int rc = open_pairs(pairs);
	if (rc)
		return rc;
	for (int i = 0; i <= FD_CONTROL; i++)
		ends.fd[i] = i == STDIN_FILENO ? pairs[i].read : pairs[i].write;
	pid_t pid = fork_guard(spec, &ends);
	if (pid < 0) {
		close_pairs(pairs);
		return pid;
	}
	loom_close(pairs[FD_CONTROL].write);
	pairs[FD_CONTROL].write = -1;
	rc = await_guard(pairs[FD_CONTROL].read);
	if (rc) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		close_pairs(pairs);
		return rc;
	}
	hand_over(pairs, ret);
	*ret_pid = pid;
	return 0;
}
