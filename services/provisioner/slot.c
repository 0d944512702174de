/* SPDX-License-Identifier: Apache-2.0 */
/* A task at a provisioner, from its start to the server's answer. Only this file changes a slot. */
#include "slot.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "files.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOG_BEFORE_FINISH_MS = 2000, /* a result waits this long for its log */
	LOG_AFTER_FINISH_MS = 3000,  /* and the slot this much longer */
	LEASE_MAX_MS = 7 * 24 * 3600 * 1000,
};

static void next_step(struct slot *s);

/* The only function that changes a slot's state. */
static void set_state(struct slot *s, enum slot_state to)
{
	static const unsigned next[] = {
		[SLOT_FREE] = 1u << SLOT_RUNNING,
		[SLOT_RUNNING] = 1u << SLOT_REPORTING | 1u << SLOT_FREE,
		[SLOT_REPORTING] = 1u << SLOT_FLUSHING,
		[SLOT_FLUSHING] = 1u << SLOT_FREE,
	};

	loom_assert(next[s->state] & 1u << to);
	metric_add(&stats[STAT_TASKS_RUNNING], (to != SLOT_FREE) - (s->state != SLOT_FREE));
	s->state = to;
}

static void drop_scratch(struct slot *s)
{
	if (s->scratch)
		removals_add(s->config->removals, loom_take(s->scratch));
}

static void clear(struct slot *s)
{
	run_destroy(loom_take(s->run));
	tasklog_destroy(loom_take(s->log));
	drop_scratch(s);
	plugin_steps_fini(&s->steps);
	outcome_fini(&s->outcome);
	redact_destroy(s->secrets);
	json_free(s->task);
	loom_free(s->input);
	loom_free(s->id);
	loom_free(s->worker);
	loom_free(s->claim);
	loop_timer_disarm(s->lease);
	*s = (struct slot){ .config = s->config,
		            .state = s->state,
		            .lease_until = s->lease_until,
		            .lease = s->lease };
}

static void release(struct slot *s)
{
	clear(s);
	set_state(s, SLOT_FREE);
	s->config->on_change(s->config->arg);
}

/* ---- reporting --------------------------------------------------------------------------------
 */

static void on_flushed(void *arg)
{
	release(arg);
}

static void on_report(struct report_item *item, enum report_event event, void *arg);

static struct json *finish_message(const struct slot *s)
{
	struct json *m = json_new_obj();
	(void)json_set_str(m, "provisionerId", s->config->provisioner);
	(void)json_set_str(m, "workerId", s->worker);
	(void)json_set_str(m, "tenantId", s->tenant);
	(void)json_set_str(m, "taskId", s->id);
	if (s->attempt)
		(void)json_set_int(m, "attempt", s->attempt);
	(void)json_set_str(m, "claim", s->claim);
	if (s->lapsed)
		(void)json_set_bool(m, "lost", true);
	outcome_write(&s->outcome, m);
	return m;
}

static void log_end(const struct slot *s)
{
	int64_t ms = clock_mono_ms() - s->taken;
	metric_observe_ms(&stats[STAT_TASK_MS], ms);
	metric_add(&stats[s->outcome.failed ? STAT_TASKS_FAILED : STAT_TASKS_DONE], 1);
	if (s->outcome.failed)
		log_warn("task failed", LOG_S("task", s->id), LOG_I("attempt", s->attempt),
		         LOG_I("ms", ms), LOG_S("reason", s->outcome.message),
		         LOG_S("trace", s->trace.id));
	else
		log_info("task done", LOG_S("task", s->id), LOG_I("attempt", s->attempt),
		         LOG_I("ms", ms), LOG_S("trace", s->trace.id));
}

/* Called when all plugins have ended, or none could run. */
static void report_outcome(struct slot *s)
{
	LOOM_CLEANUP(json_free) struct json *finish = NULL;

	if (s->lost) {
		release(s);
		return;
	}
	/* A task that succeeded just before it was stopped has succeeded. */
	s->lapsed = s->lapsed && (s->outcome.failed || s->step < s->steps.n);
	if (s->cancelled)
		outcome_fail(&s->outcome, true, "stopped: its job was aborted");
	else if (s->lapsed)
		outcome_fail(&s->outcome, false, "stopped: its lease was not renewed in time");
	log_end(s);
	if (s->outcome.failed)
		tasklog_note(s->log, s->outcome.message);
	drop_scratch(s);
	loop_timer_disarm(s->lease);
	set_state(s, SLOT_REPORTING);
	finish = finish_message(s);
	(void)report_save(s->config->report, s->id, s->attempt, finish, on_report, s);
	s->config->on_change(s->config->arg);
}

