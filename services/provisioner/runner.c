/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one plugin process: input, output, result, time limit, end. */
#include "runner.h"

#include "common/base/buf.h"
#include "spawn.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	GRACE_MS = 5000,
	READ_BYTES = 64 << 10,
	DRAIN_READS = 16, /* of a pipe after the end: more than a pipe can hold */
};

enum channel { CH_IN, CH_OUT, CH_ERR, CH_RESULT, CH_CONTROL, CHANNELS_ };

struct run {
	const struct run_ops *ops;
	void *arg;
	pid_t pid; /* of the guard, which is also the group's number */
	int fd[CHANNELS_];
	struct event *ev[CHANNELS_];
	struct loop_timer *limit; /* the time limit, then the grace time */
	int64_t grace_ms;
	char *input;
	size_t input_len, input_sent;
	struct buf result;
	bool too_large;
	bool timed_out, stopped, term_sent;
};

static void close_channel(struct run *r, enum channel ch)
{
	if (r->ev[ch])
		event_free(r->ev[ch]);
	r->ev[ch] = NULL;
	loom_close(r->fd[ch]);
	r->fd[ch] = -1;
}

static void free_run(struct run *r)
{
	for (int ch = 0; ch < CHANNELS_; ch++)
		close_channel(r, (enum channel)ch);
	loop_timer_destroy(r->limit);
	buf_fini(&r->result);
	loom_free(r->input);
	loom_free(r);
}

static void take_result(struct run *r, const char *data, size_t len)
{
	size_t room = RUN_RESULT_MAX - r->result.len;
	if (len > room)
		r->too_large = true;
	buf_add(&r->result, data, len < room ? len : room);
}

static void take_data(struct run *r, enum channel ch, const char *data, size_t len)
{
	if (ch == CH_RESULT)
		take_result(r, data, len);
	else
		r->ops->on_output(ch == CH_OUT ? RUN_STDOUT : RUN_STDERR, data, len, r->arg);
}

/* Reads once; false if nothing is available now, or ever. */
static bool read_some(struct run *r, enum channel ch)
{
	char data[READ_BYTES];
	ssize_t n = read(r->fd[ch], data, sizeof(data));
	if (n > 0) {
		take_data(r, ch, data, (size_t)n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0 || errno != EAGAIN)
		close_channel(r, ch);
	return false;
}

static void send_input(struct run *r)
{
	ssize_t n = write(r->fd[CH_IN], r->input + r->input_sent, r->input_len - r->input_sent);
	if (n > 0)
		r->input_sent += (size_t)n;
	/* A plugin need not read its input: a broken pipe is no error. */
	if (r->input_sent == r->input_len || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_channel(r, CH_IN);
}

/* The plugin's wait status, or the guard's when there is none because the guard was killed. */
static int final_status(struct run *r)
{
	int status, guard = 0;
	ssize_t n;
	do
		n = read(r->fd[CH_CONTROL], &status, sizeof(status));
	while (n < 0 && errno == EINTR);
	(void)kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &guard, 0) < 0 && errno == EINTR)
		;
	return n == (ssize_t)sizeof(status) ? status : guard;
}

/* The group is dead, or dying by KILL, so read only what the pipes hold now: a daemon that the
 * plugin started elsewhere, with a pipe still open, must not delay this. */
static void finish_run(struct run *r)
{
	int status = final_status(r);
	struct run_end end = { .exit_code = -1, .timed_out = r->timed_out, .stopped = r->stopped };
	for (int ch = CH_OUT; ch <= CH_RESULT; ch++) {
		for (int i = 0; i < DRAIN_READS && r->fd[ch] >= 0; i++) {
			if (!read_some(r, (enum channel)ch))
				break;
		}
	}
	if (WIFEXITED(status))
		end.exit_code = WEXITSTATUS(status);
	else
		end.signo = WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
	end.result = buf_str(&r->result);
	end.result_len = r->result.len;
	end.result_too_large = r->too_large;
	r->ops->on_end(&end, r->arg);
	free_run(r);
}

static void on_in(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_input(arg);
}

static void on_out(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)read_some(arg, CH_OUT);
}

static void on_err(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)read_some(arg, CH_ERR);
}

static void on_result(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)read_some(arg, CH_RESULT);
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish_run(arg);
}

/* Sends TERM to the group the first time, KILL after the grace time. */
static void end_group(struct run *r)
{
	if (r->term_sent) {
		(void)kill(-r->pid, SIGKILL);
		return;
	}
	r->term_sent = true;
	(void)kill(-r->pid, SIGTERM);
	loop_timer_arm(r->limit, r->grace_ms);
}

static void on_limit(void *arg)
{
	struct run *r = arg;
	if (!r->term_sent)
		r->timed_out = true;
	end_group(r);
}

static void watch(struct run *r, struct loop *l)
{
	static const event_callback_fn fns[CHANNELS_] = { on_in, on_out, on_err, on_result,
		                                          on_control };

	for (int ch = 0; ch < CHANNELS_; ch++) {
		short what = (short)((ch == CH_IN ? EV_WRITE : EV_READ) | EV_PERSIST);
		r->ev[ch] = event_new(loop_base(l), r->fd[ch], what, fns[ch], r);
		loom_assert(r->ev[ch] && event_add(r->ev[ch], NULL) == 0);
	}
}

int run_start(struct loop *l, const struct run_spec *spec, const struct run_ops *ops, void *arg,
              struct run **ret)
{
	struct spawn_spec child = {
		.exec = spec->exec,
		.action = spec->action,
		.cwd = spec->cwd,
		.env = spec->env,
		.lease_until = spec->lease_until,
	};
	struct spawn_pipes pipes;
	pid_t pid;
	int error = spawn_guarded(&child, &pid, &pipes);

	if (error)
		return error;
	struct run *r = loom_calloc(1, sizeof(*r));
	r->ops = ops;
	r->arg = arg;
	r->pid = pid;
	r->fd[CH_IN] = pipes.in;
	r->fd[CH_OUT] = pipes.out;
	r->fd[CH_ERR] = pipes.err;
	r->fd[CH_RESULT] = pipes.result;
	r->fd[CH_CONTROL] = pipes.control;
	r->grace_ms = spec->grace_ms ? spec->grace_ms : GRACE_MS;
	r->input = loom_malloc(spec->input_len + 1);
	memcpy(r->input, spec->input, spec->input_len);
	r->input_len = spec->input_len;
	r->result = BUF_INIT(RUN_RESULT_MAX + 1);
	r->limit = loop_timer_create(l, "plugin-limit", on_limit, r);
	loop_timer_arm(r->limit, spec->timeout_ms);
	watch(r, l);
	*ret = r;
	return 0;
}

void run_stop(struct run *r)
{
	r->stopped = true;
	if (!r->term_sent)
		end_group(r);
}

void run_destroy(struct run *r)
{
	if (!r)
		return;
	(void)kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free_run(r);
}
