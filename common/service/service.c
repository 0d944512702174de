/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle of a service. Everything runs on the loop thread, except readiness. */
#include "common/service/service.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/stdfds.h"
#include "common/base/str.h"
#include "common/base/version.h"
#include "common/net/tls.h"
#include "common/service/memory.h"
#include "common/service/sd_notify.h"
#include "common/service/service_args.h"
#include "common/service/watchdog.h"

#include <dirent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DRAIN_MS = 10000,
	STOP_MS = 5000, /* from the end of the drain to that of the process, at most */
	SECOND_SIGNAL_EXIT = 1,
	METRICS_MAX = 1 << 20,
};

struct service {
	const struct service_def *def;
	const struct config_table *tables;
	int argc;
	char **argv;
	struct loop *loop;
	struct spans *spans;
	struct log_settings log;
	struct loop_timer *drain_timer, *delay_timer, *watchdog, *memory_timer;
	struct watchdog *own_watchdog; /* beside the service manager's; NULL: none */
	struct memory_watch memory;
	char *id;
	atomic_bool started, draining; /* read by readiness checks on workers */
	bool drained, failed;
};

static struct service *running; /* for the route handlers; set for the time of service_run() */

static void notify_manager(const char *text)
{
	int rc = sd_notify_send(text);
	if (rc)
		log_warn("service manager not told", LOG_S("text", text),
		         LOG_S("error", strerrordesc_np(-rc)));
}

/* ---- metrics --------------------------------------------------------------------------------- */

enum { M_BUILD, M_START, M_MEMORY, M_HEAP, M_FDS, M_PROCESS };
static struct metric process_metrics[M_PROCESS] = {
	[M_BUILD] = { NULL, "1; version and commit are the labels", METRIC_GAUGE },
	[M_START] = { "loom_process_start_time_seconds", "When the process started, epoch seconds",
	              METRIC_GAUGE },
	[M_MEMORY] = { "loom_process_resident_memory_bytes", "Memory in use", METRIC_GAUGE },
	[M_HEAP] = { "loom_process_heap_bytes", "Bytes allocated and not freed", METRIC_GAUGE },
	[M_FDS] = { "loom_process_open_fds", "Open file descriptors", METRIC_GAUGE },
};

static void measure_fds(void)
{
	int n = -3; /* "." and "..", and the directory itself */
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return;
	while (readdir(d)) /* NOLINT(concurrency-mt-unsafe): the stream is our own */
		n++;
	closedir(d);
	metric_set(&process_metrics[M_FDS], n);
}

/* ---- routes ---------------------------------------------------------------------------------- */

void service_livez(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_text(req, 200, "ok\n");
}

/* Answers "ready", with notes below. */
static void reply_ready(struct http_req *req, const struct service *s)
{
	LOOM_CLEANUP(strs_fini) struct strs notes = { 0 };
	tls_notes(&notes);
	if (s->def->notes)
		s->def->notes(running, s->def->ctx, &notes);
	LOOM_CLEANUP_STR char *list = strs_join(&notes, "\n");
	http_reply_text(req, 200, "ready\n%s%s", notes.n ? list : "", notes.n ? "\n" : "");
}

void service_readyz(struct http_req *req, void *ctx)
{
	(void)ctx;
	struct service *s = running;
	struct loom_err err = { 0 };
	if (!s || !s->started)
		http_reply_problem(req, 503, "starting");
	else if (s->draining)
		http_reply_problem(req, 503, "draining");
	else if (s->def->ready && !s->def->ready(s, s->def->ctx, &err))
		http_reply_problem(req, 503, "%s", *err.msg ? err.msg : "not ready");
	else
		reply_ready(req, s);
}

void service_metrics(struct http_req *req, void *ctx)
{
	(void)ctx;
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(METRICS_MAX);
	metric_set(&process_metrics[M_MEMORY], memory_resident());
	metric_set(&process_metrics[M_HEAP], memory_allocated());
	measure_fds();
	metrics_write(&b);
	http_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b), b.len);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct loop *service_loop(struct service *s)
{
	return s->loop;
}

struct spans *service_spans(struct service *s)
{
	return s->spans;
}