static void send_result(void *arg)
{
	struct slot *s = arg;
	s->sent = true;
	report_send(s->item);
}

static void on_report(struct report_item *item, enum report_event event, void *arg)
{
	struct slot *s = arg;
	if (event == REPORT_SAVED) {
		s->item = item;
		tasklog_close(s->log, LOG_BEFORE_FINISH_MS, send_result, s);
		return;
	}
	if (event == REPORT_REPLACED) {
		tasklog_reopen(s->log);
		tasklog_note(s->log, report_refusal(item));
		tasklog_close(s->log, LOG_BEFORE_FINISH_MS, send_result, s);
		return;
	}
	s->item = NULL;
	set_state(s, SLOT_FLUSHING);
	tasklog_close(s->log, LOG_AFTER_FINISH_MS, on_flushed, s);
}

/* ---- leases -----------------------------------------------------------------------------------
 */

/* Ms until the lease ends without a renewal. */
static int64_t lease_left(const struct slot *s)
{
	return s->lease_ms ? atomic_load(s->lease_until) - clock_mono_ms() : INT64_MAX;
}

/* The guard kills the plugin a little before the lease ends at the server; the plugin is asked to
 * stop a little before that. */
void slot_extend(struct slot *s, int64_t since)
{
	int64_t until = since + s->lease_ms - s->lease_ms / 32;
	if (!s->lease_ms || until <= atomic_load(s->lease_until))
		return;
	atomic_store(s->lease_until, until);
	if (s->state == SLOT_RUNNING)
		loop_timer_arm(s->lease, lease_left(s) - s->lease_ms / 8);
}

