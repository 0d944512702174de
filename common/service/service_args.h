/* SPDX-License-Identifier: Apache-2.0 */
/* service_args - the command line and the configuration of a service; for service.c only. */
#ifndef LOOM_SERVICE_SERVICE_ARGS_H
#define LOOM_SERVICE_SERVICE_ARGS_H

#include "common/base/log.h"
#include "common/service/service.h"

enum { SERVICE_EXIT_USAGE = 64, SERVICE_EXIT_CONFIG = 78 };

struct log_settings {
	char *level, *format;
	int64_t drain_delay_ms;
	char *otlp_endpoint;
	int64_t watchdog_ms;
};

/* Loads everything into the tables. Returns -1 to continue; else the exit code, after printing the
 * reason to stderr or the help to stdout. */
int service_args(const struct service_def *def, const struct config_table *tables, int argc,
                 char **argv);

/* Reads the same file, environment and flags again, into a copy of the tables. 0, or positive with
 * err filled. */
LOOM_MUST_CHECK int service_args_again(const struct service_def *def,
                                       const struct config_table *twin, int argc, char **argv,
                                       struct loom_err *err);

extern const struct config_key service_log_keys[];
/* 0, or positive with err filled. */
int service_log_settings(const struct log_settings *s, enum log_level *ret_level, bool *ret_json,
                         struct loom_err *err);

#endif