const char *service_id(struct service *s)
{
	return s->id;
}

bool service_draining(const struct service *s)
{
	return s->draining;
}

void service_drained(struct service *s)
{
	if (s->drained)
		return;
	s->drained = true;
	loop_timer_disarm(s->drain_timer);
	loop_stop(s->loop);
}

static void on_drain_timeout(void *arg)
{
	struct service *s = arg;
	log_warn("drain timed out");
	service_drained(s);
}

/* A service manager ends what takes longer than it was told to wait at first. */
static void notify_end(int64_t ms)
{
	LOOM_CLEANUP_STR char *text =
		loom_asprintf("EXTEND_TIMEOUT_USEC=%" PRId64, (ms + STOP_MS) * 1000);
	notify_manager(text);
}

void service_drain_within(struct service *s, int64_t ms)
{
	loop_timer_arm(s->drain_timer, ms);
	notify_end(ms);
}

static int64_t drain_ms(const struct service *s)
{
	return s->def->drain_ms ? s->def->drain_ms : DRAIN_MS;
}

static void drain_now(void *arg)
{
	struct service *s = arg;
	service_drain_within(s, drain_ms(s));
	if (s->def->drain)
		s->def->drain(s, s->def->ctx);
	else
		service_drained(s);
}

static void begin_drain(struct service *s)
{
	s->draining = true;
	notify_manager("STOPPING=1");
	/* Until the load balancer has seen it, work comes and is done as before. */
	if (s->log.drain_delay_ms) {
		notify_end(s->log.drain_delay_ms + drain_ms(s));
		loop_timer_arm(s->delay_timer, s->log.drain_delay_ms);
	} else {
		drain_now(s);
	}
}

static void on_term(void *arg)
{
	struct service *s = arg;
	if (s->draining) {
		log_warn("second signal, exiting at once");
		_exit(SECOND_SIGNAL_EXIT);
	}
	log_info("draining");
	begin_drain(s);
}

static void log_key_change(const char *key, bool taken)
{
	if (taken)
		log_info("configuration changed", LOG_S("key", key));
	else
		log_warn("configuration changed, but not in force until a restart",
		         LOG_S("key", key));
}

/* Applies the log settings; levels from `shown` on are logged in any case. */
static void use_log_settings(struct service *s, enum log_level shown)
{
	enum log_level level = LOG_LV_INFO;
	bool json = false;
	int rc = service_log_settings(&s->log, &level, &json, NULL);
	loom_assert(rc == 0); /* checked together with the other keys */
	log_change(level < shown ? level : shown, json);
}

static void on_hup(void *arg)
{
	struct service *s = arg;
	struct loom_err err = { 0 };
	struct config_table *twin = config_twin(s->tables);
	use_log_settings(s, LOG_LV_INFO); /* the operator who asked for it wants to see it */
	log_info("reading the configuration again");
	if (service_args_again(s->def, twin, s->argc, s->argv, &err))
		log_error("configuration not read: keeping the old one", LOG_S("reason", err.msg));
	else
		config_adopt(s->tables, twin, log_key_change);
	use_log_settings(s, LOG_LV_ERROR);
	config_twin_free(twin);
	tls_read_again();
}

struct failure {
	struct service *s;
	char *why;
};

static void on_failure(void *arg)
{
	struct failure *f = arg;
	log_error("cannot go on", LOG_S("reason", f->why));
	f->s->failed = true;
	if (!f->s->draining)
		begin_drain(f->s);
	loom_free(f->why);
	loom_free(f);
}

void service_fail(struct service *s, const char *why)
{
	struct failure *f = loom_malloc(sizeof(*f));
	*f = (struct failure){ s, loom_strdup(why) };
	loop_post(s->loop, on_failure, f);
}

static void on_watchdog(void *arg)
{
	(void)arg;
	notify_manager("WATCHDOG=1");
}

static void on_memory(void *arg)
{
	memory_give_back(arg);
}

static char *make_id(void)
{
	char host[65] = "", random[9];
	if (gethostname(host, sizeof(host) - 1) != 0 || !str_is_name(host))
		snprintf(host, sizeof(host), "host");
	id_random_hex(random, 4);
	return loom_asprintf("%s-%d-%s", host, (int)getpid(), random);
}

