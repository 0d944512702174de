/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service - shared by the main() of every daemon: configuration, logs, signals, readiness, drain.
 *
 * service_run() parses flags (--config --check-config --print-config --check-ready --help --version
 * and one flag per key), sets up logging, makes the loop, calls start(), tells systemd READY=1,
 * runs until SIGTERM or SIGINT, then drain(): /readyz answers 503, the service finishes or hands
 * back its work and calls service_drained(), at the latest after drain_ms; then stop() frees all.
 * stop() is called after a failed start() too, and must cope with a half-made context. A second
 * signal exits at once. SIGHUP reads the configuration again: keys marked CFG_RELOAD change at
 * once, others are named in the log as waiting for a restart, and a wrong configuration changes
 * nothing. SIGUSR1 and SIGUSR2 mean nothing here. Returns the exit code (64 for wrong usage, 78 for
 * wrong configuration).
 */
#ifndef LOOM_SERVICE_SERVICE_H
#define LOOM_SERVICE_SERVICE_H

#include "common/base/config.h"
#include "common/net/http_server.h"
#include "common/net/loop.h"
#include "common/net/spans.h"

struct service;

/* An action that the program performs with its configuration instead of running. */
struct service_command {
	const char *flag;  /* "--rotate-keys"; also "--rotate-keys=VALUE" */
	const char *usage; /* as --help shows it: "--rotate-keys[=data]" */
	const char *help;
	int (*run)(void *ctx, const char *value); /* value is "" if absent; returns the exit code */
};

struct service_def {
	const char *name;                  /* "loom-api" */
	const char *summary;               /* one line for --help */
	const struct config_table *tables; /* the service's keys; log keys are added */
	void *ctx;
	/* What is wrong with the values as they are, without files, network and database: for
	 * --check-config; start() says it, too. NULL: nothing more than their kinds. */
	int (*check)(void *ctx, struct loom_err *err);
	/* 0, or an error with err filled: exits 1 with that message. */
	int (*start)(struct service *s, void *ctx, struct loom_err *err);
	void (*drain)(struct service *s, void *ctx); /* NULL: drained at once */
	void (*stop)(struct service *s, void *ctx);
	/* Readiness beyond "started and not draining"; on a worker thread, may block briefly. false
	 * with err filled says what is missing. NULL: ready. */
	bool (*ready)(struct service *s, void *ctx, struct loom_err *err);
	/* Adds sentences about problems that do not prevent readiness. On a worker thread. NULL:
	 * none. */
	void (*notes)(struct service *s, void *ctx, struct strs *ret);
	int64_t drain_ms;                      /* 0 = 10000 */
	const struct service_command *command; /* NULL: none */
};

int service_run(const struct service_def *def, int argc, char **argv);
struct loop *service_loop(struct service *s);
const char *service_id(struct service *s);      /* "<host>-<pid>-<random>", new at each start */
struct spans *service_spans(struct service *s); /* NULL: tracing is off */
void service_drained(struct service *s);        /* loop thread */
/* Of a drain that takes longer, or less long, than def says; the service manager is told. */
void service_drain_within(struct service *s, int64_t ms);
/* It cannot go on: says why, drains, exits 1. Any thread. */
void service_fail(struct service *s, const char *why);
bool service_draining(const struct service *s);

/* Rows for a server's route table: GET /livez (loop alive), /readyz, /metrics. The handlers find
 * the service through a process-wide pointer set by service_run(). */
void service_livez(struct http_req *req, void *ctx);
void service_readyz(struct http_req *req, void *ctx);
void service_metrics(struct http_req *req, void *ctx);
#define SERVICE_ROUTES                                                            \
	{ "GET", "/livez", HTTP_ON_LOOP | HTTP_HEALTH, service_livez },           \
		{ "GET", "/readyz", HTTP_ON_POOL | HTTP_HEALTH, service_readyz }, \
	{                                                                         \
		"GET", "/metrics", HTTP_ON_LOOP | HTTP_HEALTH, service_metrics    \
	}

#endif
