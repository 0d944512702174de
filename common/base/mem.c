/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that does not fail: a process without memory aborts and is restarted. */
#include "common/base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void out_of_memory(size_t n)
{
	(void)fprintf(stderr, "out of memory: %zu bytes\n", n);
	abort();
}

void *loom_malloc(size_t n)
{
	void *p = malloc(n ? n : 1);
	if (!p)
		out_of_memory(n);
	return p;
}

void *loom_calloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory(size && n > SIZE_MAX / size ? SIZE_MAX : n * size);
	return p;
}

void *loom_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	if (!q)
		out_of_memory(n);
	return q;
}

char *loom_strdup(const char *s)
{
	return s ? loom_strndup(s, strlen(s)) : NULL;
}

char *loom_strndup(const char *s, size_t n)
{
	char *p;
	if (!s)
		return NULL;
	n = strnlen(s, n);
	p = loom_malloc(n + 1);
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *loom_vasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;
	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory(strlen(fmt));
	return s;
}

char *loom_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	va_start(ap, fmt);
	s = loom_vasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void loom_free(void *p)
{
	free(p);
}

void loom_close(int fd)
{
	int saved = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
}

void loom_assert_failed(const char *expr, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
	abort();
}
