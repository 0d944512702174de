/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per event on stderr, logfmt or JSON, fields typed and escaped.  Any thread.
 *
 *	log_info("task finished", LOG_S("task", id), LOG_I("attempt", n));
 *
 * Keys are literals. Fixed keys: ts level svc pid msg. Never pass secrets.
 */
#ifndef LOOM_BASE_LOG_H
#define LOOM_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LV_DEBUG, LOG_LV_INFO, LOG_LV_WARN, LOG_LV_ERROR };

struct log_field {
	const char *key; /* NULL ends the list */
	const char *str; /* string value, or NULL for an integer */
	int64_t num;
};

static inline const char *log_str_or_empty(const char *s)
{
	return s ? s : "";
}

#define LOG_S(k, v) ((struct log_field){ .key = (k), .str = log_str_or_empty(v) })
#define LOG_I(k, v) ((struct log_field){ .key = (k), .num = (int64_t)(v) })

void log_setup(const char *service, enum log_level min, bool json);
void log_change(enum log_level min, bool json); /* any time, any thread */
bool log_level_parse(const char *s, enum log_level *ret);
void log_set_fd(int fd); /* default 2; tests capture here */
bool log_on(enum log_level lv);
void log_write(enum log_level lv, const char *msg, const struct log_field *fields);
/* Renders a line without its newline; for tests and for log_write itself. Returns its length, at
 * most size - 1. Fields that do not fit are left out and a value is cut between characters: the
 * line stays well-formed. */
int log_render(char *out, unsigned size, enum log_level lv, const char *msg,
               const struct log_field *fields);

#define LOG_AT(lv, msg, ...)                                                                      \
	do {                                                                                      \
		if (log_on(lv))                                                                   \
			log_write(lv, msg,                                                        \
			          (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }); \
	} while (0)
#define log_debug(...) LOG_AT(LOG_LV_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_LV_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_LV_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_LV_ERROR, __VA_ARGS__)

#endif