static void lapse(void *arg)
{
	struct slot *s = arg;
	if (s->state != SLOT_RUNNING || s->lost || s->cancelled || s->lapsed)
		return;
	s->lapsed = true;
	metric_add(&stats[STAT_TASKS_LOST], 1);
	log_warn("task stopped: its lease was not renewed in time", LOG_S("task", s->id),
	         LOG_I("attempt", s->attempt));
	if (s->run)
		run_stop(s->run);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static void add_output(struct slot *s, enum run_stream stream, const char *data, size_t len)
{
	outcome_output(&s->outcome, stream, data, len);
	tasklog_add(s->log, stream, data, len);
}

static void on_output(enum run_stream stream, const char *data, size_t len, void *arg)
{
	struct slot *s = arg;
	if (redact_is_empty(s->secrets)) {
		add_output(s, stream, data, len);
		return;
	}
	struct buf out = BUF_INIT(2 * len + 256);
	redact_feed(&s->clean[stream], data, len, &out);
	add_output(s, stream, buf_str(&out), out.len);
	buf_fini(&out);
}

/* Releases output that was held back because it might have been the start of a secret. */
static void end_output(struct slot *s)
{
	for (int i = 0; i < RUN_STREAMS_; i++) {
		struct buf out = BUF_INIT(256);
		redact_end(&s->clean[i], &out);
		add_output(s, (enum run_stream)i, buf_str(&out), out.len);
		buf_fini(&out);
	}
}

/* Each plugin run gets its own span within the attempt's. */
static void name_run(struct slot *s)
{
	LOOM_CLEANUP_STR char *name =
		loom_asprintf("run %s %" PRId64 " %zu", s->id, s->attempt, s->step);
	s->run_began = clock_wall_us();
	if (*s->trace.id)
		trace_named(&s->trace, name, &s->run_trace);
}

static void trace_run(const struct slot *s)
{
	const struct plugin_step *step = &s->steps.v[s->step];
	if (!*s->trace.id)
		return;
	LOOM_CLEANUP_STR char *name =
		loom_asprintf("%s %s", plugin_name(step->plugin), step->action);
	const struct log_field fields[] = { LOG_S("loom.task", s->id),
		                            LOG_I("loom.attempt", s->attempt),
		                            { 0 } };
	spans_add(s->config->spans, &(struct span){ .at = &s->run_trace,
	                                            .parent = s->trace.span,
	                                            .state = json_get_str(s->task, "tracestate"),
	                                            .name = name,
	                                            .kind = SPAN_INTERNAL,
	                                            .start_us = s->run_began,
	                                            .end_us = clock_wall_us(),
	                                            .fields = fields,
	                                            .failed = s->outcome.failed,
	                                            .message = s->outcome.message });
}

static void on_end(const struct run_end *end, void *arg)
{
	struct slot *s = arg;
	s->run = NULL;
	end_output(s);
	s->lapsed = s->lapsed || lease_left(s) <= 0; /* in this case the guard may have killed it */
	outcome_add(&s->outcome, end, s->steps.v[s->step].timeout_ms);
	trace_run(s);
	s->step++;
	next_step(s);
}

static const struct run_ops run_ops = { .on_output = on_output, .on_end = on_end };

static void step_failed(struct slot *s, const char *what, int rc)
{
	LOOM_CLEANUP_STR char *message = loom_asprintf("%s: %s", what, strerrordesc_np(-rc));
	outcome_fail(&s->outcome, false, message);
}

static char *plugin_work_dir(const struct slot *s)
{
	const struct plugin *plugin = s->steps.v[s->step].plugin;
	return loom_asprintf("%s/plugins/%s/%s", s->config->work_dir, plugin_folder(plugin),
	                     plugin_name(plugin));
}

static void step_env(const struct slot *s, struct strs *env)
{
	const struct plugin_step *step = &s->steps.v[s->step];
	const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): never set later */
	const char *node = json_get_str(s->task, "nodeId");
	strs_addf(env, "PATH=%s",
	          path && *path ? path
	                        : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strs_addf(env, "LOOM_PLUGIN_DIR=%s", plugin_dir(step->plugin));
	LOOM_CLEANUP_STR char *work_dir = plugin_work_dir(s);
	strs_addf(env, "LOOM_WORK_DIR=%s", work_dir);
	strs_addf(env, "LOOM_TASK_ID=%s", s->id);
	strs_addf(env, "LOOM_ATTEMPT=%" PRId64, s->attempt);
	strs_addf(env, "LOOM_NODE_ID=%s", node ? node : "");
	if (*s->trace.id) {
		char traceparent[TRACE_TEXT];
		trace_text(&s->run_trace, traceparent);
		strs_addf(env, "TRACEPARENT=%s", traceparent);
		const char *state = json_get_str(s->task, "tracestate");
		if (state)
			strs_addf(env, "TRACESTATE=%s", state);
	}
}

static int start_run(struct slot *s)
{
	const struct plugin_step *step = &s->steps.v[s->step];
	LOOM_CLEANUP(strs_fini) struct strs env = { 0 };

	name_run(s);
	step_env(s, &env);
	char **list = loom_calloc(env.n + 1, sizeof(char *));
	for (size_t i = 0; i < env.n; i++)
		list[i] = env.v[i];
	struct run_spec spec = { .exec = plugin_exec(step->plugin),
		                 .action = step->action,
		                 .cwd = s->scratch,
		                 .env = list,
		                 .input = s->input,
		                 .input_len = strlen(s->input),
		                 .timeout_ms = step->timeout_ms,
		                 .lease_until = s->lease_ms ? s->lease_until : NULL };
	int rc = run_start(s->config->loop, &spec, &run_ops, s, &s->run);
	loom_free(list);
	return rc;
}

/* A folder of its own for each plugin that runs. */
static int make_scratch(struct slot *s)
{
	LOOM_CLEANUP_STR char *all = loom_asprintf("%s/scratch", s->config->work_dir);
	drop_scratch(s);
	int rc = files_make_dir(all);
	if (rc)
		return rc;
	s->scratch = loom_asprintf("%s/%s.%" PRId64 "-XXXXXX", all, s->id, s->attempt);
	if (mkdtemp(s->scratch))
		return 0;
	rc = -errno;
	loom_free(loom_take(s->scratch));
	return rc;
}

static int make_work_dir(struct slot *s)
{
	LOOM_CLEANUP_STR char *path = plugin_work_dir(s);
	LOOM_CLEANUP_STR char *what = loom_asprintf("the plugin's folder %s cannot be made", path);
	int rc = files_make_dir(path);
	if (rc)
		step_failed(s, what, rc);
	return rc;
}

/* Makes the folders again, too: whoever makes room on the disk may have removed them. */
static int begin_step(struct slot *s)
{
	int rc = make_work_dir(s);
	if (rc)
		return rc;
	rc = make_scratch(s);
	if (rc) {
		LOOM_CLEANUP_STR char *what = loom_asprintf(
			"the task's folder in %s/scratch cannot be made", s->config->work_dir);
		step_failed(s, what, rc);
		return rc;
	}
	rc = start_run(s);
	if (rc)
		step_failed(s, "the plugin cannot be started", rc);
	return rc;
}

static void next_step(struct slot *s)
{
	if (s->lost || s->cancelled || s->lapsed || s->outcome.failed || s->step == s->steps.n) {
		report_outcome(s);
		return;
	}
	if (begin_step(s))
		report_outcome(s);
}

/* ---- its life ----------------------------------------------------------------------------------
 */

void slot_init(struct slot *s, const struct workers_config *config, _Atomic int64_t *lease_until)
{
	*s = (struct slot){ .config = config, .lease_until = lease_until };
	s->lease = loop_timer_create(config->loop, "task lease", lapse, s);
}

void slot_fini(struct slot *s)
{
	if (s->state != SLOT_FREE)
		clear(s);
	loop_timer_destroy(s->lease);
}

static void fill(struct slot *s, const char *worker, struct json *task)
{
	const char *own_worker = json_get_str(task, "workerId");
	const char *own_tenant = json_get_str(task, "tenantId");
	s->task = task;
	s->claim = loom_strdup(json_get_str(task, "claim"));
	json_del(task, "claim"); /* plugins must not see it: it is between the server and this
	                          * process */
	s->input = json_text(task);
	if (!trace_parse(json_get_str(task, "traceparent"), &s->trace))
		s->trace = (struct trace){ 0 };
	s->id = loom_strdup(json_get_str(task, "taskId"));
	s->worker = loom_strdup(own_worker ? own_worker : worker);
	s->tenant = own_tenant ? own_tenant : s->config->tenant;
	s->attempt = json_get_int(task, "attempt", 0);
	s->taken = clock_mono_ms();
	int64_t lease = json_get_int(task, "leaseMs", 0);
	s->lease_ms = lease < 0 ? 0 : lease > LEASE_MAX_MS ? LEASE_MAX_MS : lease;
	atomic_store(s->lease_until, 0);
	s->secrets = redact_create();
	plugins_secrets(s->config->plugins, task, s->secrets);
	redact_compile(s->secrets);
	for (int i = 0; i < RUN_STREAMS_; i++)
		s->clean[i] = (struct redact_stream){ .of = s->secrets };
	outcome_init(&s->outcome, s->secrets);
	struct tasklog_id id = { .task = s->id,
		                 .provisioner = s->config->provisioner,
		                 .worker = s->worker,
		                 .claim = s->claim,
		                 .attempt = s->attempt };
	s->log = tasklog_create(s->config->loop, s->config->wire, &id);
}

void slot_start(struct slot *s, const char *worker, int64_t claimed, struct json *task)
{
	fill(s, worker, task);
	set_state(s, SLOT_RUNNING);
	metric_add(&stats[STAT_TASKS_TAKEN], 1);
	log_info("task taken", LOG_S("task", s->id), LOG_I("attempt", s->attempt),
	         LOG_S("name", json_get_str(s->task, "taskName")),
	         LOG_S("node", json_get_str(s->task, "nodeId")), LOG_S("trace", s->trace.id));
	slot_extend(s, claimed);
}

bool slot_begins(const struct slot *s)
{
	return s->state == SLOT_RUNNING && !s->begun;
}

void slot_begin(struct slot *s)
{
	struct loom_err err;
	s->begun = true;
	if (lease_left(s) <= 0)
		lapse(s);
	if (plugins_choose(s->config->plugins, s->task, &s->steps, &err))
		outcome_fail(&s->outcome, false, err.msg);
	else if (fault_enabled("machines") && str_eq(json_get_str(s->task, "taskName"), "DELETE"))
		s->step = s->steps.n;
	next_step(s);
}

bool slot_needs_lease(const struct slot *s)
{
	return (s->state == SLOT_RUNNING && !s->lost) || s->state == SLOT_REPORTING;
}

void slot_lose(struct slot *s, const char *why)
{
	if (s->state != SLOT_RUNNING || s->lost)
		return; /* a finished result is sent; the server judges it by its attempt */
	s->lost = true;
	metric_add(&stats[STAT_TASKS_LOST], 1);
	log_warn("task stopped, its result is dropped", LOG_S("task", s->id),
	         LOG_I("attempt", s->attempt), LOG_S("reason", why));
	if (s->run)
		run_stop(s->run);
}

void slot_cancel(struct slot *s)
{
	if (s->state != SLOT_RUNNING || s->lost || s->cancelled)
		return;
	s->cancelled = true;
	log_warn("task cancelled", LOG_S("task", s->id), LOG_I("attempt", s->attempt));
	if (s->run)
		run_stop(s->run);
}
