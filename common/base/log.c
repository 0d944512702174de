/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one line for each event, as logfmt or JSON, in a single write(). */
#include "common/base/log.h"

#include "common/base/clock.h"
#include "common/base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX 16384
#define LOG_TAIL     3 /* room always kept for a closing quote, a closing brace and the NUL */

/* Set at start-up (by tests repeatedly); fields read by other threads are atomic. */
static struct {
	char service[64];
	_Atomic int level;
	_Atomic bool json;
	_Atomic int fd;
} state = { .service = "loom", .level = LOG_LV_INFO, .fd = STDERR_FILENO };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

struct line {
	char *out;
	size_t size, len;
	bool json, first, cut;
};

void log_setup(const char *service, enum log_level min, bool json)
{
	(void)snprintf(state.service, sizeof(state.service), "%s", service);
	log_change(min, json);
}

void log_change(enum log_level min, bool json)
{
	atomic_store(&state.level, (int)min);
	atomic_store(&state.json, json);
}

bool log_level_parse(const char *s, enum log_level *ret)
{
	for (unsigned i = 0; i < LOOM_COUNT(level_names); i++) {
		if (str_ieq(s, level_names[i])) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_set_fd(int fd)
{
	atomic_store(&state.fd, fd);
}

bool log_on(enum log_level lv)
{
	return (int)lv >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

/* Adds all n bytes or none. */
static bool line_put(struct line *l, const char *s, size_t n)
{
	if (l->len + n + LOG_TAIL > l->size) {
		l->cut = true;
		return false;
	}
	memcpy(l->out + l->len, s, n);
	l->len += n;
	return true;
}

/* One character of a quoted value: n bytes of UTF-8, or one invalid byte (n 0). */
static bool line_put_char(struct line *l, const char *s, size_t n)
{
	static const char plain[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
	unsigned char c = (unsigned char)*s;
	const char *found = c ? strchr(plain, c) : NULL;
	char esc[8];
	if (found) {
		(void)snprintf(esc, sizeof(esc), "\\%c", letters[found - plain]);
	} else if (n == 0) {
		/* JSON cannot express a raw byte. */
		(void)snprintf(esc, sizeof(esc), l->json ? "\\ufffd" : "\\x%02x", c);
	} else if (n == 1 && (c < 0x20 || c == 0x7f)) {
		(void)snprintf(esc, sizeof(esc), "\\u%04x", c);
	} else if (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0) {
		(void)snprintf(esc, sizeof(esc), "\\u%04x", (unsigned char)s[1]);
	} else {
		return line_put(l, s, n);
	}
	return line_put(l, esc, strlen(esc));
}

static bool needs_quotes(const char *s)
{
	if (!*s)
		return true;
	for (size_t left = strlen(s), n; left; s += n, left -= n) {
		unsigned char c = (unsigned char)*s;
		n = str_utf8_len(s, left);
		if (n == 0 || c <= ' ' || c == '=' || c == '"' || c == '\\' || c == 0x7f ||
		    (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0))
			return true;
	}
	return false;
}

static void line_string(struct line *l, const char *s)
{
	bool quoted = l->json || needs_quotes(s);
	if (quoted)
		(void)line_put(l, "\"", 1);
	for (size_t left = strlen(s); left;) {
		size_t n = str_utf8_len(s, left);
		if (!(quoted ? line_put_char(l, s, n) : line_put(l, s, n)))
			break;
		s += n ? n : 1;
		left -= n ? n : 1;
	}
	if (quoted)
		l->out[l->len++] = '"'; /* LOG_TAIL kept room */
}

/* Writes separator and key, if there is room for the shortest value as well. */
static bool line_key(struct line *l, const char *key)
{
	char text[128];
	int n;
	if (l->cut)
		return false;
	n = snprintf(text, sizeof(text),
	             l->json ? "%s\"%s\":" : "%s%s=", l->first ? "" : (l->json ? "," : " "), key);
	if (n < 0 || (size_t)n >= sizeof(text) || l->len + (size_t)n + 1 + LOG_TAIL > l->size) {
		l->cut = true;
		return false;
	}
	l->first = false;
	return line_put(l, text, (size_t)n);
}

static void line_field_str(struct line *l, const char *key, const char *value)
{
	if (line_key(l, key))
		line_string(l, value);
}

static void line_field_int(struct line *l, const char *key, int64_t value)
{
	char text[24];
	size_t before = l->len;
	bool first = l->first;
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	if (line_key(l, key) && !line_put(l, text, strlen(text))) {
		l->len = before;
		l->first = first;
	}
}

int log_render(char *out, unsigned size, enum log_level lv, const char *msg,
               const struct log_field *fields)
{
	struct line l = {
		.out = out, .size = size, .json = atomic_load(&state.json), .first = true
	};
	char ts[32];

	if (size < LOG_TAIL + 1) {
		if (size)
			out[0] = '\0';
		return 0;
	}
	clock_format(clock_wall_ms(), ts);
	if (l.json)
		(void)line_put(&l, "{", 1);
	line_field_str(&l, "ts", ts);
	line_field_str(&l, "level", level_names[lv]);
	line_field_str(&l, "svc", state.service);
	line_field_int(&l, "pid", getpid());
	line_field_str(&l, "msg", msg);
	for (const struct log_field *f = fields; f && f->key; f++) {
		if (f->str)
			line_field_str(&l, f->key, f->str);
		else
			line_field_int(&l, f->key, f->num);
	}
	if (l.json)
		out[l.len++] = '}';
	out[l.len] = '\0';
	return (int)l.len;
}

void log_write(enum log_level lv, const char *msg, const struct log_field *fields)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	int n = log_render(line, sizeof(line) - 1, lv, msg, fields);
	ssize_t r;
	line[n++] = '\n';
	do {
		r = write(atomic_load(&state.fd), line, (size_t)n);
	} while (r < 0 && errno == EINTR);
	errno = saved;
}
