/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem - allocation that cannot fail, and scope-bound cleanup.
 *
 * Out of memory ends the process: every service is safe to kill at any line, so a clear abort
 * beats thousands of untested error paths.  Any thread.
 */
#ifndef LOOM_BASE_MEM_H
#define LOOM_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#define LOOM_CLEANUP(fn)        __attribute__((cleanup(fn##_p)))
#define LOOM_MUST_CHECK         __attribute__((warn_unused_result))
#define LOOM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define LOOM_UNUSED             __attribute__((unused))
#define LOOM_COUNT(a)           (sizeof(a) / sizeof((a)[0]))

/* Defines x_destroy_p() for LOOM_CLEANUP(x_destroy), where x_destroy() takes a pointer or NULL. */
#define LOOM_DEFINE_CLEANUP(type, fn)      \
	static inline void fn##_p(type *p) \
	{                                  \
		fn(*p);                    \
	}

void *loom_malloc(size_t n);
void *loom_calloc(size_t n, size_t size);
void *loom_realloc(void *p, size_t n);
char *loom_strdup(const char *s); /* NULL gives NULL */
char *loom_strndup(const char *s, size_t n);
char *loom_asprintf(const char *fmt, ...) LOOM_PRINTF(1, 2);
char *loom_vasprintf(const char *fmt, va_list ap) LOOM_PRINTF(1, 0);
void loom_free(void *p);
void loom_close(int fd); /* negative is ignored, errno kept */

/* Makes room for one more in an array of n, NULL at first; it grows by doubling. */
#define LOOM_GROW(v, n) ((n) & ((n)-1) ? (v) : loom_realloc((v), (2 * (n) + !(n)) * sizeof(*(v))))

/* Moves ownership out of a LOOM_CLEANUP variable. */
#define loom_take(p)                        \
	__extension__({                     \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

/* Stays on in release builds: prints the place and aborts. No side effects in x. */
#define loom_assert(x) ((x) ? (void)0 : loom_assert_failed(#x, __FILE__, __LINE__))
_Noreturn void loom_assert_failed(const char *expr, const char *file, int line);

LOOM_DEFINE_CLEANUP(void *, loom_free)
static inline void loom_free_str_p(char **p)
{
	loom_free(*p);
}
static inline void loom_close_p(int *fd)
{
	loom_close(*fd);
}
#define LOOM_CLEANUP_STR __attribute__((cleanup(loom_free_str_p)))
#define LOOM_CLEANUP_FD  __attribute__((cleanup(loom_close_p)))

#endif