/* Ends the process by a signal before the loop runs, as a start may wait long for a database. At
 * that time a crash would do no harm either. */
static void end_at_once(int signo LOOM_UNUSED)
{
	_exit(EXIT_SUCCESS);
}

static void set_up(struct service *s)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, end = { .sa_handler = end_at_once };
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &ignore, NULL);  /* until it is read below: it never stops a service */
	sigaction(SIGUSR1, &ignore, NULL); /* "open your logs again", says logrotate to others */
	sigaction(SIGUSR2, &ignore, NULL);
	s->id = make_id();
	s->loop = loop_create();
	s->spans = spans_create(s->loop, s->log.otlp_endpoint, s->def->name, s->id);
	s->drain_timer = loop_timer_create(s->loop, "service drain", on_drain_timeout, s);
	s->delay_timer = loop_timer_create(s->loop, "service drain delay", drain_now, s);
	s->memory_timer = loop_timer_create(s->loop, "memory", on_memory, &s->memory);
	loop_timer_every(s->memory_timer, MEMORY_LOOK_MS);
	loop_on_signal(s->loop, SIGHUP, on_hup, s);
	static char build[128];
	snprintf(build, sizeof(build), "loom_build_info{version=\"%s\",commit=\"%s\"}",
	         loom_version, loom_commit);
	process_metrics[M_BUILD].name = build;
	metrics_register(process_metrics, M_PROCESS);
	metric_set(&process_metrics[M_BUILD], 1);
	metric_set(&process_metrics[M_START], clock_wall_ms() / 1000);
	running = s;
}

static void run_started(struct service *s)
{
	int64_t beat = sd_notify_watchdog_ms();
	loop_on_signal(s->loop, SIGTERM, on_term, s);
	loop_on_signal(s->loop, SIGINT, on_term, s);
	s->started = true;
	if (beat) {
		s->watchdog = loop_timer_create(s->loop, "watchdog", on_watchdog, s);
		loop_timer_every(s->watchdog, beat);
	}
	s->own_watchdog = watchdog_start(s->loop, s->log.watchdog_ms);
	log_info("started", LOG_S("version", loom_version), LOG_S("commit", loom_commit),
	         LOG_S("id", s->id));
	notify_manager("READY=1");
	loop_run(s->loop);
	watchdog_stop(s->own_watchdog);
}

static int run(struct service *s)
{
	struct loom_err err = { 0 };
	int code = EXIT_SUCCESS;
	set_up(s);
	if (s->def->start && s->def->start(s, s->def->ctx, &err)) {
		log_error("start failed", LOG_S("reason", err.msg));
		code = EXIT_FAILURE;
	} else {
		run_started(s);
		code = s->failed ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (s->def->stop)
		s->def->stop(s, s->def->ctx);
	spans_destroy(s->spans);
	loop_timer_destroy(s->watchdog);
	loop_timer_destroy(s->memory_timer);
	loop_timer_destroy(s->drain_timer);
	loop_timer_destroy(s->delay_timer);
	loop_destroy(s->loop);
	running = NULL;
	if (!code)
		log_info("stopped");
	loom_free(s->id);
	libevent_global_shutdown();
	return code;
}

static size_t count_tables(const struct config_table *t)
{
	size_t n = 0;
	while (t && t[n].keys)
		n++;
	return n;
}

int service_run(const struct service_def *def, int argc, char **argv)
{
	struct service s = { .def = def, .argc = argc, .argv = argv };
	stdfds_take();
	size_t n = count_tables(def->tables);
	struct config_table *tables = loom_calloc(n + 2, sizeof(*tables));
	if (n)
		memcpy(tables, def->tables, n * sizeof(*tables));
	tables[n] = (struct config_table){ service_log_keys, &s.log };
	s.tables = tables;
	int code = service_args(def, tables, argc, argv);
	if (code < 0) {
		log_setup(def->name, LOG_LV_INFO, false);
		use_log_settings(&s, LOG_LV_ERROR);
		code = run(&s);
	}
	config_fini(tables);
	loom_free(tables);
	return code;
}
